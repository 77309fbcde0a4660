"""The graph of p and what is written of q come in; an order in which q can draw its nodes goes out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import networkx as nx

from sgdsl.middle import ir

Roles = Mapping[str, ir.Role]
UNKNOWN: tuple[ir.Role, ...] = ("supervised", "latent")


def constraints(p: nx.DiGraph, roles: Roles, written: Mapping[str, Iterable[str]], after: bool) -> nx.DiGraph:
    """An edge u → v: u is drawn before v, because a written factor of v reads u; with `after`, because v is a label
    without a written factor and u one of its own latents, where no written factor forbids that. May have cycles."""
    unknown = [v for v in p if roles[v] in UNKNOWN]
    graph = nx.DiGraph()
    graph.add_nodes_from(unknown)
    for node, parents in written.items():
        graph.add_edges_from((u, node) for u in parents if u in graph)
    if after:
        for label in (v for v in unknown if roles[v] == "supervised" and v not in written):
            later = nx.descendants(graph, label)
            graph.add_edges_from((u, label) for u in _own_latents(p, roles, label) if u not in later)
    return graph


def _own_latents(p: nx.DiGraph, roles: Roles, label: str) -> list[str]:
    """The latents that depend on the label in p; where none does, all of them."""
    below = nx.descendants(p, label)
    latents = [v for v in p if roles[v] == "latent"]
    return [v for v in latents if v in below] or latents


def sampling_order(p: nx.DiGraph, roles: Roles, written: Container[str], needs: nx.DiGraph) -> tuple[str, ...]:
    """The unknown nodes of p, such that each comes after what it `needs` (acyclic): labels as early as that lets them;
    latents with a written factor before those without, whose factors may then read them; the rest by min-fill. The
    order is found from its end: what is eliminated first is drawn last, ties by p's topological order, so that nodes
    near the data are drawn first."""
    place = {v: i for i, v in enumerate(nx.topological_sort(p))}
    rank = {v: _rank(v, roles, written, needs) for v in needs}
    moral = _Moral(p, roles)
    waiting = {v: needs.out_degree(v) for v in needs}
    free = {v for v, count in waiting.items() if count == 0}
    order = []
    while free:
        last = min(free, key=lambda v: (rank[v], moral.fill[v], place[v]))
        free.remove(last)
        moral.eliminate(last)
        order.append(last)
        for before in needs.predecessors(last):
            waiting[before] -= 1
            if waiting[before] == 0:
                free.add(before)
    assert len(order) == len(needs), "the constraints have a cycle"
    return tuple(reversed(order))


def _rank(node: str, roles: Roles, written: Container[str], needs: nx.DiGraph) -> int:
    """0: made latents, 1: written ones, 2: labels that must come after a latent, 3: labels that need not."""
    if roles[node] == "latent":
        return 1 if node in written else 0
    return 2 if any(roles[u] == "latent" for u in nx.ancestors(needs, node)) else 3


class _Moral:
    """The moral graph of p while its unknown nodes are eliminated. `fill`: how many edges the elimination of a node
    would add; edges between known nodes are free. `near` of a known node holds its unknown neighbours only."""

    def __init__(self, p: nx.DiGraph, roles: Roles) -> None:
        self.near: dict[str, set[str]] = {v: set() for v in p}
        self.unknown = {v for v in p if roles[v] in UNKNOWN}
        for child in p:
            family = (*p.predecessors(child), child)
            for v in family:
                self.near[v].update(family if v in self.unknown else self.unknown.intersection(family))
        for v, near in self.near.items():
            near.discard(v)
        self.fill = {v: self._missing(v) for v in self.unknown}

    def _missing(self, v: str) -> int:
        near = self.near[v]
        inner = near & self.unknown
        to_known = sum(len(near - inner - self.near[u]) for u in inner)
        return to_known + sum(len(inner - self.near[u]) - 1 for u in inner) // 2

    def eliminate(self, v: str) -> None:
        """Join the neighbours of v, and take it out."""
        inner = self.near[v] & self.unknown
        for u in inner:
            for w in self.near[v] - self.near[u] - {u}:
                self._join(u, w)
        for u in inner:
            self.fill[u] -= len(self.near[u] - self.near[v]) - 1
        for u in self.near.pop(v):
            self.near[u].discard(v)
        self.unknown.discard(v)
        del self.fill[v]

    def _join(self, u: str, w: str) -> None:
        """A new edge between an unknown node and another one."""
        for common in self.near[u] & self.near[w] & self.unknown:
            self.fill[common] -= 1
        for a, b in ((u, w), (w, u)):
            if a in self.unknown:
                others = self.near[a] if b in self.unknown else self.near[a] & self.unknown
                self.fill[a] += len(others - self.near[b])
        self.near[u].add(w)
        self.near[w].add(u)
