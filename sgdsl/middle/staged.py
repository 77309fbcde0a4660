"""Sums of terms, each under the sums of its own level: a row and its terms come in, expressions go out.

From outside in stand enumerated nodes outside loops, then the copies of a loop, then the enumerated nodes inside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sgdsl.middle import ir
from sgdsl.middle.objective import (
    Addend,
    Copies,
    Exp,
    Expr,
    Log,
    Mean,
    Product,
    Quotient,
    Sum,
    Total,
    Weight,
    Weighting,
)
from sgdsl.middle.row import Leaf, Path, Row

Signed = tuple[int, Leaf]


def levelled(row: Row, terms: Iterable[Signed], bound: Collection[str], weighed: bool = False, path: Path = ()) -> Expr:
    """Logs of factors and divergences, each under the weighted sum over its own level. `bound`: nodes that are summed outside;
    `weighed`: whether the weights of labels count for values inside loops; `path`: the loops that are outside."""
    levels: dict[tuple[str, ...], list[Signed]] = {(): []}
    for sign, leaf in terms:
        level = tuple(c for c in row.level(leaf) if c not in bound and _stage(row, c, leaf) == path)
        levels.setdefault(level, []).append((sign, leaf))
    addends = _in_copies(row, levels.pop(()), bound, weighed, path)
    for level, inner in levels.items():
        body = Sum(tuple(_in_copies(row, inner, {*bound, *level}, weighed, path)))
        addends.append(Addend(_weighted(row, level, body, bound, weighed)))
    return addends[0].of if len(addends) == 1 and addends[0].one == 1 else Sum(tuple(addends))


def _stage(row: Row, node: str, leaf: Leaf) -> Path:
    """The loops inside which a term is summed over a node."""
    own, place = row.path(node), leaf.factor.axes
    return own if place[: len(own)] == own else place


def _in_copies(row: Row, terms: Sequence[Signed], bound: Collection[str], weighed: bool, path: Path) -> list[Addend]:
    """Terms whose values are bound here; those of further loops under the sum over copies."""
    found: list[Addend] = []
    loops: dict[ir.Range, list[Signed]] = {}
    for sign, leaf in terms:
        if leaf.factor.axes == path:
            found.append(Addend(row.term(leaf) if leaf.q else Log(row.term(leaf)), sign))
        else:
            loops.setdefault(leaf.factor.axes[len(path)], []).append((sign, leaf))
    for r, inner in loops.items():
        found.append(Addend(Copies("sum", row.loop(r), levelled(row, inner, bound, weighed, (*path, r)))))
    return found


def _weighted(row: Row, level: tuple[str, ...], body: Expr, bound: Collection[str], weighed: bool) -> Expr:
    """Σ over a level's values, each with its probability under q, inside loops with what labels weigh."""
    names, path = tuple(map(row.copy, level)), row.path(level[0])
    inner = row.beside(level[0]).union(*map(row.beside, level)) if path and weighed else set()
    labels = [v for v in row.weighed.before if v in inner]
    if not labels:
        return Total(names, Product((*_probability(row, level, bound), body)))
    deeper = [v for v in inner if v not in labels and row.path(v) != path]
    values = row.plan.scopes.ordered(v for v in {*inner, *level} if v not in (*labels, *deeper))
    above = [v for v in values if v in row.weighed.above]
    within, whole = (
        nested(row, deeper, row.labels((*found, *deeper, *labels)), path=path) for found in (values, above)
    )
    assert isinstance(within, Product)
    total = Total(tuple(map(row.copy, values)), Product((*within.factors, body)))
    return Quotient(total, Total(tuple(map(row.copy, above)), whole))


def _probability(row: Row, level: tuple[str, ...], bound: Collection[str]) -> tuple[Expr, ...]:
    """The probability of a level's values under q; what they depend on beside is summed out."""
    found: set[str] = set()
    todo, path = list(level), row.path(level[0])
    while todo:
        node = todo.pop()
        if node not in found and node not in bound and row.path(node) == path:
            found.add(node)
            todo += [c for c in row.bearing(node) if c != node]
    hidden = row.plan.scopes.ordered(found.difference(level))
    factors = tuple(p for v in row.plan.scopes.ordered(found) for p in row.probability(v))
    return (Total(tuple(map(row.copy, hidden)), Product(factors)),) if hidden else factors


def mean(row: Row, body: Expr, terms: Iterable[Leaf]) -> Expr:
    """The mean over the samples, where a term or the weight of its level depends on a draw."""
    todo, seen = [v for t in terms for v in (*row.family(t), *row.level(t))], set(row.weighed.known)
    while todo:
        node = todo.pop()
        if node not in seen and node in row.plan.choices and row.plan.choices[node].drawn:
            return Mean(body)
        if node not in seen and node in row.plan.choices:
            seen.add(node)
            todo += row.graphs.parents("q", node)
    return body


def nested(
    row: Row,
    values: Sequence[str],
    above: Sequence[ir.Factor],
    below: Sequence[ir.Factor] = (),
    soft: Sequence[Signed] = (),
    path: Path = (),
) -> Expr:
    """Σ over `values` of Π above · exp(soft) / Π below, those of a loop inside of the product over its copies."""
    here = [c for c in values if row.path(c) == path]
    deeper = {f.axes[len(path)] for f in (*above, *below, *(leaf.factor for _, leaf in soft)) if _inside(f, path)}
    deeper |= {row.path(c)[len(path)] for c in values if len(row.path(c)) > len(path)}
    copies = []
    for r in sorted(deeper, key=lambda r: row.plan.scopes.place[r.name]):
        inner, under = ([f for f in found if f.axes[len(path) : len(path) + 1] == (r,)] for found in (above, below))
        softer = [(sign, leaf) for sign, leaf in soft if leaf.factor.axes[len(path) : len(path) + 1] == (r,)]
        within = [c for c in values if row.path(c)[len(path) : len(path) + 1] == (r,)]
        copies.append(Copies("product", row.loop(r), nested(row, within, inner, under, softer, (*path, r))))
    averaged = [(sign, leaf) for sign, leaf in soft if not _inside(leaf.factor, path)]
    factors: tuple[Expr, ...] = tuple(row.density(f) for f in above if not _inside(f, path))
    factors += (Exp(levelled(row, averaged, values, path=path)),) if averaged else ()
    divided = tuple(row.density(f) for f in below if not _inside(f, path))
    product = Product((*factors, *copies))
    ratio: Expr = Quotient(product, Product(divided)) if divided else product
    return Total(tuple(map(row.copy, here)), ratio) if here else ratio


def _inside(factor: ir.Factor, path: Path) -> bool:
    """Whether a factor is in a loop further inside."""
    return len(factor.axes) > len(path)


def over_group(group: int, weighting: Weighting) -> Expr:
    """mean_s Σ_c ω of a group."""
    total: Expr = Total(weighting.values, Weight(group)) if weighting.values else Weight(group)
    return Mean(total) if weighting.drawn else total
