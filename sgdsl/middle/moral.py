"""A graph of p and its roles come in; its moral graph, from which unknown nodes can be eliminated, goes out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.middle import ir
from sgdsl.middle.digraph import Digraph

Roles = Mapping[str, ir.Role]
UNKNOWN: tuple[ir.Role, ...] = ("supervised", "latent")


class Moral:
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
