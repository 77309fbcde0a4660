"""Derives the objective of a pattern of labels: a model, its graphs and its plan come in, an expression goes out.

The rules are those of docs/objective.md: a bound's formula with r, w and f written out over the model's factors, every
term under the sums of its own scope, known labels outside B as exact logarithms. Only the graphs and the chosen
estimators are used, not the plan's levels and messages, so that the page can be compared with what is emitted.
"""

from __future__ import annotations

from collections.abc import Iterable

from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.objective import Addend, Average, Draw, Log, Objective, Product, Sum, Weighting, in_loops
from sgdsl.middle.plan import Plan
from sgdsl.middle.row import Leaf, Row, row_of
from sgdsl.middle.staged import Signed, levelled, mean, nested, over_group


def derive(model: ir.Model, graphs: Graphs, plan: Plan, known: tuple[str, ...], alpha: bool = True) -> Objective:
    """The bound of a row that knows `known`. `alpha`: False where α is 0."""
    row = row_of(model, graphs, plan, known)
    weights = tuple(_weighting(row, group) for group in range(len(row.parts)))
    match plan.bound, plan.marginal:
        case "iw", _:
            addends = _iw(row, weights)
        case "clamped", _:
            addends = _clamped(row)
        case _, "jensen":
            addends = _jensen(row, weights)
        case _:
            addends = _snis(row, weights)
    addends += [inner for v in row.exact for inner in _exact(row, v)]
    addends = [inner for a in addends for inner in _opened(a)]
    if not alpha:
        addends = [Addend(a.of, a.one) for a in addends if a.one]
    return Objective(known, Sum(tuple(addends)), weights, tuple(_draws(row)))


def _draws(row: Row) -> Iterable[Draw]:
    """Each drawn node, a piece of its copies at a time."""
    for v in row.drawn:
        for factor in row.model.pieces("q", v):
            density = row.density(factor)
            yield Draw(
                density.node, density.given, tuple(map(row.copy, row.scope[v])), tuple(map(row.loop, factor.axes))
            )


def _weighting(row: Row, group: int) -> Weighting:
    part, path, outer = row.parts[group], row.apart[group], row.bound(group)
    drawn = row.plan.scopes.ordered(row.drawn.keys() & set(part.members))
    values = [v for v in row.plan.scopes.ordered(part.members) if row.plan.choices[v].name == "enumerate"]
    inner = [v for v in values if v not in outer]
    whole = nested(row, inner, row.labels((*values, *part.labels)), path=path)
    assert isinstance(whole, Product)
    names = tuple(map(row.copy, outer))
    return Weighting(drawn, names, part.labels, whole.factors, tuple(map(row.loop, path)))


def _exact(row: Row, node: str) -> list[Addend]:
    """α log q of a known node whose parents are known."""
    found = levelled(row, [(1, Leaf(f)) for f in row.labels((node,))], ())
    return [Addend(a.of, 0, a.one) for a in found.addends] if isinstance(found, Sum) else [Addend(found, 0, 1)]


# --- the bounds -----------------------------------------------------------------------------------------------


def _f(row: Row, labels: Iterable[str]) -> list[Signed]:
    """log p − log q: with the densities of what is unknown, and of `labels`; −KL of what is averaged over q."""
    inner = {f.node for f in row.terms("q")} | set(labels)
    q = [f for v in row.plan.draws if v in inner for f in row.model.pieces("q", v)]
    closed = row.plan.is_closed
    p = [(-1, Leaf(f, row.model.factor("q", f.id))) if closed(f.id) else (1, Leaf(f)) for f in row.terms("p")]
    return [*p, *((-1, Leaf(f)) for f in q if not closed(f.id))]


def _snis(row: Row, weights: tuple[Weighting, ...]) -> list[Addend]:
    """Σ w̄ f + (1 + α) Σ_g log mean w_g; a term stands under the average of the groups that it reads."""
    labels = [Addend(in_loops("sum", w.loops, Log(over_group(g, w))), 1, 1) for g, w in enumerate(weights)]
    return [*_averaged(row, weights), *labels]


def _averaged(row: Row, weights: tuple[Weighting, ...]) -> list[Addend]:
    """f under the average of each set of groups that its terms read; all of it where the model never has two groups."""
    apart = len(weights) != 1 or row.plan.groups is not None
    varying = {g for g, w in enumerate(weights) if w.drawn or w.values}
    parts: dict[tuple[tuple[int, ...], tuple[tuple[int, int], ...]], list[Signed]] = {}
    for sign, term in _f(row, row.weighed.before):
        reads = {g for v in row.family(term) for g in row.reads[v]} if apart else {0}
        whole = tuple((g, own) for g, own in sorted(row.meets(term).items()) if g in reads & varying)
        parts.setdefault((tuple(sorted(reads & varying)), whole), []).append((sign, term))
    found = []
    for read, whole in sorted(parts, key=lambda p: (len(p[0]), p)):
        terms = parts[read, whole]
        met = dict(whole)
        path = max((row.apart[g][: met.get(g)] for g in read), key=len, default=())
        bound = {c for g in read if g not in met for c in row.bound(g)}
        body = levelled(row, terms, bound, weighed=True, path=path)
        averaged = Average(read, body, whole) if read else mean(row, body, (t for _, t in terms))
        found.append(Addend(in_loops("sum", map(row.loop, path), averaged)))
    return found


def _jensen(row: Row, weights: tuple[Weighting, ...]) -> list[Addend]:
    """Σ w̄ f + (1 + α) mean log w, log w averaged over enumerated values under q."""
    return [*_averaged(row, weights), *_mean_log_w(row, 1)]


def _clamped(row: Row) -> list[Addend]:
    """mean (f + log w) + α mean log w: log q of the labels leaves the first mean."""
    f = _f(row, ())
    return [Addend(mean(row, levelled(row, f, ()), (t for _, t in f))), *_mean_log_w(row, 0)]


def _mean_log_w(row: Row, one: int) -> list[Addend]:
    labels: list[Signed] = [(1, Leaf(f)) for f in row.labels(row.weighed.before)]
    return [Addend(mean(row, levelled(row, labels, ()), (t for _, t in labels)), one, 1)] if labels else []


def _iw(row: Row, weights: tuple[Weighting, ...]) -> list[Addend]:
    """log mean p / r + α log mean w; enumerated values are summed inside the logarithm."""
    p = row.terms("p")
    hard = [f for f in p if not row.soft(f.node)]
    below = row.labels(v for v in row.drawn if not row.soft(v))
    soft: list[Signed] = [(1, Leaf(f)) for f in p if row.soft(f.node)]
    soft += [(-1, Leaf(f)) for f in row.labels(v for v in row.drawn if row.soft(v))]
    total = nested(row, row.enumerated, hard, below, soft)
    addends = [Addend(Log(mean(row, total, map(Leaf, (*p, *below)))))]
    return addends + [Addend(Log(over_group(g, w)), 0, 1) for g, w in enumerate(weights)]


def _opened(addend: Addend) -> tuple[Addend, ...]:
    """A plain sum as its addends."""
    plain = (addend.one, addend.alpha) == (1, 0)
    return addend.of.addends if plain and isinstance(addend.of, Sum) else (addend,)
