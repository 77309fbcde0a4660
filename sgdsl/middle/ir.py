"""The typed model between the front end and everything after it: immutable, located, with every shape resolved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from sgdsl.base.source import NOWHERE, Source, Span
from sgdsl.middle.expressions import Apply as Apply
from sgdsl.middle.expressions import Call as Call
from sgdsl.middle.expressions import Expr as Expr
from sgdsl.middle.expressions import Mean as Mean
from sgdsl.middle.expressions import Net as Net
from sgdsl.middle.expressions import NetUse as NetUse
from sgdsl.middle.expressions import Network as Network
from sgdsl.middle.expressions import Number as Number
from sgdsl.middle.expressions import Operation as Operation
from sgdsl.middle.expressions import Over as Over
from sgdsl.middle.expressions import Part as Part
from sgdsl.middle.expressions import Place as Place
from sgdsl.middle.expressions import Ref as Ref
from sgdsl.middle.expressions import Stage as Stage
from sgdsl.middle.expressions import Vector as Vector
from sgdsl.middle.expressions import View as View
from sgdsl.middle.expressions import Weight as Weight
from sgdsl.middle.loops import Axis as Axis
from sgdsl.middle.loops import Lag as Lag
from sgdsl.middle.loops import Range as Range
from sgdsl.middle.made import Gathered as Gathered
from sgdsl.middle.made import Made as Made
from sgdsl.middle.sources import Bayes as Bayes
from sgdsl.middle.sources import Default as Default
from sgdsl.middle.sources import Expert as Expert
from sgdsl.middle.sources import Head as Head
from sgdsl.middle.sources import Learned as Learned
from sgdsl.middle.sources import Mixture as Mixture
from sgdsl.middle.sources import Own as Own
from sgdsl.middle.sources import Parameter as Parameter
from sgdsl.middle.sources import ParameterSource as ParameterSource
from sgdsl.middle.sources import Product as Product
from sgdsl.middle.sources import Table as Table
from sgdsl.middle.sources import Used as Used
from sgdsl.middle.sources import Value as Value
from sgdsl.middle.types import Shape as Shape
from sgdsl.middle.types import Support as Support
from sgdsl.middle.types import Type as Type

Role = Literal["given", "observed", "supervised", "latent"]
Side = Literal["p", "q"]


@dataclass(frozen=True, slots=True)
class Node:
    """A random variable, or in a loop one for each copy: `type` is that of one copy, `axes` its loops from outside in."""

    name: str
    role: Role
    type: Type
    span: Span = field(default=NOWHERE, compare=False)
    axes: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Let:
    """`let h = …`. `type` is the aliased node's for `let h = x`, else real[shape]; in a loop that of one copy. References to
    copies at other places, and to all of them, are lets of their own, made by the front end (View, Over, Place); such a let
    owns no weights and is named as written, blanks normalised: `z[t - 1]`, `sum(shown[*])`. `let m[0] = …` is a let `m[0]`
    beside `m`."""

    name: str
    value: Expr
    type: Type
    span: Span = field(default=NOWHERE, compare=False)
    axes: tuple[Range, ...] = ()


# --- factors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimator:
    """name: reparam, enumerate, score, gumbel, straight_through. `explicit`: written by the user."""

    name: str
    options: tuple[tuple[str, str | float], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


def head(side: Side, node: str, given: Iterable[str]) -> str:
    """p(node | given)."""
    parents = ", ".join(given)
    return f"{side}({node} | {parents})" if parents else f"{side}({node})"


@dataclass(frozen=True, slots=True)
class Factor:
    """p(node | given) or q(node | given). `given`: names of nodes and lets as written; `trunk`: the one network that
    serves every parameter whose source is Head; `estimator`: None where the file has no `by`. `place`: for each axis of the
    node the copies that it is a factor of, or one copy, `p(z[1])`; together the factors of a node are one for each copy."""

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
    place: tuple[Range | int, ...] = ()
    piece: str = (
        ""  # what tells it from the node's other factors on its side: "" for the one of most copies, "1" for p(z[1])
    )
    used: Used | None = field(default=None, compare=False)  # where its right-hand side is another model's factor

    @property
    def id(self) -> str:
        """Unique on its side: the node, with its piece."""
        return f"{self.node}_{self.piece}" if self.piece else self.node

    @property
    def axes(self) -> tuple[Range, ...]:
        """The loops that it stands in."""
        return tuple(r for r in self.place if isinstance(r, Range))

    @property
    def head(self) -> str:
        """p(node | given), as written; each copy with its index."""
        index = ", ".join(str(r if isinstance(r, int) else r.axis if r.copies > 1 else r.first) for r in self.place)
        return head(self.side, f"{self.node}[{index}]" if index else self.node, self.given)

    @property
    def mixture(self) -> Mixture | None:
        """Its experts, where it is a mixture."""
        source = self.parameters[0].source
        if isinstance(source, Used):
            return source.mixture
        return source if isinstance(source, Mixture) else None


@dataclass(frozen=True, slots=True)
class Setting:
    """A checked value of `objective { }`, `train { }` or `data NAME( )`, and where it was written."""

    name: str
    value: str | float | int | bool | tuple[tuple[str, float], ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Data:
    """`data NAME(options)`; NAME "" where only the command line says something. `bind` maps nodes to fields (`c = y`)."""

    name: str
    options: tuple[Setting, ...] = ()
    bind: tuple[tuple[str, str], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Use:
    """`use NAME = "file.sgm" (weights = …, frozen)`: another model, right by itself. `parents`: the nodes that each of its
    factors reads, lets contracted, by side and node; `weights`: a run folder, "" for none; `file`: as written."""

    name: str
    file: str
    model: Model
    parents: Mapping[tuple[Side, str], tuple[str, ...]]
    weights: str = ""
    frozen: bool = False
    span: Span = field(default=NOWHERE, compare=False)

    def node(self, name: str) -> Node:
        """A node as calls see it: of one in loops all copies, stacked."""
        node = self.model.node(name)
        shape = (*(r.copies for r in node.axes), *node.type.shape)
        return replace(node, type=replace(node.type, shape=shape), axes=())

    def factor(self, side: Side, node: str) -> Factor:
        """A factor as calls see it: of all copies of its node."""
        found = self.model.pieces(side, node)[0]
        copies = tuple(r.copies for r in self.model.node(node).axes)
        return replace(found, parameters=tuple(replace(p, shape=(*copies, *p.shape)) for p in found.parameters))


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
    axes: tuple[Axis, ...] = ()
    uses: tuple[Use, ...] = ()
    made: tuple[str, ...] = field(default=(), compare=False)  # of q through loops: the lines that the compiler wrote
    _named: dict[tuple[str, str], Node | Let | Net | Factor | Use] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Of two factors of a node, which checks.py refuses, the first is found; of a node's pieces that of most copies. The
        others are found by their ids, as factors of nodes with these copies only."""
        factors: dict[tuple[str, str], Factor] = {}
        for factor in sorted((*self.p, *self.q), key=lambda f: -math.prod(r.copies for r in f.axes)):
            factors.setdefault((factor.side, factor.node), factor)
        others = (("node", self.nodes), ("let", self.lets), ("net", self.nets), ("use", self.uses))
        named: dict[tuple[str, str], Node | Let | Net | Factor | Use] = {
            (kind, n.name): n for kind, found in others for n in found
        }
        for factor in (*self.p, *self.q):
            node = named.get(("node", factor.node))
            if factor.piece and isinstance(node, Node):
                factors[factor.side, factor.id] = factor
                named["node", factor.id] = replace(node, name=factor.id, axes=factor.axes)
        object.__setattr__(self, "_named", named | factors)

    def node(self, name: str) -> Node:
        return cast(Node, self._named["node", name])

    def let(self, name: str) -> Let:
        return cast(Let, self._named["let", name])

    @property
    def values(self) -> tuple[Node | Let, ...]:
        """Nodes, then lets."""
        found: list[Node | Let] = [*self.nodes, *self.lets]
        return tuple(found)

    def valued(self, name: str) -> Node | Let:
        """The node or let of a name."""
        found = self._named.get(("node", name), self._named.get(("let", name)))
        assert isinstance(found, Node | Let), name
        return found

    def net(self, name: str) -> Net:
        return cast(Net, self._named["net", name])

    def use(self, name: str) -> Use:
        return cast(Use, self._named["use", name])

    def factor(self, side: Side, node: str) -> Factor:
        return cast(Factor, self._named[side, node])

    def pieces(self, side: Side, node: str) -> tuple[Factor, ...]:
        """All factors of a node on a side, in the order of the file: several where copies differ."""
        if not self.node(node).axes:
            return (self.factor(side, node),) if (side, node) in self._named else ()
        return tuple(f for f in (self.p if side == "p" else self.q) if f.node == node)

    def axis(self, name: str) -> Axis:
        return next(a for a in self.axes if a.name == name)

    def setting(self, section: Literal["objective", "train"], name: str) -> Setting | None:
        return next((s for s in getattr(self, section) if s.name == name), None)
