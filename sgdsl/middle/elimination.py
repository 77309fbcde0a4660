"""Sum-product over enumerated nodes: factors with scopes come in, messages and products that no level exceeds go out.

Variable elimination (Zhang and Poole 1994) in log space. A log-factor is named by a key and has a scope, the enumerated
nodes its value depends on; eliminating a node adds up the log-factors that mention it and log-sum-exps over its values.
Messages are shared: the forward sums along a chain are computed once, however many terms need them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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
    `over`, for `1..k` those up to each value of k where that is in `scope` and not in the product's. `along`: over all paths
    of the chain `over`, whose factors stand at levels of their own, its copies one after the other; at a `scope` that holds
    readings of the chain the logarithm of their probability."""

    name: str
    product: Product
    over: str
    scope: Scope
    along: bool = False


def is_upto(message: Message) -> bool:
    """Whether it adds up the copies of a loop `1..k` for each k."""
    return not message.along and not set(message.scope) <= set(message.product.scope)


@dataclass(slots=True)
class Eliminator:
    """Makes and shares messages. `sizes`: values of each enumerated node; `place`: its place in the order of scopes; `stages`:
    what is summed out first has the smallest, minus twice its depth in loops, less one for a node; `ranges`: those of loops, each
    with the enumerated node that counts its copies, if any; `chains`: by the name of each chain what stands for it in scopes, and
    the ranges of its loop."""

    sizes: Mapping[str, int]
    place: Mapping[str, int]
    stages: Mapping[str, int] = field(default_factory=dict)
    ranges: Mapping[str, str | None] = field(default_factory=dict)
    chains: Mapping[str, tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict)
    messages: dict[tuple[frozenset[Key], str], Message] = field(default_factory=dict)
    named: dict[str, tuple[int, Message]] = field(default_factory=dict)

    def scope(self, *scopes: Scope) -> Scope:
        """The union of scopes, in q's order."""
        return tuple(sorted({n for s in scopes for n in s}, key=self.place.__getitem__))

    def size(self, scope: Iterable[str]) -> int:
        """Entries of a row that knows nothing."""
        return prod(self.sizes[node] for node in scope if node not in self.ranges)

    def depth(self, name: str) -> int:
        """How deep the innermost loop of a node is nested, or a range; 0 outside of loops."""
        return -self.stages.get(name, -1) // 2 if name in self.ranges else (-self.stages.get(name, -1) - 1) // 2

    def product(self, factors: Mapping[Key, Scope], keep: Scope) -> Product:
        """The log-product at level `keep` of all factors, every other node summed out, smallest product first."""
        left = dict(factors)
        for name in sorted(self.chains, key=lambda c: -self.depth(c)):
            left = self._along(name, left, keep)
        return self.within(left, keep)

    def within(self, factors: Mapping[Key, Scope], keep: Scope) -> Product:
        """The same of factors that no longer hold copies of a chain, but for those that are kept."""
        return Product(keep, tuple(self._summed(dict(factors), keep).items()))

    def _summed(self, left: dict[Key, Scope], keep: Collection[str]) -> dict[Key, Scope]:
        """Factors after all nodes and ranges that are not kept were summed out."""
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
        return left

    def _along(self, chain: str, factors: dict[Key, Scope], keep: Scope) -> dict[Key, Scope]:
        """Factors after the paths of a chain were summed out; in `keep`, copies of it stay, and what stands beside them there."""
        readings, own = self.chains[chain]
        if not any(readings & set(scope) for scope in factors.values()):
            return factors
        depth = self.depth(chain)
        inside = {n for scope in factors.values() for n in scope if self.depth(n) >= depth} - readings - own
        fixed = {n for scope in factors.values() for n in scope} - inside - readings
        mine = self.near(factors, readings, fixed.union(keep))
        left = self._summed(dict(mine), fixed.union(keep, readings, own))
        apart = inside.intersection(keep)
        paths = {k: s for k, s in left.items() if not apart & set(s)}
        rest = {k: s for k, s in (factors | left).items() if k not in paths and (k in left or k not in mine)}
        beside = {n for scope in rest.values() for n in scope if n in readings}  # summed next, with what is kept there
        made = [self._paths(chain, paths, self.scope(keep, tuple(beside)))]
        if made[0].product.scope and any(n in readings for n in made[0].scope):
            made.append(self._paths(chain, paths, made[0].product.scope))
        return rest | {Key("message", m.name): m.scope for m in made}

    def _paths(self, chain: str, factors: Mapping[Key, Scope], keep: Scope) -> Message:
        """The sum over all paths of a chain, or the probability of the copies that are kept, given what is outside."""
        readings, own = self.chains[chain]
        outer = self.scope(*(tuple(n for n in s if n not in readings | own) for s in factors.values()))
        kept = tuple(n for n in keep if n in readings)
        scope = self.scope(outer, tuple(n for n in keep if n in own), kept) if kept else outer
        key = frozenset(factors), " ".join((chain, *scope))
        if key not in self.messages:
            name = f"{'path' if kept else 'sum'}_{chain}"
            name += f"_{len(self.messages) + 1}" * (name in self.named)
            self.messages[key] = Message(name, Product(outer, tuple(factors.items())), chain, scope, along=True)
            self.named[name] = len(self.named), self.messages[key]
        return self.messages[key]

    def near(self, factors: Mapping[Key, Scope], start: Collection[str], fixed: Collection[str]) -> dict[Key, Scope]:
        """The factors that bear on some names when others, and ranges, are fixed."""
        names, found = set(start), dict[Key, Scope]()
        while True:
            more = {k: s for k, s in factors.items() if k not in found and names & set(s)}
            if not more:
                return {k: s for k, s in factors.items() if k in found}
            found |= more
            names |= {n for s in more.values() for n in s if n not in self.ranges and n not in fixed}

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
