"""Networks and expressions of the typed model: immutable, located, every shape resolved. Names are those of ir.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sgdsl.base.source import NOWHERE, Span
from sgdsl.middle.loops import Lag, Range
from sgdsl.middle.types import Shape, Type

# --- networks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a network: a row of catalog/networks with its sizes and options, from `input` to `output`.

    kind: a name of catalog/networks. For a conv or resnet `input` and `output` are [c, h, w] and further inputs (no maps) join
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
    parents in the order written. `copies`: weights of its own for each copy of these loops, `mlp(64)[i]`, its heads too."""

    parts: tuple[Part, ...]
    inputs: tuple[Expr, ...]
    output: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)
    copies: tuple[Range, ...] = ()


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
    """`learned(n, …)` inside an expression: a free tensor of that shape, unconstrained; `copies`: as in Network."""

    shape: Shape
    span: Span = field(default=NOWHERE, compare=False)
    copies: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Mean:
    """`digit.mean(x | y = …)`: the mean of p(x | …) of another model. `use`: its name here; `args`: the nodes that the factor
    reads, in its order, and their values."""

    use: str
    node: str
    args: tuple[tuple[str, Expr], ...]
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


# Copies of a loop at other places than the reader's own. Each is the whole value of a let that the front end makes.


@dataclass(frozen=True, slots=True)
class View:
    """A node's or let's copies: `at`: for each of its axes, from outside in, a place of each copy of a range, or one fixed
    place. `edges`: lets that stand at places outside its own range (`let m[0] = …` beside m[i])."""

    source: Ref
    at: tuple[Lag | int, ...]
    edges: tuple[tuple[int, Ref], ...] = ()
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Over:
    """The copies of a node or let taken together along its innermost axis; of a loop `1..k` those that live. Without any, sum,
    mean, max and last are zeros. stack: [copies, …], zeros for dead ones."""

    function: Literal["sum", "mean", "max", "last", "stack"]
    source: Ref
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Place:
    """The index itself, as the class(copies) that a network reads: 0 … copies - 1."""

    range: Range
    shape: Shape = ()
    span: Span = field(default=NOWHERE, compare=False)


Expr = Number | Ref | Operation | Call | Vector | Apply | Weight | Mean | View | Over | Place
