"""Sum-product over enumerated nodes: factors with scopes come in, messages and products that no level exceeds go out.

Variable elimination (Zhang and Poole 1994) in log space. A log-factor is named by a key and has a scope, the enumerated
nodes its value depends on; eliminating a node adds up the log-factors that mention it and log-sum-exps over its values.
Messages are shared: the forward sums along a chain are computed once, however many terms need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import prod

Scope = tuple[str, ...]  # enumerated nodes in the topological order of q


@dataclass(frozen=True, slots=True)
class Key:
    """A log-factor. kind: "q" log q(node | …); "label" its known part; "draw" its drawn part; "f" the terms of a level
    (node is then the level's name); "message" the result of an elimination (node is the message's name)."""

    kind: str
    node: str


@dataclass(frozen=True, slots=True)
class Product:
    """Log-factors added up at the level `scope`."""

    scope: Scope
    factors: tuple[tuple[Key, Scope], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """`product` log-sum-exped over the values of the node `over`, at the level `scope`; or added up over the copies of the range
    `over`, for `1..k` those up to each value of k where that is in `scope` and not in the product's."""

    name: str
    product: Product
    over: str
    scope: Scope


def is_upto(message: Message) -> bool:
    """Whether it adds up the copies of a loop `1..k` for each k."""
    return not set(message.scope) <= set(message.product.scope)


@dataclass(slots=True)
class Eliminator:
    """Makes and shares messages. `sizes`: values of each enumerated node; `place`: its place in the order of scopes; `stages`:
    what is summed out first has the smallest, minus twice its depth in loops, less one for a node; `ranges`: those of loops, each
    with the enumerated node that counts its copies, if any."""

    sizes: Mapping[str, int]
    place: Mapping[str, int]
    stages: Mapping[str, int] = field(default_factory=dict)
    ranges: Mapping[str, str | None] = field(default_factory=dict)
    messages: dict[tuple[frozenset[Key], str], Message] = field(default_factory=dict)
    named: dict[str, tuple[int, Message]] = field(default_factory=dict)

    def scope(self, *scopes: Scope) -> Scope:
        """The union of scopes, in q's order."""
        return tuple(sorted({n for s in scopes for n in s}, key=self.place.__getitem__))

    def size(self, scope: Iterable[str]) -> int:
        """Entries of a row that knows nothing."""
        return prod(self.sizes[node] for node in scope if node not in self.ranges)

    def depth(self, name: str) -> int:
        """In how many loops a node stands; of a range, how deep it is nested."""
        return -self.stages.get(name, -1) // 2 if name in self.ranges else (-self.stages.get(name, -1) - 1) // 2

    def product(self, factors: Mapping[Key, Scope], keep: Scope) -> Product:
        """The log-product at level `keep` of all factors, every other node summed out, smallest product first."""
        left = dict(factors)
        near: dict[str, dict[Key, Scope]] = {}  # the factors that mention a node
        for key, scope in left.items():
            for node in scope:
                near.setdefault(node, {})[key] = scope
        rest = {n: self.scope(*near[n].values()) for n in near if n not in keep}
        queue = [self._turn(n, joint) for n, joint in rest.items()]
        heapify(queue)
        names = {self.place[n]: n for n in rest}
        while queue:
            _, _, place, joint = heappop(queue)
            node = names[place]
            if rest.get(node) is not joint:
                continue  # it was summed out, or what mentions it has changed
            mentioned = near.pop(node)
            for old, scope in mentioned.items():
                del left[old]
                for n in scope:
                    if n != node:
                        del near[n][old]
            del rest[node]
            for message in self._messages(mentioned, node, joint):
                key = Key("message", message.name)
                left[key] = message.scope
                for n in message.scope:
                    near.setdefault(n, {})[key] = message.scope
                    if n not in keep:
                        names[self.place[n]] = n
                        rest[n] = self.scope(*near[n].values())
                        heappush(queue, self._turn(n, rest[n]))
        return Product(keep, tuple(left.items()))

    def _turn(self, node: str, joint: Scope) -> tuple[int, int, int, Scope]:
        return self.stages.get(node, 0), self.size(joint), self.place[node], joint

    def _messages(self, factors: Mapping[Key, Scope], node: str, joint: Scope) -> list[Message]:
        """Log-factors that mention a node are summed over its values together; over the copies of a range each level apart."""
        if node not in self.ranges:
            return [self._message(factors, node, joint)]
        levels: dict[Scope, dict[Key, Scope]] = {}
        for key, scope in factors.items():
            levels.setdefault(scope, {})[key] = scope
        return [self._message(found, node, scope) for scope, found in levels.items()]

    def _message(self, factors: Mapping[Key, Scope], node: str, joint: Scope) -> Message:
        known = self.messages.get((frozenset(factors), node))
        if known is None:
            count = self.ranges.get(node)
            scope = self.scope(tuple(n for n in joint if n != node), (count,) if count else ())
            name = f"sum_{node}" + f"_{len(self.messages) + 1}" * (f"sum_{node}" in self.named)
            known = Message(name, Product(joint, tuple(factors.items())), node, scope)
            self.messages[frozenset(factors), node] = known
            self.named[name] = len(self.named), known
        return known
