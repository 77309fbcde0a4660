"""What a row of one pattern of labels depends on: a model, its graphs and its plan come in; scopes of values and terms go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.estimators import Weighed, weigh
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.groups import Group, as_emitted, groups
from sgdsl.middle.objective import Copies, Density, Divergence, Expr, Loop
from sgdsl.middle.plan import Plan
from sgdsl.middle.plates import Readings, readings
from sgdsl.middle.written import copy_of, copy_text, written

Path = tuple[ir.Range, ...]  # loops, from outside in


@dataclass(frozen=True, slots=True)
class Leaf:
    """log of a factor; with `q` the divergence of q from it."""

    factor: ir.Factor
    q: ir.Factor | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern. `scope`: the unknown enumerated nodes that a node's value depends on, through draws too; `reads`: the
    groups that it depends on; `drawn`: nodes that are drawn here; `exact`: known nodes whose log q is a constant; `apart`: of
    each part the loops of which each copy is a group of its own; `readings`: which copies of these are read."""

    model: ir.Model
    graphs: Graphs
    plan: Plan
    weighed: Weighed
    parts: tuple[Group, ...]
    scope: Mapping[str, tuple[str, ...]]
    reads: Mapping[str, frozenset[int]]
    drawn: Mapping[str, None]
    exact: tuple[str, ...]
    apart: tuple[Path, ...]
    readings: Readings

    def density(self, factor: ir.Factor) -> Density:
        """A factor as written, copies with their indices."""
        given = dict.fromkeys(written(self.model, name) for name in factor.given)
        return Density(factor.side, copy_of(factor), tuple(given))

    def term(self, leaf: Leaf) -> Density | Divergence:
        p = self.density(leaf.factor)
        return Divergence(self.density(leaf.q), p) if leaf.q else p

    def loop(self, r: ir.Range) -> Loop:
        count = self.model.axis(r.axis).count
        last = count if count and r.last == self.model.axis(r.axis).last else r.last
        return Loop(r.axis, r.first, last)

    def copy(self, node: str) -> str:
        """A node's copy in its own loops, `y[i]`; of a chain all copies, `c[*]`."""
        if node in self.plan.scopes.chains:
            return f"{node}[{', '.join([*(r.axis for r in self.path(node)), '*'])}]"
        return copy_text(node, self.path(node))

    def path(self, node: str) -> Path:
        """The loops inside which a node's values are summed over: of a chain, which is summed over whole, those outside it."""
        axes = self.model.node(node).axes
        return axes[:-1] if node in self.plan.scopes.chains else axes

    def q(self, node: str) -> tuple[ir.Factor, ...]:
        """The factor of a node, in loops that of most copies; of a chain those of all copies."""
        whole = node in self.plan.scopes.chains
        return self.model.pieces("q", node) if whole else (self.model.factor("q", node),)

    def probability(self, node: str) -> tuple[Expr, ...]:
        """q of a node where it is summed over."""
        found: list[Expr] = []
        for factor in self.q(node):
            inner: Expr = self.density(factor)
            for r in reversed(factor.axes[len(self.path(node)) :]):
                inner = Copies("product", self.loop(r), inner)
            found.append(inner)
        return tuple(found)

    def bearing(self, node: str) -> set[str]:
        """The enumerated nodes that q of a node depends on, itself among them."""
        return {c for factor in self.q(node) for c in self.read(Leaf(factor))}

    def soft(self, node: str) -> bool:
        """Whether log p and log q of the node are averaged over its probabilities instead of read at the draw."""
        return node in self.drawn and self.plan.choices[node].relaxed

    def family(self, leaf: Leaf) -> tuple[str, ...]:
        """The nodes of a factor and their parents, lets contracted; what a divergence depends on."""
        node, contracted = leaf.factor.node, self.graphs.lets.contracted
        if leaf.q:
            return tuple(v for f in (leaf.q, leaf.factor) for v in contracted(f.given) if v != node)
        return (node, *contracted(leaf.factor.given))

    def meets(self, leaf: Leaf) -> dict[int, int]:
        """The groups of copies of which a term reads other copies than its own, each with in how many loops it is its own."""
        factor = leaf.factor
        reading = dict(self.readings.of((factor.node, *factor.given)))
        if factor.piece:
            reading |= dict.fromkeys(self.readings.of([factor.node]), 0)
        found = {}
        for group, (part, path) in enumerate(zip(self.parts, self.apart, strict=True)):
            own = min(reading.get(v, len(path)) for v in part.members)
            if own < len(path):
                found[group] = own
        return found

    def bound(self, group: int) -> tuple[str, ...]:
        """The enumerated members of a group over whose values its weight is averaged: outside loops, or in its own."""
        values = (v for v in self.parts[group].members if self.plan.choices[v].name == "enumerate")
        return self.plan.scopes.ordered(v for v in values if self.path(v) == self.apart[group])

    def read(self, leaf: Leaf) -> tuple[str, ...]:
        """The enumerated nodes that a term depends on, in q's order."""
        node = leaf.factor.node
        found = {c for v in self.family(leaf) for c in self.scope[v]}
        found |= {node} if leaf.q is None and self.soft(node) else set()
        return self.plan.scopes.ordered(found)

    def level(self, leaf: Leaf) -> tuple[str, ...]:
        """The nodes that a term is summed over, in q's order: what it depends on; the number of its copies; and outside of
        loops what the weights of the nodes inside depend on."""
        counts = (self.model.axis(r.axis).count for r in leaf.factor.axes)
        todo = [*self.read(leaf), *(c for k in counts if k for c in self.scope[k])]
        found: set[str] = set()
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                inner = self.beside(node) if self.path(node) else ()
                todo += [c for v in inner for c in self.bearing(v) if not self._within(c, self.path(node))]
        return self.plan.scopes.ordered(found)

    def beside(self, node: str) -> set[str]:
        """The nodes of a loop, and of loops inside it, that bear on the weight of one: what its q depends on, and labels that
        weigh these."""
        path, found = self.path(node), {node}
        bearing = [v for v in (*self.weighed.above, *self.weighed.before) if self._within(v, path)]
        while True:
            reads = {v: {c for c in self.bearing(v) if self._within(c, path)} for v in (*found, *bearing)}
            more = {c for v in found for c in reads[v]} | {v for v in bearing if reads[v] & found}
            more = {v for v in more if v in self.weighed.known or self.scope[v] == (v,)}
            if more <= found:
                return found
            found |= more

    def _within(self, node: str, path: Path) -> bool:
        return self.path(node)[: len(path)] == path

    def terms(self, side: ir.Side) -> list[ir.Factor]:
        """The factors whose log is part of f; those of q with unknown nodes only."""
        known = set(self.weighed.known) if side == "q" else set()
        found = (self.model.factor(side, t.node) for t in self.plan.terms if t.side == side)
        return [f for f in found if f.node not in known]

    def labels(self, nodes: Iterable[str]) -> list[ir.Factor]:
        """The factors of q of known nodes, those of all pieces."""
        return [f for v in nodes for f in self.model.pieces("q", v)]

    @property
    def enumerated(self) -> tuple[str, ...]:
        return tuple(v for v in self.plan.draws if self.scope[v] == (v,))


def row_of(model: ir.Model, graphs: Graphs, plan: Plan, known: tuple[str, ...]) -> Row:
    """A row that knows `known`."""
    weighed = weigh(graphs, plan.draws, plan.choices, known)
    told = set(known)
    free = [v for v in plan.draws if v not in told]
    drawn = dict.fromkeys(v for v in free if plan.choices[v].drawn and not plan.choices[v].listed)
    parts = as_emitted(groups(graphs, plan.draws, known), plan.groups, drawn, known)
    if parts and ((plan.bound, plan.marginal) != ("snis", "lse") or (model.axes and plan.groups is None)):
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
    loops = plan.groups.loops if plan.groups else {}
    depths = [max((len(loops.get(v, ())) for v in part.members if v in drawn), default=0) for part in parts]
    apart = tuple(model.node(part.members[0]).axes[:d] for part, d in zip(parts, depths, strict=True))
    passing = [v for v in free if (v in drawn or plan.choices[v].name == "delta") and v not in member]
    found = readings(model, tuple(free), member, passing)
    return Row(model, graphs, plan, weighed, parts, scope, reads, drawn, exact, apart, found)
