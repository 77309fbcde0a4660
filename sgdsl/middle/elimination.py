"""Sum-product over enumerated nodes: factors with scopes come in, messages and products that no level exceeds go out.

Variable elimination (Zhang and Poole 1994) in log space. A log-factor is named by a key and has a scope, the enumerated
nodes its value depends on; eliminating a node adds up the log-factors that mention it and log-sum-exps over its values.
Messages are shared: the forward sums along a chain are computed once, however many terms need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """`product` log-sum-exped over the values of `over`, at the level `scope`."""

    name: str
    product: Product
    over: str
    scope: Scope


@dataclass(slots=True)
class Eliminator:
    """Makes and shares messages. `sizes`: values of each enumerated node; `place`: its place in q's order."""

    sizes: Mapping[str, int]
    place: Mapping[str, int]
    messages: dict[tuple[frozenset[Key], str], Message] = field(default_factory=dict)

    def scope(self, *scopes: Scope) -> Scope:
        """The union of scopes, in q's order."""
        return tuple(sorted({n for s in scopes for n in s}, key=self.place.__getitem__))

    def size(self, scope: Scope) -> int:
        """Entries of a row that knows nothing."""
        size = 1
        for node in scope:
            size *= self.sizes[node]
        return size

    def product(self, factors: Mapping[Key, Scope], keep: Scope) -> Product:
        """The log-product at level `keep` of all factors, every other node summed out, smallest product first."""
        left = dict(factors)
        while rest := sorted({n for s in left.values() for n in s} - set(keep), key=self.place.__getitem__):
            joint = {n: self.scope(*(s for s in left.values() if n in s)) for n in rest}
            node = min(rest, key=lambda n: self.size(joint[n]))
            mentioned = {k: s for k, s in left.items() if node in s}
            message = self._message(mentioned, node, joint[node])
            left = {k: s for k, s in left.items() if k not in mentioned}
            left[Key("message", message.name)] = message.scope
        return Product(keep, tuple(left.items()))

    def _message(self, factors: Mapping[Key, Scope], node: str, joint: Scope) -> Message:
        known = self.messages.get((frozenset(factors), node))
        if known is None:
            scope = tuple(n for n in joint if n != node)
            name = f"sum_{node}" + f"_{len(self.messages) + 1}" * any(m.over == node for m in self.messages.values())
            known = Message(name, Product(joint, tuple(factors.items())), node, scope)
            self.messages[frozenset(factors), node] = known
        return known
