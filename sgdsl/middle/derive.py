"""Derives the objective of a pattern of labels: a model, its graphs and its plan come in, an expression goes out.

The rules are those of docs/objective.md: a bound's formula with r, w and f written out over the model's factors, every
term under the sums of its own scope, known labels outside B as exact logarithms. Only the graphs and the chosen
estimators are used, not the plan's levels and messages, so that the page can be compared with what is emitted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.estimators import Weighed, weigh
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.groups import Group, as_emitted, groups
from sgdsl.middle.objective import (
    Addend,
    Average,
    Density,
    Divergence,
    Draw,
    Exp,
    Expr,
    Log,
    Mean,
    Objective,
    Product,
    Quotient,
    Sum,
    Total,
    Weight,
    Weighting,
)
from sgdsl.middle.plan import Plan

Term = Density | Divergence
Signed = tuple[int, Term]


def derive(model: ir.Model, graphs: Graphs, plan: Plan, known: tuple[str, ...], alpha: bool = True) -> Objective:
    """The bound of a row that knows `known`. `alpha`: False where α is 0."""
    row = _row(model, graphs, plan, known)
    match plan.bound, plan.marginal:
        case "iw", _:
            addends = _iw(row)
        case "clamped", _:
            addends = _clamped(row)
        case _, "jensen":
            addends = _jensen(row)
        case _:
            addends = _snis(row)
    addends += [Addend(Log(row.q(v)), 0, 1) for v in row.exact]
    addends = [inner for a in addends for inner in _opened(a)]
    if not alpha:
        addends = [Addend(a.of, a.one) for a in addends if a.one]
    draws = tuple(Draw(v, model.factor("q", v).given, row.scope[v]) for v in row.drawn)
    return Objective(known, Sum(tuple(addends)), row.weights, draws)


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern. `scope`: the unknown enumerated nodes that a node's value depends on, through draws too; `reads`: the
    groups that it depends on; `drawn`: nodes that are drawn here; `exact`: known nodes whose log q is a constant."""

    model: ir.Model
    graphs: Graphs
    plan: Plan
    weighed: Weighed
    weights: tuple[Weighting, ...]
    scope: Mapping[str, tuple[str, ...]]
    reads: Mapping[str, frozenset[int]]
    drawn: Mapping[str, None]
    exact: tuple[str, ...]

    def q(self, node: str) -> Density:
        return Density("q", node, self.model.factor("q", node).given)

    def soft(self, node: str) -> bool:
        """Whether log p and log q of the node are averaged over its probabilities instead of read at the draw."""
        return node in self.drawn and self.plan.choices[node].relaxed

    def family(self, term: Term) -> tuple[str, ...]:
        """The nodes of a factor and their parents, lets contracted; what a divergence depends on."""
        if isinstance(term, Divergence):
            return tuple(v for d in (term.q, term.p) for v in self.family(d) if v != d.node)
        return (term.node, *self.graphs.parents(term.side, term.node))

    def level(self, term: Term) -> tuple[str, ...]:
        """The nodes that a term is summed over, in q's order."""
        found = {c for v in self.family(term) for c in self.scope[v]}
        found |= {term.node} if isinstance(term, Density) and self.soft(term.node) else set()
        return self.plan.scopes.ordered(found)

    def terms(self, side: ir.Side) -> list[Density]:
        """The factors whose log is part of f; those of q with unknown nodes only."""
        known = set(self.weighed.known) if side == "q" else set()
        found = (t.node for t in self.plan.terms if t.side == side and t.node not in known)
        return [Density(side, v, self.model.factor(side, v).given) for v in found]

    @property
    def enumerated(self) -> tuple[str, ...]:
        return tuple(v for v in self.plan.draws if self.scope[v] == (v,))


def _row(model: ir.Model, graphs: Graphs, plan: Plan, known: tuple[str, ...]) -> Row:
    weighed = weigh(graphs, plan.draws, plan.choices, known)
    told = set(known)
    free = [v for v in plan.draws if v not in told]
    drawn = dict.fromkeys(v for v in free if plan.choices[v].drawn and not plan.choices[v].listed)
    parts = as_emitted(groups(graphs, plan.draws, known), plan.groups, drawn, known)
    if parts and (plan.bound, plan.marginal) != ("snis", "lse"):
        parts = (Group(weighed.above, weighed.before),)
    scope: dict[str, tuple[str, ...]] = {n.name: () for n in model.nodes}
    reads: dict[str, frozenset[int]] = {n.name: frozenset() for n in model.nodes}
    member = {v: i for i, part in enumerate(parts) for v in part.members}
    for v in free:
        parents = graphs.parents("q", v)
        below = {c for u in parents for c in scope[u]}
        scope[v] = (v,) if plan.choices[v].listed else plan.scopes.ordered(below)
        reads[v] = frozenset((member[v],)) if v in member else frozenset().union(*(reads[u] for u in parents))
    exact = plan.scopes.ordered(told.difference(weighed.before))
    weights = tuple(_weighting(model, plan, drawn.keys(), part) for part in parts)
    return Row(model, graphs, plan, weighed, weights, scope, reads, drawn, exact)


def _weighting(model: ir.Model, plan: Plan, drawn: Set[str], part: Group) -> Weighting:
    values = tuple(v for v in plan.scopes.ordered(part.members) if plan.choices[v].name == "enumerate")
    factors = (Density("q", v, model.factor("q", v).given) for v in (*values, *part.labels))
    return Weighting(plan.scopes.ordered(drawn & set(part.members)), values, part.labels, tuple(factors))


