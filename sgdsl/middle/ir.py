"""The typed model between the front end and everything after it: immutable, located, with every shape resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, cast

from sgdsl.base.source import NOWHERE, Source, Span
from sgdsl.middle.expressions import Apply as Apply
from sgdsl.middle.expressions import Call as Call
from sgdsl.middle.expressions import Expr as Expr
from sgdsl.middle.expressions import Net as Net
from sgdsl.middle.expressions import NetUse as NetUse
from sgdsl.middle.expressions import Network as Network
from sgdsl.middle.expressions import Number as Number
from sgdsl.middle.expressions import Operation as Operation
from sgdsl.middle.expressions import Part as Part
from sgdsl.middle.expressions import Ref as Ref
from sgdsl.middle.expressions import Stage as Stage
from sgdsl.middle.expressions import Vector as Vector
from sgdsl.middle.expressions import Weight as Weight
from sgdsl.middle.types import Shape as Shape
from sgdsl.middle.types import Support as Support
from sgdsl.middle.types import Type as Type

Role = Literal["given", "observed", "supervised", "latent"]
Side = Literal["p", "q"]


@dataclass(frozen=True, slots=True)
class Node:
    """A random variable."""

    name: str
    role: Role
    type: Type
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Let:
    """`let h = …`. `type` is the aliased node's for `let h = x`, else real[shape]."""

    name: str
    value: Expr
    type: Type
    span: Span = field(default=NOWHERE, compare=False)


# --- factors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The parameter is a linear head (for a deconv: its last layer) on the factor's shared trunk."""


@dataclass(frozen=True, slots=True)
class Own:
    """The parameter has a network of its own, with a head."""

    network: Network


@dataclass(frozen=True, slots=True)
class Table:
    """One row for each combination of `parents` (class, binary, count(a, b)), in written order."""

    parents: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """A free parameter of `shape`: the parameter's full shape, or (1,) for one number for all cells."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Value:
    """No head, no map: the value of an expression, brought into the parameter's open domain."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Default:
    """The family's default, a constant (Categorical's logits: 0, the uniform distribution)."""

    value: float


@dataclass(frozen=True, slots=True)
class Expert:
    """A member of a product or mixture, a family with parameters of its own. `partial`: partial nodes that it reads,
    through lets too; in rows where they miss every cell it drops out."""

    family: str
    parameters: tuple[Parameter, ...]
    trunk: Network | None = None
    partial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bayes:
    """The logits are Σ log p of the factors of these nodes, at every value of the factor's own node: all p-factors that
    contain it. `reads`: the nodes, and lets that do not depend on it, that they read."""

    factors: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """loc and scale of a product of Normals, whose precisions add. `prior`: the node's p-factor is one of them, and `reads`
    what that reads."""

    experts: tuple[Expert, ...]
    prior: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mixture:
    """The parameters of experts of one family side by side, [experts, …]; the density is their mean."""

    experts: tuple[Expert, ...]


ParameterSource = Head | Own | Table | Learned | Value | Default | Bayes | Product | Mixture


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the family (its name there), of `shape` (for Categorical logits: event + (k,))."""

    name: str
    source: ParameterSource
    shape: Shape
    floor: float | None = None  # scale of an observed or supervised continuous node, headed or learned: 1e-2


@dataclass(frozen=True, slots=True)
class Estimator:
    """name: reparam, enumerate, score, gumbel, straight_through. `explicit`: written by the user."""

    name: str
    options: tuple[tuple[str, str | float], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Made:
    """A factor of q that the compiler makes. `why`: for each of `given`, what makes the node depend on it, in words.
    `prior`: nothing in the data or labels depends on the node, and q takes the right-hand side of its p."""

    node: str
    given: tuple[str, ...]
    why: tuple[str, ...] = ()
    prior: bool = False


def head(side: Side, node: str, given: Iterable[str]) -> str:
    """p(node | given)."""
    parents = ", ".join(given)
    return f"{side}({node} | {parents})" if parents else f"{side}({node})"


@dataclass(frozen=True, slots=True)
class Factor:
    """p(node | given) or q(node | given). `given`: names of nodes and lets as written; `trunk`: the one network that
    serves every parameter whose source is Head; `estimator`: None where the file has no `by`."""

    side: Side
    node: str
    given: tuple[str, ...]
    family: str
    parameters: tuple[Parameter, ...]
    trunk: Network | None = None
    estimator: Estimator | None = None
    span: Span = field(default=NOWHERE, compare=False)
    given_spans: tuple[Span, ...] = field(default=(), compare=False)
    text: str = field(default="", compare=False)  # the statement as written, comments and blanks normalised
    made: Made | None = field(default=None, compare=False)  # None: written in the file

    @property
    def head(self) -> str:
        """p(node | given), as written."""
        return head(self.side, self.node, self.given)

    @property
    def mixture(self) -> Mixture | None:
        """Its experts, where it is a mixture."""
        source = self.parameters[0].source
        return source if isinstance(source, Mixture) else None


@dataclass(frozen=True, slots=True)
class Setting:
    """A checked value of `objective { }`, `train { }` or `data NAME( )`, and where it was written."""

    name: str
    value: str | float | int | bool | tuple[tuple[str, float], ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Data:
    """`data NAME(options)`. `bind` maps nodes to fields (`c = y`)."""

    name: str
    options: tuple[Setting, ...] = ()
    bind: tuple[tuple[str, str], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Model:
    """A whole .sgm file. Nodes, lets, nets and factors in the order of the file; `statements`: (kind, name) of everything
    that owns weights in the order of the file, kind in let, net, p, q — the order of initial weights."""

    name: str
    doc: str
    nodes: tuple[Node, ...]
    lets: tuple[Let, ...]
    nets: tuple[Net, ...]
    p: tuple[Factor, ...]
    q: tuple[Factor, ...]
    statements: tuple[tuple[str, str], ...]
    objective: tuple[Setting, ...]
    train: tuple[Setting, ...]
    data: Data | None
    source: Source = field(repr=False, compare=False)
    _named: dict[tuple[str, str], Node | Let | Net | Factor] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Of two factors of a node, which checks.py refuses, the first is found."""
        factors = {(f.side, f.node): f for f in reversed((*self.p, *self.q))}
        others = (("node", self.nodes), ("let", self.lets), ("net", self.nets))
        named = {(kind, n.name): n for kind, found in others for n in found}
        object.__setattr__(self, "_named", named | factors)

    def node(self, name: str) -> Node:
        return cast(Node, self._named["node", name])

    def let(self, name: str) -> Let:
        return cast(Let, self._named["let", name])

    def net(self, name: str) -> Net:
        return cast(Net, self._named["net", name])

    def factor(self, side: Side, node: str) -> Factor:
        return cast(Factor, self._named[side, node])

    def setting(self, section: Literal["objective", "train"], name: str) -> Setting | None:
        return next((s for s in getattr(self, section) if s.name == name), None)
