"""The graph of p and what is written of q come in; an order in which q can draw its nodes goes out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from heapq import heappop, heappush

from sgdsl.middle.digraph import Digraph, digraph, reached
from sgdsl.middle.moral import UNKNOWN, Moral, Roles


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
    moral = Moral(p, roles)
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
