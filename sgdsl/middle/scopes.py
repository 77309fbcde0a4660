"""Scopes: which enumerated nodes, and which copies of loops, a value or a factor depends on, through draws too
(docs/objective.md, section 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sgdsl.middle import ir
from sgdsl.middle.chains import Chain, Reading
from sgdsl.middle.elimination import Scope
from sgdsl.middle.graphs import Graphs, let_reads
from sgdsl.middle.nesting import depths, innermost, ranges_of

NODES = 1 << 20  # in the order of scopes, behind so many ranges
DEPTH = 1 << 40


@dataclass(frozen=True, slots=True)
class Scopes:
    """`values`: the scope of each node's and let's value: the ranges of its loops and enumerated nodes. Scopes are ordered by
    `place`: nodes outside loops in the order of q, then ranges, then the nodes inside these loops, and so on inwards. `ranges`:
    every range by its name; `chains`: enumerated nodes whose copies meet, of which each way to read them stands in scopes by
    itself."""

    graphs: Graphs = field(repr=False)
    place: Mapping[str, int] = field(repr=False)
    values: dict[str, Scope]
    ranges: Mapping[str, ir.Range] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    lets: Mapping[str, ir.Let] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Scope:
        return self.values[name]

    def union(self, names: Iterable[str]) -> Scope:
        """The scopes of some nodes and lets together."""
        return self.ordered({c for name in names for c in self.values[name]})

    def ordered(self, nodes: Iterable[str]) -> Scope:
        """Nodes of q, and ranges, in their order."""
        return tuple(sorted(nodes, key=self.place.__getitem__))

    def listed(self, names: Iterable[str]) -> set[str]:
        """The enumerated nodes that some nodes and lets depend on."""
        return {c for name in names for c in self.values[name] if c not in self.ranges}

    def read(self, names: Sequence[str]) -> set[str]:
        """The enumerated nodes, and readings of chains, that what a reader names depends on, through lets."""
        found = self.listed(self.graphs.lets.contracted(names))
        if not self.chains:
            return found
        found = {c for c in found if c not in self.readings}
        seen, todo = set[str](), list(names)
        while todo:
            name = todo.pop()
            reading = next((c.of[name] for c in self.chains.values() if name in c.of), None)
            if reading is not None:
                found.add(reading)
            elif name in self.values and name not in self.lets:
                found |= {c for c in self.values[name] if c in self.readings}
            elif name not in seen:
                seen.add(name)
                todo += let_reads(self.lets[name])
        return found

    def factor(self, factor: ir.Factor) -> Scope:
        """What a factor depends on: its loops, its node and the node's parents."""
        node = self.listed((factor.id if factor.piece and self.chains else factor.node,))
        return self.ordered({*(r.name for r in factor.axes), *node, *self.read(factor.given)})

    @property
    def readings(self) -> dict[str, Reading]:
        """All readings of chains, by name."""
        return {r.name: r for c in self.chains.values() for r in c.readings.values()}

    def node(self, name: str) -> str:
        """The node whose values a name in scopes stands for."""
        found = self.readings.get(name)
        return found.node if found else name

    def own(self, factor: ir.Factor) -> str:
        """What stands in scopes for the values of a factor's node."""
        found = self.chains.get(factor.node)
        return found.of.get(factor.id, factor.node) if found else factor.node

    def depth(self, name: str) -> int:
        """How deep the innermost loop of a node is nested, or a range; 0 outside of loops."""
        return self.place[name] // DEPTH

    def stage(self, name: str) -> int:
        """When a node is summed out, or the copies of a range are put together: the innermost first, of a loop its nodes before
        its range."""
        return -2 * self.depth(name) - (name not in self.ranges)


def scopes_of(
    model: ir.Model,
    graphs: Graphs,
    draws: Sequence[str],
    enumerated: Collection[str],
    sampled: Collection[str] = (),
    chains: Mapping[str, Chain] = MappingProxyType({}),
) -> Scopes:
    """The scopes when some nodes are enumerated. `draws`: q's nodes in order; `sampled`: enumerated in part, so that their
    values depend on their parents too. An enumerated node below a sampled one has its values listed for each of that one's:
    summed over the sampled node first, their shares would depend on which class was sampled, unseen by its score term."""
    ranges = ranges_of(model)
    loops = {n.name: tuple(r.name for r in n.axes) for n in model.values}
    axes, deep = {n.name: n.axes for n in model.values}, depths(model)
    place = {n: innermost(deep, axes[n]) * DEPTH + NODES + i for i, n in enumerate(draws)}
    place |= {name: depth * DEPTH + i for i, (name, (depth, _)) in enumerate(ranges.items())}
    read = [r for c in chains.values() for r in c.readings.values() if r.name not in place]
    read.sort(key=lambda r: r.offset)
    for i, r in enumerate(read, len(draws)):
        place[r.name] = innermost(deep, axes[r.node] if r.range else axes[r.node][:-1]) * DEPTH + NODES + i
    lets = {let.name: let for let in model.lets}
    found = Scopes(graphs, place, {}, {name: r for name, (_, r) in ranges.items()}, chains, lets)
    for node in model.nodes:
        found.values[node.name] = found.ordered(loops[node.name])
    for name in draws:
        above = found.listed(graphs.parents("q", name))
        if chains:
            above = {c for factor in model.pieces("q", name) for c in found.read(factor.given)}
        above = {c for c in above if c in sampled} if name in enumerated else above
        own = {name} if name in (*enumerated, *sampled) else set()
        found.values[name] = found.ordered({*loops[name], *above, *own})
    for let in model.lets:
        found.values[let.name] = found.ordered({*loops[let.name], *found.read([let.name])})
    for factor in (*model.p, *model.q):
        if factor.piece:
            loops[factor.id] = tuple(r.name for r in factor.axes)
            values = {found.own(factor)} if factor.node in chains else found.listed([factor.node])
            found.values[factor.id] = found.ordered({*loops[factor.id], *values})
    return found
