"""Copies of loops that are groups of weights by themselves: the factors of log w and what weighed draws read come in; the loops
that each weighed draw stands apart by, and where values of several copies meet, go out (docs/objective.md, section 11).

A reading is a mapping from nodes to depths: in so many of a node's loops, from outside in, it is the reader's own copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Message, Product, Scope, is_upto
from sgdsl.middle.graphs import references
from sgdsl.middle.kin import Names

Reading = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Readings:
    """`lets`: the nodes that each let is made of; `carriers`: the weighed draws that each node's value depends on, up to the next
    weighed one; `reads`: those that a node's factors of q read."""

    model: ir.Model
    lets: Mapping[str, Reading]
    carriers: dict[str, Reading]
    reads: dict[str, Reading]

    def of(self, names: Iterable[str]) -> Reading:
        """The weighed draws that nodes and lets depend on together."""
        found: dict[str, int] = {}
        for name in names:
            for node, depth in self.lets.get(name, {name: len(self.model.valued(name).axes)}).items():
                merge(found, self.carriers.get(node, {}), depth)
        return found

    def key(self, key: Key, messages: Mapping[str, Message]) -> Reading:
        """The weighed draws that a log-factor depends on; sums up to each value of k are 0 or belong to one value."""
        found: dict[str, int] = {}
        if key.kind != "message":
            node = self.model.node(key.node)
            merge(found, self.reads.get(node.name, {}), len(node.axes))
            merge(found, self.carriers.get(node.name, {}), len(node.axes))
            return {v: min(depth, _alike(self.model.node(v), node)) for v, depth in found.items()}
        scope = messages[key.node].scope
        if is_upto(messages[key.node]):
            return found
        for inner, _ in messages[key.node].product.factors:
            for node_name, depth in self.key(inner, messages).items():
                kept = [r.name in scope for r in self.model.node(node_name).axes]
                merge(found, {node_name: depth}, kept.index(False) if False in kept else depth)
        return found


def _alike(one: ir.Node, other: ir.Node) -> int:
    """In how many loops, from outside in, both stand: a[i, j] crosses w[j], and adds up copies of the outer loop."""
    same = [a.name == b.name for a, b in zip(one.axes, other.axes, strict=False)]
    return same.index(False) if False in same else len(same)


def merge(found: dict[str, int], reading: Reading, depth: int) -> None:
    """Adds what is read at this depth at most; of two ways the one that reads more copies counts."""
    for node, own in reading.items():
        found[node] = min(own, depth, found.get(node, own))


def readings(model: ir.Model, draws: Names, weighed: Iterable[str], passing: Iterable[str]) -> Readings:
    """`passing`: the nodes that are drawn, or computed from draws. Copies may read earlier ones, in a circle of nodes."""
    carriers: dict[str, Reading] = {v: {v: len(model.node(v).axes)} for v in weighed}
    found = Readings(model, _lets(model), carriers, {})
    passing, before = set(passing).difference(carriers), None
    while before != found.reads:
        before = dict(found.reads)
        for name in draws:
            pieces = model.pieces("q", name)
            read = found.of(g for f in pieces for g in f.given)
            read = read if len(pieces) == 1 else dict.fromkeys(read, 0)
            found.reads.update(dict.fromkeys((name, *(f.id for f in pieces)), read))
            if name in passing:
                carriers[name] = read
    return found


def _lets(model: ir.Model) -> Mapping[str, Reading]:
    """The nodes that lets read, through each other; lets may be on a cycle through other copies."""
    found: dict[str, dict[str, int]] = {let.name: {} for let in model.lets}
    changed = True
    while changed:
        changed = False
        for let in model.lets:
            before = dict(found[let.name])
            for ref in references(let.value):
                depth = _depth(model, let, ref.name)
                inner = found.get(ref.name)
                merge(found[let.name], {ref.name: depth} if inner is None else inner, depth)
            changed |= found[let.name] != before
    return found


