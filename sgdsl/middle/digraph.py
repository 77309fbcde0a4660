"""Directed graphs of networkx: names and edges come in; a frozen graph that answers what lies above and below a name goes out.

Every walk costs at most the edges that it passes, so that a pass over a model costs its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import networkx as nx

Names = Mapping[str, object]


class Digraph(nx.DiGraph):  # type: ignore[misc]
    """Nodes in the order of the file, edges in the order of the parents; frozen by `digraph`."""

    @property
    def above(self) -> Mapping[str, Names]:
        """For each node those it has an edge from."""
        return self._pred  # type: ignore[no-any-return]

    @property
    def below(self) -> Mapping[str, Names]:
        """For each node those it has an edge to."""
        return self._succ  # type: ignore[no-any-return]

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
        """Topological: first what has no parent, then what has parents among these alone, and so on. No cycles."""
        return tuple(nx.topological_sort(self))

    @property
    def acyclic(self) -> bool:
        return bool(nx.is_directed_acyclic_graph(self))

    def order(self, key: Callable[[str], object]) -> tuple[str, ...]:
        """Topological, of what could come next always the one with the smallest key. Keys differ; no cycles."""
        return tuple(nx.lexicographical_topological_sort(self, key))

    def cycles(self) -> Iterator[tuple[str, ...]]:
        """One cycle of each strongly connected part that has one: v₁ → v₂ → … → v₁, without the repetition, its first node
        of the file in front."""
        place = {v: i for i, v in enumerate(self)}
        firsts = {min(part, key=place.__getitem__): part for part in nx.strongly_connected_components(self)}
        for first in sorted(firsts, key=place.__getitem__):
            if len(firsts[first]) > 1 or self.has_edge(first, first):
                yield tuple(u for u, _ in nx.find_cycle(self.subgraph(firsts[first]), first))


def digraph(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> Digraph:
    """Nodes in order, those that only edges name behind."""
    graph = Digraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    frozen: Digraph = nx.freeze(graph)
    return frozen


def reached(near: Mapping[str, Names], nodes: Iterable[str]) -> set[str]:
    """What has a path of one edge or more from one of the nodes."""
    found: set[str] = set()
    todo = list(nodes)
    while todo:
        for other in near[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
