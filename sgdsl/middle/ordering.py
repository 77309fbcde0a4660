"""The graph of p and what is written of q come in; an order in which q can draw its nodes goes out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from heapq import heappop, heappush

from sgdsl.middle import ir
from sgdsl.middle.digraph import Digraph, digraph, reached

Roles = Mapping[str, ir.Role]
UNKNOWN: tuple[ir.Role, ...] = ("supervised", "latent")


def constraints(p: Digraph, roles: Roles, written: Mapping[str, Iterable[str]], after: bool) -> Digraph:
    """An edge u → v: u is drawn before v, because a written factor of v reads u; with `after`, because v is a label
    without a written factor and u one of its own latents, where no written factor forbids that. May have cycles."""
    unknown = [v for v in p if roles[v] in UNKNOWN]
    edges = [(u, node) for node, parents in written.items() for u in parents if roles[u] in UNKNOWN]
    if after:
        latents = {v: i for i, v in enumerate(v for v in p if roles[v] == "latent")}
        below: dict[str, dict[str, None]] = {v: {} for v in p}
        for u, v in edges:
            below[u][v] = None
        for label in (v for v in unknown if roles[v] == "supervised" and v not in written):
            later = reached(below, (label,))
            before = [u for u in _own_latents(p, latents, label) if u not in later]
            edges += [(u, label) for u in before]
            for u in before:
                below[u][label] = None
    return digraph(unknown, edges)


def _own_latents(p: Digraph, latents: Mapping[str, int], label: str) -> list[str]:
    """The latents that depend on the label in p, in order; where none does, all of them."""
    return sorted(latents.keys() & p.descendants(label), key=latents.__getitem__) or list(latents)


def sampling_order(p: Digraph, roles: Roles, written: Container[str], needs: Digraph) -> tuple[str, ...]:
    """The unknown nodes of p, such that each comes after what it `needs` (acyclic): labels as early as that lets them;
    latents with a written factor before those without, whose factors may then read them; the rest by min-fill. The
    order is found from its end: what is eliminated first is drawn last, ties by p's topological order, so that nodes
    near the data are drawn first."""
    place = {v: i for i, v in enumerate(p.generations())}
    behind = needs.descendants(*(v for v in needs if roles[v] == "latent"))
    rank = {v: _rank(v, roles, written, behind) for v in needs}
    moral = _Moral(p, roles)
    waiting = {v: len(needs.below[v]) for v in needs}
    queue: list[tuple[int, int, int, str]] = []  # may hold a node again, with the fill it had before
    order: dict[str, None] = {}
    changed: Iterable[str] = needs
    while True:
        for v in changed:
            if waiting.get(v) == 0:
                heappush(queue, (rank[v], moral.fill[v], place[v], v))
        while queue and (queue[0][3] in order or queue[0][1] != moral.fill[queue[0][3]]):
            heappop(queue)
        if not queue:
            break
        *_, last = heappop(queue)
        order[last] = None
        for before in needs.predecessors(last):
            waiting[before] -= 1
        changed = (*moral.eliminate(last), *needs.predecessors(last))
    assert len(order) == len(needs), "the constraints have a cycle"
    return tuple(reversed(order))


def _rank(node: str, roles: Roles, written: Container[str], behind: Container[str]) -> int:
    """0: made latents, 1: written ones, 2: labels that must come after a latent (are `behind`), 3: labels that need not."""
    if roles[node] == "latent":
        return 1 if node in written else 0
    return 2 if node in behind else 3


class _Moral:
    """The moral graph of p while its unknown nodes are eliminated. `fill`: how many edges the elimination of a node
    would add; edges between known nodes are free. `near` of a known node holds its unknown neighbours only."""

    def __init__(self, p: Digraph, roles: Roles) -> None:
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

    def eliminate(self, v: str) -> set[str]:
        """Join the neighbours of v, and take it out. The unknown nodes whose fill may have changed."""
        changed: set[str] = set()
        inner = self.near[v] & self.unknown
        for u in inner:
            for w in self.near[v] - self.near[u] - {u}:
                changed |= self._join(u, w)
        for u in inner:
            self.fill[u] -= len(self.near[u] - self.near[v]) - 1
        for u in self.near.pop(v):
            self.near[u].discard(v)
        self.unknown.discard(v)
        del self.fill[v]
        return (changed | inner) - {v}

    def _join(self, u: str, w: str) -> set[str]:
        """A new edge between an unknown node and another one. Whose fill it changes."""
        between = self.near[u] & self.near[w] & self.unknown
        for common in between:
            self.fill[common] -= 1
        for a, b in ((u, w), (w, u)):
            if a in self.unknown:
                others = self.near[a] if b in self.unknown else self.near[a] & self.unknown
                self.fill[a] += len(others - self.near[b])
        self.near[u].add(w)
        self.near[w].add(u)
        return between | ({u, w} & self.unknown)
