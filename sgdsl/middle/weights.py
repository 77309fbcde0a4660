"""Log weights of labels and of enumerated values: the levels of log q come in; log w, and the weight of each entry of a level
within its sample and row, go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sgdsl.middle import ir
from sgdsl.middle.clique_tree import CliqueTree, Factors, cliques
from sgdsl.middle.elimination import Eliminator, Key, Product, Scope
from sgdsl.middle.estimators import Choice

FEW = 12  # listed nodes up to which each level has an elimination of its own: shorter sums, at a cost of nodes x levels


@dataclass(frozen=True, slots=True)
class Share:
    """log q · w at the entries of a level (`own`), and at no level, or a part of it that holds all that differs (`whole`):
    the weight of an entry is the exponential of their difference, of a loop `1..k` times the weight with which the copy is there.
    """

    own: Product
    whole: Product

    @property
    def differing(self) -> tuple[Key, ...]:
        """What stands in one of them only."""
        own, whole = dict(self.own.factors), dict(self.whole.factors)
        return tuple(key for key in (*own, *whole) if (key in own) != (key in whole))


@dataclass(frozen=True, slots=True)
class Weights:
    """`q`: the level of each log q; `own`: what stands in scopes for the node of a factor, where not its id."""

    model: ir.Model
    draws: tuple[str, ...]
    choices: Mapping[str, Choice]
    q: Mapping[str, Scope]
    maker: Eliminator
    own: Mapping[str, str] = field(default_factory=dict)

    def label(self, node: str) -> tuple[Key, Scope]:
        """The known part of a node's log q; its own values are summed out (a row that knows it has one)."""
        own = self.own.get(node, node)
        return Key("label", node), tuple(c for c in self.q[node] if c != own)

    def posteriors(self, scopes: Iterable[Scope]) -> tuple[Product, dict[Scope, Share]]:
        """log w, a number a sample and row: log Σ over enumerated values of q · w. And the shares at the entries of levels."""
        scopes = tuple(scopes)
        if self.maker.ranges:
            log_w = self.maker.product(self._collect((), True), ())
            return log_w, {s: self._in_loops(s, True, log_w) for s in scopes}
        tree = self._tree(scopes, True)
        if tree is None:
            log_w = self.maker.product(self._collect((), True), ())
            return log_w, {s: Share(self.maker.product(self._collect(s, True), s), log_w) for s in scopes}
        shares = {s: Share(*tree.product(s)) for s in scopes}
        constant = (self.label(v) for v in reversed(self.draws) if self._supervised(v) and not self.q[v])
        whole = tree.whole(v for v in tree.cliques if tree.root[v] == v)
        return Product((), (*constant, *whole.factors)), shares

    def proposals(self, scopes: Iterable[Scope]) -> tuple[Product, ...]:
        """log of the marginal of each level's values under q, known values fixed and not weighed."""
        scopes = tuple(scopes)
        tree = None if self.maker.ranges else self._tree(scopes, False)
        if tree is None:
            return tuple(self.maker.product(self._collect(s, False), s) for s in scopes)
        return tuple(tree.product(s)[0] for s in scopes)

    def _in_loops(self, scope: Scope, with_labels: bool, log_w: Product) -> Share:
        """By the chain rule, from outside in: the nodes outside loops, then those of each loop given what is outside of it."""
        maker = self.maker
        chained = tuple(n for n in scope if n in self._chained)
        outer = tuple(n for n in scope if maker.depth(n) == 0 and n not in chained)
        ranges = [n for n in scope if n in maker.ranges]
        own = maker.product(self._collect(outer, with_labels), outer).factors if outer else ()
        whole = log_w.factors if outer else ()
        own += self._in_chain(scope, chained, with_labels) if chained else ()
        for r in ranges:
            depth = maker.depth(r)
            inner = [n for n in scope if maker.depth(n) == depth and n not in maker.ranges and n not in chained]
            if inner:
                upto = tuple(n for n in scope if maker.depth(n) <= depth or n in chained)
                above = tuple(n for n in upto if n not in inner)
                factors = {k: s for k, s in self._collect(upto, with_labels).items() if r in s}
                summed = maker.within if chained else maker.product
                factors = maker.near(factors, inner, above) if chained else factors
                own += summed(factors, upto).factors
                whole += summed(factors, above).factors
        return Share(Product(scope, own), Product(scope, whole))

    def _in_chain(self, scope: Scope, chained: Scope, with_labels: bool) -> tuple[tuple[Key, Scope], ...]:
        """The probability of copies of a chain, given what is outside of its loop."""
        maker, (node,) = self.maker, {self._chained[n] for n in chained}
        readings, own = maker.chains[node]
        above = tuple(n for n in scope if n not in chained and maker.depth(n) < maker.depth(node))
        at = tuple(n for n in scope if n in above or n in chained or n in own)
        found = maker.product(maker.near(self._collect(at, with_labels), readings, above), at)
        return tuple((key, s) for key, s in found.factors if readings.intersection(s))

    @property
    def _chained(self) -> dict[str, str]:
        """The chain of each of its readings."""
        return {r: node for node, (readings, _) in self.maker.chains.items() for r in readings}

    def _supervised(self, node: str) -> bool:
        return self.model.node(node).role == "supervised"

    def _own(self, node: str, with_labels: bool) -> Key:
        """The factor of an enumerated node at all its values."""
        return Key("q" if with_labels or not self._supervised(node) else "draw", node)

    def _collect(self, keep: Scope, with_labels: bool) -> Factors:
        """The factors that matter at `keep`: an enumerated node that no other factor depends on sums to one."""
        factors: Factors = {}
        labels = (self.q[v] for v in self.draws if v in self.q and with_labels and self._supervised(v))
        wanted = {*keep, *(k for scope in labels for n in scope if (k := self.maker.ranges.get(n)))}
        chained = self._chained
        for node in (n for n in self.draws if n in self.q and with_labels and self._supervised(n)):
            wanted.update(n for n in self.label(node)[1] if n in chained and self.own.get(node, node) in chained)
        wanted |= {chained[n] for n in wanted if n in chained}
        for node in reversed([n for n in self.draws if n in self.q]):
            if self.choices[node].listed and chained.get(self.own.get(node, node), node) in wanted:
                factors[self._own(node, with_labels)] = self.q[node]
                wanted.update(self.q[node])
                wanted |= {chained[n] for n in self.q[node] if n in chained}
            elif with_labels and self._supervised(node):
                key, scope = self.label(node)
                factors[key] = scope
                wanted.update(scope)
                wanted |= {chained[n] for n in scope if n in chained}
        return factors

    def _tree(self, scopes: tuple[Scope, ...], with_labels: bool) -> CliqueTree | None:
        """The tree of all factors; None where nodes are few, or where a clique would be larger than every level."""
        listed = {v for v in self.draws if v in self.q and self.choices[v].listed}
        if len(listed) <= FEW:
            return None
        factors: Factors = {}
        density: dict[Key, frozenset[str]] = {}
        instead: dict[Key, tuple[Key, Scope]] = {}
        for node in (n for n in self.draws if n in self.q):
            if node in listed:
                key = self._own(node, with_labels)
                factors[key] = self.q[node]
                if with_labels and self._supervised(node):
                    instead[key] = self.label(node)
                else:
                    density[key] = frozenset((node,))
            elif with_labels and self._supervised(node):
                key, scope = self.label(node)
                factors |= {key: scope} if scope else {}
        found = cliques(factors.values(), self.maker, max(map(self.maker.size, scopes)))
        if found is None:
            return None
        place = {v: i for i, v in enumerate(found)}
        own: dict[str, Factors] = {}
        for key, scope in factors.items():
            own.setdefault(min(scope, key=place.__getitem__), {})[key] = scope
        return CliqueTree(self.maker, found, own, density, instead)
