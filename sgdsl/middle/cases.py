"""How many cases the terms of a model have while its finite nodes are enumerated one after the other: q's graph and sizes
come in, the largest number of cases after each decision goes out.

A node of q that is not decided yet passes on what its parents depend on, so that a decision touches every node below. But a
term need not be looked at while a bound on its cases is below the largest number that is certain, and few ever must be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

Listed = frozenset[str]
Factors = Iterable[tuple[str, Sequence[str], bool]]
ENDLESS = 1 << 60  # bounds beyond it are the same


@dataclass(frozen=True, slots=True)
class Graph:
    """q: the `parents` and `children` of each node in q's order, the number of values of the finite ones (`size`), when each
    is decided (`since`: its place in the order, −1 where that is written in the file: in `always`, listed alone; in `partly`,
    beside what its parents depend on), and the terms that each stands in (`member`)."""

    parents: Mapping[str, Sequence[str]]
    children: Mapping[str, Sequence[str]]
    size: Mapping[str, int]
    since: Mapping[str, int]
    always: Collection[str]
    partly: Collection[str]
    member: Mapping[str, Sequence[int]]
    families: Sequence[Family]


@dataclass(frozen=True, slots=True)
class Family:
    """The nodes of q in a factor: when the `first` and the `last` is decided, and a bound on its cases before the first
    decision (`far`) and after it."""

    members: tuple[str, ...]
    first: int
    last: int
    far: int
    bound: int


@dataclass(slots=True)
class Watched:
    """A term: how many of its nodes depend on each listed node, and its cases."""

    counts: Counter[str] = field(default_factory=Counter)
    cases: int = 1


@dataclass(slots=True)
class Cases:
    """`now`: the place of the last decided node; `scope`: what decided nodes, and those `watched`, depend on; `terms`: those
    watched, `totals` how many of them have as many cases; `certain`: the most cases of terms whose nodes are all decided."""

    graph: Graph
    now: int = -1
    scope: dict[str, Listed] = field(default_factory=dict)
    watched: set[str] = field(default_factory=set)
    terms: dict[int, Watched] = field(default_factory=dict)
    totals: Counter[int] = field(default_factory=Counter)
    certain: int = 1

    def decide(self, node: str, listed: bool) -> None:
        """The next node of q is decided: `listed` alone, or not."""
        before = self.certain
        self.now = self.graph.since[node] if node not in self.graph.always else self.now
        self.watched.discard(node)
        self._set(node, frozenset((node,)) if listed or node in self.graph.always else self._passed(node))
        for i in self.graph.member[node]:
            self._look(i)
        if self.certain > before:
            self._forget()

    def most(self, node: str, twice: Collection[int] = ()) -> int:
        """The most cases of any term if the next node were listed, in the terms `twice` two copies of it."""
        before, known, self.now = self.now, node in self.scope, self.graph.since[node]
        self._set(node, frozenset((node,)))
        found = [self._cases(i) for i in self.graph.member[node] if i not in self.terms]
        found += [self._cases(i) * self.graph.size[node] for i in twice]
        most = max(self.certain, *found, *self.totals)
        self._set(node, self._passed(node))
        self.now = before
        if not known:
            del self.scope[node]
        return most

    def _passed(self, node: str) -> Listed:
        """What a node that is not listed alone depends on."""
        own: Listed = frozenset((node,)) if node in self.graph.partly else frozenset()
        return own.union(*(self.scope[p] for p in self.graph.parents[node]))

    def _set(self, node: str, scope: Listed) -> None:
        """A new scope of a node, and of the watched nodes below it."""
        queue = [(self.graph.since[node], node)]
        while queue:
            _, v = heappop(queue)
            old, new = self.scope.get(v), scope if v == node else self._passed(v)
            if new == old:
                continue
            self.scope[v] = new
            for i in self.graph.member[v]:
                if i in self.terms and old is not None:
                    self._change(i, old, new)
            for child in self.graph.children[v]:
                if child in self.watched:
                    heappush(queue, (self.graph.since[child], child))

    def _change(self, i: int, old: Listed, new: Listed) -> None:
        """A node of a watched term depends on something else."""
        term = self.terms[i]
        self._total(term.cases, -1)
        for c in old - new:
            term.counts[c] -= 1
            if not term.counts[c]:
                del term.counts[c]
                term.cases //= self.graph.size[c]
        for c in new - old:
            term.cases *= 1 if c in term.counts else self.graph.size[c]
            term.counts[c] += 1
        self._total(term.cases, 1)

    def _total(self, cases: int, more: int) -> None:
        self.totals[cases] += more
        if not self.totals[cases]:
            del self.totals[cases]

    def _look(self, i: int) -> None:
        """A term of which a node was decided: certain now, watched, or too small to matter."""
        family = self.graph.families[i]
        if family.last <= self.now:
            self._unwatch(i)
            self.certain = max(self.certain, self._cases(i))
        elif family.bound <= self.certain:
            self._unwatch(i)
        else:
            self._watch(i)

    def _cases(self, i: int) -> int:
        """The cases of a term, the scopes of its nodes found where they are not watched."""
        members, cases = self.graph.families[i].members, 1
        self._find(members)
        for c in frozenset[str]().union(*(self.scope[v] for v in members)):
            cases *= self.graph.size[c]
        return cases

    def _find(self, nodes: Iterable[str]) -> None:
        """Watch nodes that are not decided, and all above them that are not."""
        new: dict[str, None] = {}
        todo = list(nodes)
        while todo:
            v = todo.pop()
            if self.graph.since[v] > self.now and v not in self.watched and v not in new:
                new[v] = None
                todo.extend(self.graph.parents[v])
        for v in sorted(new, key=self.graph.since.__getitem__):
            self.scope[v] = self._passed(v)
        self.watched |= new.keys()

    def _watch(self, i: int) -> None:
        if i not in self.terms:
            self._find(self.graph.families[i].members)
            self.terms[i] = Watched()
            self._total(1, 1)
            for v in self.graph.families[i].members:
                self._change(i, frozenset(), self.scope[v])

    def _unwatch(self, i: int) -> None:
        if i in self.terms:
            self._total(self.terms.pop(i).cases, -1)

    def _forget(self) -> None:
        """Watch only what may still have more cases than are certain."""
        for i in list(self.terms):
            family = self.graph.families[i]
            if (family.bound if family.first <= self.now else family.far) <= self.certain:
                self._unwatch(i)
        for v in self.watched:
            del self.scope[v]
        self.watched.clear()
        self._find(v for i in self.terms for v in self.graph.families[i].members)


def cases(
    parents: Mapping[str, Sequence[str]],
    factors: Factors,
    size: Mapping[str, int],
    always: Collection[str],
    partly: Collection[str],
) -> Cases:
    """Nothing is decided but what is written. `parents`: of each node of q, those in q, in q's order; `size`: of those that
    may be listed; `factors`: of each term its node, the parents of that, and whether it is one of q."""
    since = {v: -1 if v in always else i for i, v in enumerate(parents)}
    passing: dict[str, int] = {}  # bounds on the cases of what a node depends on until it is decided, and at any time
    ever: dict[str, int] = {}
    for v, read in parents.items():
        above = _bound(ever[p] for p in read)
        passing[v] = size[v] if v in always else min(ENDLESS, above * size[v]) if v in partly else above
        ever[v] = max(passing[v], size.get(v, 1))
    children: dict[str, list[str]] = {v: [] for v in parents}
    member: dict[str, list[int]] = {v: [] for v in parents}
    families: list[Family] = []
    for v, read in parents.items():
        for p in read:
            children[p].append(v)
    for node, given, of_q in factors:
        members = tuple(v for v in dict.fromkeys((node, *given)) if v in parents)
        through = of_q and node not in always and node not in partly  # then it depends on what its parents do
        inner = [v for v in members if not (through and v == node)]
        places = [since[v] for v in members] or [-1]
        bounds = (_bound(bound[v] for v in inner) for bound in (passing, ever))
        for v in members:
            member[v].append(len(families))
        families.append(Family(members, min(places), max(places), *bounds))
    found = Cases(Graph(parents, children, size, since, always, partly, member, families))
    found.scope = {v: frozenset((v,)) for v in always}
    for i, family in enumerate(families):
        if family.first < 0 or family.far > 1:
            found._look(i)
    found._forget()
    return found


def _bound(sizes: Iterable[int]) -> int:
    bound = 1
    for size in sizes:
        bound = min(ENDLESS, bound * size)
    return bound
