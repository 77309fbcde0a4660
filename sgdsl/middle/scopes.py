"""Scopes: which enumerated nodes a value or a factor depends on, through draws too (docs/objective.md, section 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.graphs import Graphs


@dataclass(frozen=True, slots=True)
class Scopes:
    """`values`: the scope of each node's and let's value. Scopes are in the order of q, which `place` numbers."""

    graphs: Graphs = field(repr=False)
    place: Mapping[str, int] = field(repr=False)
    values: dict[str, Scope]

    def __getitem__(self, name: str) -> Scope:
        return self.values[name]

    def union(self, names: Iterable[str]) -> Scope:
        """The scopes of some nodes and lets together."""
        return self.ordered({c for name in names for c in self.values[name]})

    def ordered(self, nodes: Iterable[str]) -> Scope:
        """Nodes of q in its order."""
        return tuple(sorted(nodes, key=self.place.__getitem__))

    def factor(self, side: ir.Side, node: str) -> Scope:
        """What a factor depends on: its node and the node's parents."""
        return self.union((node, *self.graphs.parents(side, node)))


def scopes_of(
    model: ir.Model,
    graphs: Graphs,
    draws: Sequence[str],
    enumerated: Collection[str],
    sampled: Collection[str] = (),
) -> Scopes:
    """The scopes when some nodes are enumerated. `draws`: q's nodes in order; `sampled`: enumerated in part, so that their
    values depend on their parents too. An enumerated node below a sampled one has its values listed for each of that one's:
    summed over the sampled node first, their shares would depend on which class was sampled, unseen by its score term."""
    found = Scopes(graphs, {n: i for i, n in enumerate(draws)}, {n.name: () for n in model.nodes})
    for name in draws:
        above = found.union(graphs.parents("q", name))
        above = tuple(c for c in above if c in sampled) if name in enumerated else above
        found.values[name] = (*above, name) if name in (*enumerated, *sampled) else above
    for let in model.lets:
        found.values[let.name] = found.union(graphs.lets.contracted([let.name]))
    return found
