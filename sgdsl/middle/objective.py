"""The language of derived objectives: sums, means and logarithms over the named factors of a model, as frozen values.

An expression is a number for each row. Its names are nodes: observed, given and known ones have the row's values, a `Total`
binds enumerated ones, and every other is drawn (`Objective.draws`), a draw for each sample s and each value of what it
depends on. Copies of a loop are written with their index, `z[t - 1]`, which `Copies` binds. `middle/derive.py` makes them,
`middle/explain_text.py` and `backend/latex.py` write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Density:
    """p(node | given) or q(node | given), names as written in the file."""

    side: ir.Side
    node: str
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Divergence:
    """KL(q ‖ p) of a node: log q − log p averaged over q."""

    q: Density
    p: Density


@dataclass(frozen=True, slots=True)
class Weight:
    """ω of a group of weights, a number for each sample and each value of the group's enumerated members."""

    group: int


@dataclass(frozen=True, slots=True)
class Log:
    """The logarithm."""

    of: Expr


@dataclass(frozen=True, slots=True)
class Exp:
    """The exponential."""

    of: Expr


@dataclass(frozen=True, slots=True)
class Product:
    """All factors times each other; 1 for none."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Quotient:
    """`above` / `below`."""

    above: Expr
    below: Expr


@dataclass(frozen=True, slots=True)
class Addend:
    """(`one` + `alpha` · α) times `of`."""

    of: Expr
    one: int = 1
    alpha: int = 0


@dataclass(frozen=True, slots=True)
class Sum:
    """All addends added up; 0 for none."""

    addends: tuple[Addend, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """Σ over all values of the nodes `over`."""

    over: tuple[str, ...]
    of: Expr


@dataclass(frozen=True, slots=True)
class Loop:
    """`index` runs from `first` to `last`, a number or the node that counts the copies."""

    index: str
    first: int
    last: int | str


@dataclass(frozen=True, slots=True)
class Copies:
    """The sum or product over all copies of a loop."""

    by: Literal["sum", "product"]
    loop: Loop
    of: Expr


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over the samples s."""

    of: Expr


@dataclass(frozen=True, slots=True)
class Average:
    """Σ ω of / Σ ω over the samples of each group, one independent of the other, and over the values of their enumerated
    members; ω is the product of the groups' weights. A group of a copy is that of the copy at hand; of `whole` = (group, n)
    all copies in the loops behind its first n are meant, the values of their enumerated members summed out of ω."""

    groups: tuple[int, ...]
    of: Expr
    whole: tuple[tuple[int, int], ...] = ()


Expr = Density | Divergence | Weight | Log | Exp | Product | Quotient | Sum | Total | Copies | Mean | Average


def parts(expr: Expr) -> Iterator[Expr]:
    """An expression and everything inside it."""
    yield expr
    match expr:
        case Log() | Exp() | Total() | Copies() | Mean() | Average():
            yield from parts(expr.of)
        case Sum():
            for addend in expr.addends:
                yield from parts(addend.of)
        case Product():
            for factor in expr.factors:
                yield from parts(factor)
        case Quotient():
            yield from parts(expr.above)
            yield from parts(expr.below)
        case Divergence():
            yield from (expr.q, expr.p)
        case Density() | Weight():
            pass
        case _:
            assert_never(expr)


def in_loops(by: Literal["sum", "product"], loops: Iterable[Loop], expr: Expr) -> Expr:
    """The sum or product over all copies of loops, from outside in."""
    for loop in reversed(tuple(loops)):
        expr = Copies(by, loop, expr)
    return expr


@dataclass(frozen=True, slots=True)
class Draw:
    """`node` is drawn from q(node | given), once for each sample, each value of the enumerated nodes `each` and each copy of
    the `loops`."""

    node: str
    given: tuple[str, ...]
    each: tuple[str, ...]
    loops: tuple[Loop, ...] = ()


@dataclass(frozen=True, slots=True)
class Weighting:
    """A group of weights: ω is the product of `factors`. `drawn`, `values`: its members that are drawn and, outside loops or
    in its own, enumerated; `labels`: the known nodes that it is the weight of; `loops`: those of which each copy is a group."""

    drawn: tuple[str, ...]
    values: tuple[str, ...]
    labels: tuple[str, ...]
    factors: tuple[Expr, ...]
    loops: tuple[Loop, ...] = ()


@dataclass(frozen=True, slots=True)
class Objective:
    """The bound of a row that knows the labels of `known`."""

    known: tuple[str, ...]
    bound: Sum
    weights: tuple[Weighting, ...]
    draws: tuple[Draw, ...]
