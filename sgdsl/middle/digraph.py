"""Directed graphs: names and edges come in; parents, children, orders, what lies above and below a name go out.

Every walk costs at most the edges that it passes, so that a pass over a model costs its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

Names = Mapping[str, None]


@dataclass(frozen=True, slots=True)
class Digraph:
    """`above`: for each node, in order, those it has an edge from; `below`: those it has an edge to, in order of the edges."""

    above: Mapping[str, Names]
    below: Mapping[str, Names]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.above)

    @property
    def edges(self) -> Iterator[tuple[str, str]]:
        return ((u, v) for u, below in self.below.items() for v in below)

    def __iter__(self) -> Iterator[str]:
        return iter(self.above)

    def __contains__(self, node: object) -> bool:
        return node in self.above

    def __len__(self) -> int:
        return len(self.above)

    def has_edge(self, u: str, v: str) -> bool:
        return v in self.below.get(u, ())

    def predecessors(self, node: str) -> Iterator[str]:
        return iter(self.above[node])

    def successors(self, node: str) -> Iterator[str]:
        return iter(self.below[node])

    def ancestors(self, *nodes: str) -> set[str]:
        """What has a path of one edge or more to one of the nodes."""
        return reached(self.above, nodes)

    def descendants(self, *nodes: str) -> set[str]:
        """What one of the nodes has a path of one edge or more to."""
        return reached(self.below, nodes)

    def without(self, nodes: Iterable[str]) -> Digraph:
        """The graph of the other nodes."""
        gone = set(nodes)
        return digraph((v for v in self if v not in gone), (e for e in self.edges if not gone.intersection(e)))

    def generations(self) -> tuple[str, ...]:
        """Topological: first what has no parent, then what has parents among these alone, and so on; what is on or below a
        cycle is missing."""
        waiting = {v: len(above) for v, above in self.above.items()}
        found = [v for v, count in waiting.items() if count == 0]
        for v in found:  # grows while it is read
            for child in self.below[v]:
                waiting[child] -= 1
                if waiting[child] == 0:
                    found.append(child)
        return tuple(found)

    @property
    def acyclic(self) -> bool:
        return len(self.generations()) == len(self)

    def order(self, key: Callable[[str], object]) -> tuple[str, ...]:
        """Topological, of what could come next always the one with the smallest key. Keys differ; no cycles."""
        waiting = {v: len(above) for v, above in self.above.items()}
        free: list[tuple[object, str]] = [(key(v), v) for v, count in waiting.items() if count == 0]
        heapify(free)
        found = []
        while free:
            _, v = heappop(free)
            found.append(v)
            for child in self.below[v]:
                waiting[child] -= 1
                if waiting[child] == 0:
                    heappush(free, (key(child), child))
        assert len(found) == len(self), "the graph has a cycle"
        return tuple(found)

    def cycles(self) -> Iterator[tuple[str, ...]]:
        """One cycle of each strongly connected part that has one: v₁ → v₂ → … → v₁, without the repetition."""
        left = self.without(self.generations())
        while len(left):
            cycle = left._cycle(left.nodes[0])
            yield cycle
            left = left.without(left.ancestors(*cycle) & left.descendants(*cycle))
            left = left.without(left.generations())

    def components(self) -> Iterator[frozenset[str]]:
        """The strongly connected parts that have a cycle: several nodes, or one with an edge to itself."""
        left = self.without(self.generations())
        for v in left:
            part = left.ancestors(v) & left.descendants(v)
            if part and v == next(u for u in left if u in part):
                yield frozenset(part)

    def _cycle(self, start: str) -> tuple[str, ...]:
        """Upwards from a node that is on or below a cycle, to where the path meets itself; the first node in front."""
        path, place = [start], {start: 0}
        while True:
            above = next(u for u in self.above[path[-1]])
            if above in place:
                cycle = path[: place[above] - 1 : -1] if place[above] else path[::-1]
                first = cycle.index(next(v for v in self if v in cycle))
                return (*cycle[first:], *cycle[:first])
            place[above] = len(path)
            path.append(above)


def digraph(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> Digraph:
    """Nodes in order, those that only edges name behind."""
    above: dict[str, dict[str, None]] = {v: {} for v in nodes}
    below: dict[str, dict[str, None]] = {v: {} for v in above}
    for u, v in edges:
        for name in (u, v):
            if name not in above:
                above[name], below[name] = {}, {}
        above[v][u] = None
        below[u][v] = None
    return Digraph(above, below)


def reached(near: Mapping[str, Iterable[str]], nodes: Iterable[str]) -> set[str]:
    """What has a path of one edge or more from one of the nodes; what `near` lacks leads nowhere."""
    found: set[str] = set()
    todo = list(nodes)
    while todo:
        for other in near.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
