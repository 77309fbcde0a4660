"""The typed model between the front end and everything after it: immutable, located, with every shape resolved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from sgdsl.base.source import NOWHERE, Source, Span

Role = Literal["given", "observed", "supervised", "latent"]
Side = Literal["p", "q"]
Support = Literal["real", "positive", "unit", "binary", "class", "count", "range", "simplex", "angle", "direction"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """`support(sizes)[shape]`. `count(a, b)` is the support "range" with sizes (a, b); class(k) has sizes (k,)."""

    support: Support
    sizes: tuple[int, ...] = ()
    shape: Shape = ()

    def __str__(self) -> str:
        name = "count" if self.support == "range" else self.support
        sizes = f"({', '.join(map(str, self.sizes))})" if self.sizes else ""
        return name + sizes + (str(list(self.shape)) if self.shape else "")

    @property
    def values(self) -> int | None:
        """How many values one cell may take; None where they are not finitely many."""
        match self.support:
            case "binary":
                return 2
            case "class":
                return self.sizes[0]
            case "range":
                return self.sizes[1] - self.sizes[0] + 1
            case _:
                return None

    @property
    def first(self) -> int:
        """The smallest value of a finite cell: a for count(a, b), else 0."""
        return self.sizes[0] if self.support == "range" else 0

    @property
    def cells(self) -> int:
        return math.prod(self.shape)

    @property
    def cardinality(self) -> int | None:
        """How many values the whole node may take, values ** cells; None where not finite."""
        return None if self.values is None else self.values**self.cells

    @property
    def event(self) -> Shape:
        """The shape of one value in a tensor: [] for a scalar; a class is stored as its index, not one-hot."""
        return self.shape + (self.sizes if self.support in ("simplex", "direction") else ())

    @property
    def one_hot(self) -> bool:
        """Whether a network reads it one-hot (a class, a count(a, b))."""
        return self.support in ("class", "range")

    @property
    def input_width(self) -> int:
        """Its width as a flattened input of a network, in its input form (language.md, 2)."""
        if self.one_hot:
            return self.cells * (self.values or 0)
        return math.prod(self.event) * (2 if self.support == "angle" else 1)


@dataclass(frozen=True, slots=True)
class Node:
    """A random variable."""

    name: str
    role: Role
    type: Type
    span: Span = field(default=NOWHERE, compare=False)


# --- networks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a network: a row of catalog/networks with its sizes and options, from `input` to `output`.

    kind: linear, mlp, conv, deconv. For a conv `input` and `output` are [c, h, w] and further inputs (no maps) join
    after flattening; for the others `input` is the flat width (n,). A deconv that stands last before a head has its last
    transposed layer in the head: then `output` is the parameter's shape [c, h, w].
    """

    kind: str
    sizes: tuple[int, ...]
    options: tuple[tuple[str, str | float], ...] = ()
    input: Shape = ()
    output: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class NetUse:
    """A declared net as (a part of) a network; all its uses share weights."""

    net: str
    span: Span = field(default=NOWHERE, compare=False)


Part = Stage | NetUse


@dataclass(frozen=True, slots=True)
class Network:
    """`a >> b >> …` applied to inputs, concatenated in order, each in its input form. `output` is the flat width (n,),
    or a map [c, h, w] when it ends in a conv or deconv. For a factor without an explicit application the inputs are its
    parents in the order written."""

    parts: tuple[Part, ...]
    inputs: tuple[Expr, ...]
    output: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Net:
    """`net f = …`: a network with weights of its own, applied elsewhere. `parts` have resolved shapes and no NetUse
    of a later-resolved net (they are inlined in order, cycles refused); unused nets have no shapes and no weights."""

    name: str
    parts: tuple[Part, ...]
    used: bool = True
    span: Span = field(default=NOWHERE, compare=False)


# --- expressions ----------------------------------------------------------------------------------------------
# Every expression has `shape`, its event shape ([] for a scalar). A class node may stand only where a network or a
# let alias reads it; in arithmetic binary and counts are their numbers.


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """A node or a let. `type` is the node's (or, for a let that is an alias of a node, that node's; else real[shape])."""

    name: str
    type: Type
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """op: add sub mul div (two arguments, broadcast as numpy does) or neg (one)."""

    op: Literal["add", "sub", "mul", "div", "neg"]
    args: tuple[Expr, ...]
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of catalog/functions; `axis` None: over all event dimensions (sum, mean, max, last)."""

    function: str
    args: tuple[Expr, ...]
    axis: int | None = None
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Vector:
    """`[a, b, …]`: items of one shape, stacked in front."""

    items: tuple[Expr, ...]
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """A network inside an expression; `shape` is its output."""

    network: Network
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Weight:
    """`learned(n, …)` inside an expression: a free tensor of that shape, unconstrained."""

    shape: Shape
    span: Span = field(default=NOWHERE, compare=False)


Expr = Number | Ref | Operation | Call | Vector | Apply | Weight


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


ParameterSource = Head | Own | Table | Learned | Value | Default


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

    def node(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)

    def let(self, name: str) -> Let:
        return next(n for n in self.lets if n.name == name)

    def factor(self, side: Side, node: str) -> Factor:
        return next(f for f in (self.p if side == "p" else self.q) if f.node == node)

    def setting(self, section: Literal["objective", "train"], name: str) -> Setting | None:
        return next((s for s in getattr(self, section) if s.name == name), None)
