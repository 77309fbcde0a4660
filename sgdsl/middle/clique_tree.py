"""Marginals on many levels: log-factors come in, once; their product at any level goes out, at the cost of that level alone.

The cliques of one elimination form a tree (Lauritzen and Spiegelhalter 1988): a clique is a node with its neighbours when it
is summed out, and hangs below the clique of the first of these to go. What lies below a clique reaches the one above as the
message `up`, all the rest reaches it as `down`, and each is made once. Densities of nodes that nothing asks for sum to one
and are left out before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from sgdsl.middle.elimination import Eliminator, Key, Product, Scope

Factors = dict[Key, Scope]


@dataclass(slots=True)
class CliqueTree:
    """`cliques`: in the order of elimination; `above`, `below`: the tree; `root`: of the tree of each; `own`: each factor at
    the first of its nodes to go. `density`: the nodes that a factor is a density of, given all others that it mentions;
    `instead`: of a node's own factor, what it becomes where nothing else mentions the node."""

    maker: Eliminator
    cliques: Mapping[str, Scope]
    own: dict[str, Factors]
    density: dict[Key, frozenset[str]]
    instead: Mapping[Key, tuple[Key, Scope]]
    above: dict[str, str] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)
    root: dict[str, str] = field(default_factory=dict)
    place: dict[str, int] = field(default_factory=dict)
    up: dict[str, Factors] = field(default_factory=dict)
    ups: dict[str, dict[str, Factors]] = field(default_factory=dict)
    down: dict[str, Factors] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = list(self.cliques)
        self.place = {v: i for i, v in enumerate(self.cliques)}
        self.below = {v: [] for v in self.cliques}
        for v, clique in reversed(list(self.cliques.items())):
            rest = [u for u in clique if u != v]
            self.root[v] = v
            if rest:
                self.above[v] = min(rest, key=self.place.__getitem__)
                self.below[self.above[v]].append(v)
                self.root[v] = self.root[self.above[v]]

    def product(self, scope: Scope) -> tuple[Product, Product]:
        """The log-product at a level of all factors that are connected with it; and of the same factors at no level."""
        part = self._part(scope)
        tops = [v for v in part if self.above.get(v) not in part]
        found = [self.own.get(v, {}) for v in part]
        found += [up for v in part for c, up in self._ups(v).items() if c not in part]
        found += [self._down(v) for v in tops]
        whole = self.whole({self.root[v] for v in tops})
        return Product(scope, tuple(self._summed(found, scope).items())), whole

    def whole(self, roots: Iterable[str]) -> Product:
        """The log-product at no level of the trees with these roots."""
        ups = [self._up(v) for v in sorted(roots, key=self.place.__getitem__)]
        return Product((), tuple(self._ordered(ups).items()))

    def _part(self, scope: Scope) -> set[str]:
        """The smallest part of the tree whose cliques hold all nodes of a level."""
        part = set[str]()
        for root in {self.root[v] for v in scope}:
            here = [v for v in scope if self.root[v] == root]
            first = min(here, key=self.place.__getitem__)
            queue = [self.place[first], *(self.place[v] for v in here if v not in self.cliques[first])]
            heapify(queue)
            while queue:  # the lowest clique is joined to the others through the one above it
                v = self.names[heappop(queue)]
                part.add(v)
                if queue and self.place[self.above[v]] not in queue:
                    heappush(queue, self.place[self.above[v]])
        return part

    def _up(self, node: str) -> Factors:
        """What a clique and all below it say about its other nodes."""
        todo = [node]
        while node not in self.up:
            v = todo[-1]
            missing = [c for c in self.below[v] if c not in self.up]
            if missing:
                todo += missing
                continue
            todo.pop()
            if v not in self.up:
                found = [self.own.get(v, {}), *(self.up[c] for c in self.below[v])]
                self.up[v] = self._summed(found, tuple(u for u in self.cliques[v] if u != v))
        return self.up[node]

    def _ups(self, node: str) -> Mapping[str, Factors]:
        """What the cliques below one say, where they say anything."""
        if node not in self.ups:
            self.ups[node] = {c: up for c in self.below[node] if (up := self._up(c))}
        return self.ups[node]

    def _down(self, node: str) -> Factors:
        """What all the rest says about the other nodes of a clique."""
        path = [node]
        while path[-1] not in self.down and path[-1] in self.above:
            path.append(self.above[path[-1]])
        self.down.setdefault(path[-1], {})
        for v, u in zip(path[-2::-1], path[:0:-1], strict=True):
            if v not in self.down:
                found = [self.own.get(u, {}), *(up for c, up in self._ups(u).items() if c != v), self.down[u]]
                self.down[v] = self._summed(found, tuple(w for w in self.cliques[v] if w != v))
        return self.down[node]

    def _ordered(self, found: Iterable[Factors]) -> Factors:
        """Factors of nodes, the last of q in front, then messages as they were made."""
        merged = {key: scope for factors in found for key, scope in factors.items()}
        return {key: merged[key] for key in sorted(merged, key=self._rank)}

    def _rank(self, key: Key) -> tuple[bool, int]:
        message = key.kind == "message"
        return message, self.maker.named[key.node][0] if message else -self.maker.place[key.node]

    def _summed(self, found: Iterable[Factors], keep: Scope) -> Factors:
        """Everything but `keep` summed out of some factors."""
        merged = {key: scope for factors in found for key, scope in factors.items()}
        product = self.maker.product(self._ordered([self._pruned(merged, keep)]), keep)
        for key, _ in product.factors:
            self._density(key)
        return dict(product.factors)

    def _pruned(self, left: Factors, keep: Scope) -> Factors:
        """Without densities of nodes that are summed out and that no other factor mentions."""
        mentions: dict[str, set[Key]] = {}
        for key, scope in left.items():
            for v in scope:
                mentions.setdefault(v, set()).add(key)
        todo = list(left)
        while todo:
            key = todo.pop()
            own = self.density.get(key) or ({key.node} if key in self.instead else set())
            if key not in left or not own or not own.isdisjoint(keep) or any(len(mentions[v]) > 1 for v in own):
                continue
            scope = left.pop(key)
            for v in scope:
                mentions[v].discard(key)
                todo += mentions[v]
            if key in self.instead:
                other, rest = self.instead[key]
                left[other] = rest
                for v in rest:
                    mentions[v].add(other)
        return left

    def _density(self, key: Key) -> frozenset[str]:
        """Of a message: a density once a node is summed out of it; of what mixes densities with others: of nothing."""
        if key not in self.density:
            message = self.maker.named[key.node][1] if key.kind == "message" else None
            parts = [self._density(k) for k, _ in message.product.factors] if message else []
            nodes = frozenset[str]().union(*parts)
            right = message is not None and all(parts) and message.over in nodes
            self.density[key] = nodes - {message.over} if message and right else frozenset()
        return self.density[key]


def cliques(factors: Iterable[Scope], maker: Eliminator, most: int) -> dict[str, Scope] | None:
    """The cliques of an elimination of all nodes, smallest first, in its order; None where one has more than `most` cases."""
    near: dict[str, set[str]] = {}
    for scope in factors:
        for v in scope:
            near.setdefault(v, set()).update(scope)
    names = {maker.place[v]: v for v in near}
    size = {v: maker.size(joint) for v, joint in near.items()}
    queue = [(size[v], maker.place[v]) for v in near]
    heapify(queue)
    found: dict[str, Scope] = {}
    while queue:
        smallest, place = heappop(queue)
        v = names[place]
        if v in found or size[v] != smallest:
            continue
        if smallest > most:
            return None
        found[v] = maker.scope(tuple(near[v]))
        for u in near[v] - {v}:
            near[u] |= near[v]
            near[u].discard(v)
            size[u] = maker.size(near[u])
            heappush(queue, (size[u], maker.place[u]))
    return found