def _depth(model: ir.Model, let: ir.Let, read: str) -> int:
    """In how many loops a let reads its own copy of what it reads."""
    axes = model.valued(read).axes
    if isinstance(let.value, ir.View):
        if read != let.value.source.name:
            return 0
        own = [at == ir.Lag(r) for at, r in zip(let.value.at, axes, strict=True)]
    else:
        own = [r == mine for r, mine in zip(axes, let.axes, strict=False)]
    return own.index(False) if False in own else len(own)


def expand(log_w: Product, messages: Mapping[str, Message], ranges: Iterable[str]) -> tuple[tuple[Key, Scope], ...]:
    """log w as a sum of log-factors of rows and of copies: sums over copies taken apart. Those up to each value of an enumerated
    k, too: rows that know labels of its copies know k, so that its sum has one value, of which `counted` are no part."""
    ranges, found, todo = set(ranges), [], list(log_w.factors)
    while todo:
        key, scope = todo.pop(0)
        message = messages[key.node] if key.kind == "message" else None
        if message and message.over in ranges:
            todo = [*message.product.factors, *todo]
        else:
            found.append((key, scope))
            todo = [*counted(key, messages), *todo]
    return tuple(found)


def counted(key: Key, messages: Mapping[str, Message]) -> list[tuple[Key, Scope]]:
    """Where a log-factor is the sum over a k, what it adds up over copies up to each value of k."""
    if key.kind != "message":
        return []
    factors = messages[key.node].product.factors
    return [(k, s) for k, s in factors if k.kind == "message" and is_upto(messages[k.node])]


def ties(
    found: Readings, weighed: Names, units: Iterable[tuple[Key, Scope]], messages: Mapping[str, Message]
) -> list[tuple[str, Reading]]:
    """What factors of q, by node or piece, and sums over the values of a node, make one group of."""
    made: list[tuple[str, Reading]] = []
    for v in weighed:
        read, pieces = dict(found.reads[v]), found.model.pieces("q", v)
        merge(read, found.carriers[v], 0 if len(pieces) > 1 else len(pieces[0].axes))
        made.append((pieces[-1].id, read))
    for key, _ in units:
        name = f"sum over {messages[key.node].over}" if key.kind == "message" else key.node
        made.append((name, found.key(key, messages)))
    return made


def blocks(model: ir.Model, weighed: Names, tied: Iterable[tuple[str, Reading]]) -> dict[str, Scope]:
    """For each weighed draw the ranges of the loops, from outside in, whose copies are groups of their own: nothing ties two of
    them."""
    first = {v: v for v in weighed}
    depth = {v: len(model.node(v).axes) for v in weighed}

    def root(v: str) -> str:
        while first[v] != v:
            v = first[v]
        return v

    for _, reading in tied:
        for v, reached in reading.items():
            first[root(v)] = root(next(iter(reading)))
            depth[v] = min(depth[v], reached)
    members: dict[str, list[str]] = {}
    for v in weighed:
        members.setdefault(root(v), []).append(v)
    return {v: _shared(model, names, min(depth[n] for n in names)) for names in members.values() for v in names}


def _shared(model: ir.Model, nodes: Sequence[str], depth: int) -> Scope:
    """The first loops that all of these stand in, so many at most."""
    axes = [tuple(r.name for r in model.node(v).axes)[:depth] for v in nodes]
    while len({found[:depth] for found in axes}) > 1:
        depth -= 1
    return axes[0][:depth]


def tied_by(model: ir.Model, node: str, tied: Iterable[tuple[str, Reading]]) -> str:
    """What makes copies of a weighed draw one group: the nearest of what reads several of them, or one of them and a draw outside
    of their loop."""
    near, seen = [node], {node}
    tied = list(tied)
    while near:
        v = near.pop(0)
        for name, reading in tied:
            if v in reading:
                if min(reading.values()) < len(model.node(node).axes):
                    return name
                near += [u for u in reading if u not in seen]
                seen |= reading.keys()
    return ""