# --- the bounds -----------------------------------------------------------------------------------------------


def _f(row: Row, labels: Iterable[str]) -> list[Signed]:
    """log p − log q: with the densities of what is unknown, and of `labels`; −KL of what is averaged over q."""
    inner = {t.node for t in row.terms("q")} | set(labels)
    q = [row.q(v) for v in row.plan.draws if v in inner]
    closed = row.plan.is_closed
    p: list[Signed] = [(-1, Divergence(row.q(t.node), t)) if closed(t.node) else (1, t) for t in row.terms("p")]
    return [*p, *((-1, t) for t in q if not closed(t.node))]


def _snis(row: Row) -> list[Addend]:
    """Σ w̄ f + (1 + α) Σ_g log mean w_g; a term stands under the average of the groups that it reads."""
    labels = [Addend(Log(_over_group(row, g)), 1, 1) for g in range(len(row.weights))]
    return [*_averaged(row), *labels]


def _averaged(row: Row) -> list[Addend]:
    """f under the average of each set of groups that its terms read; all of it where the model never has two groups."""
    apart = len(row.weights) != 1 or row.plan.groups is not None
    parts: dict[tuple[int, ...], list[Signed]] = {}
    for sign, term in _f(row, row.weighed.before):
        reads = {g for v in row.family(term) for g in row.reads[v]} if apart else {0}
        parts.setdefault(tuple(sorted(reads)), []).append((sign, term))
    found = []
    for read in sorted(parts, key=lambda p: (len(p), p)):
        bound = {c for g in read for c in row.weights[g].values}
        body = _levelled(row, parts[read], bound)
        found.append(Addend(Average(read, body) if read else _mean(row, body, (t for _, t in parts[read]))))
    return found


def _jensen(row: Row) -> list[Addend]:
    """Σ w̄ f + (1 + α) mean log w, log w averaged over enumerated values under q."""
    return [*_averaged(row), *_mean_log_w(row, 1)]


def _clamped(row: Row) -> list[Addend]:
    """mean (f + log w) + α mean log w: log q of the labels leaves the first mean."""
    f = _f(row, ())
    return [Addend(_mean(row, _levelled(row, f, ()), (t for _, t in f))), *_mean_log_w(row, 0)]


def _mean_log_w(row: Row, one: int) -> list[Addend]:
    labels: list[Signed] = [(1, row.q(v)) for v in row.weighed.before]
    return [Addend(_mean(row, _levelled(row, labels, ()), (t for _, t in labels)), one, 1)] if labels else []


def _iw(row: Row) -> list[Addend]:
    """log mean p / r + α log mean w; enumerated values are summed inside the logarithm."""
    hard = [t for t in row.terms("p") if not row.soft(t.node)]
    below = tuple(row.q(v) for v in row.drawn if not row.soft(v))
    soft: list[Signed] = [(1, t) for t in row.terms("p") if row.soft(t.node)]
    soft += [(-1, row.q(v)) for v in row.drawn if row.soft(v)]
    above: tuple[Expr, ...] = (*hard, Exp(_levelled(row, soft, row.enumerated))) if soft else tuple(hard)
    ratio: Expr = Quotient(Product(above), Product(below)) if below else Product(above)
    total = Total(row.enumerated, ratio) if row.enumerated else ratio
    addends = [Addend(Log(_mean(row, total, (*row.terms("p"), *below))))]
    return addends + [Addend(Log(_over_group(row, g)), 0, 1) for g in range(len(row.weights))]


# --- their parts ----------------------------------------------------------------------------------------------


def _opened(addend: Addend) -> tuple[Addend, ...]:
    """A plain sum as its addends."""
    plain = (addend.one, addend.alpha) == (1, 0)
    return addend.of.addends if plain and isinstance(addend.of, Sum) else (addend,)


def _mean(row: Row, body: Expr, terms: Iterable[Term]) -> Expr:
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


def _over_group(row: Row, group: int) -> Expr:
    """mean_s Σ_c ω of a group."""
    weighting = row.weights[group]
    total: Expr = Total(weighting.values, Weight(group)) if weighting.values else Weight(group)
    return Mean(total) if weighting.drawn else total


def _levelled(row: Row, terms: Iterable[Signed], bound: Collection[str]) -> Expr:
    """Logs of factors and divergences, each under the weighted sum over its own level; `bound`: nodes that are summed outside."""
    levels: dict[tuple[str, ...], list[Addend]] = {(): []}
    for sign, term in terms:
        level = tuple(c for c in row.level(term) if c not in bound)
        levels.setdefault(level, []).append(Addend(Log(term) if isinstance(term, Density) else term, sign))
    addends = levels.pop(())
    for level, inner in levels.items():
        addends.append(Addend(Total(level, Product((*_weight(row, level, bound), Sum(tuple(inner)))))))
    return addends[0].of if len(addends) == 1 and addends[0].one == 1 else Sum(tuple(addends))


def _weight(row: Row, level: tuple[str, ...], bound: Collection[str]) -> tuple[Expr, ...]:
    """The probability of a level's values under q; what they depend on beside is summed out."""
    found: set[str] = set()
    todo = list(level)
    while todo:
        node = todo.pop()
        if node not in found and node not in bound:
            found.add(node)
            todo += [c for c in row.level(row.q(node)) if c != node]
    hidden = row.plan.scopes.ordered(found.difference(level))
    factors: tuple[Expr, ...] = tuple(row.q(v) for v in row.plan.scopes.ordered(found))
    return (Total(hidden, Product(factors)),) if hidden else factors
