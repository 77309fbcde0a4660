"""A model with loops comes in; its graphs over single copies, z[1] → x[1], go out, and where each copy stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sgdsl.middle import ir
from sgdsl.middle.apart import told_apart
from sgdsl.middle.copies import Copies
from sgdsl.middle.digraph import Digraph, digraph
from sgdsl.middle.moral import UNKNOWN

Places = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Single:
    """One copy of a node: its places, from outside in, on the axes of `copies`."""

    node: ir.Node
    places: Places

    def at(self, axis: str) -> int | None:
        """Its place on an axis; None where it has none there."""
        return next((p for r, p in zip(self.node.axes, self.places, strict=True) if r.axis == axis), None)


@dataclass(frozen=True)
class Singles:
    """`of`: every copy by its name, `z[3]`; `p`, `q`: what each copy reads, lets contracted."""

    model: ir.Model
    copies: Copies
    of: Mapping[str, Single] = field(init=False)
    p: Digraph = field(init=False)
    q: Digraph = field(init=False)

    def __post_init__(self) -> None:
        of = {}
        for node in self.model.nodes:
            for at in self.copies.each(node.axes):
                places = tuple(at.values())
                of[self.copies.named(node, places)] = Single(node, places)
        object.__setattr__(self, "of", of)
        lets = self.copies.lets()
        p, _ = self.copies.factors(self.model.p, lets)
        object.__setattr__(self, "p", digraph(p, (*p.edges, *self._counted(p))))
        object.__setattr__(self, "q", self.copies.factors(self.model.q, lets)[0])

    def counted(self) -> Iterator[tuple[str, str]]:
        """Each copy of a loop `1..k` with its k."""
        for axis in self.model.axes:
            if axis.count is not None:
                yield from ((axis.count, v) for v, one in self.of.items() if one.at(axis.name) is not None)

    def _counted(self, p: Digraph) -> Iterator[tuple[str, str]]:
        """How many copies there are has a say in each copy, and in what reads copies."""
        for count, v in self.counted():
            yield count, v
            yield from ((count, w) for w in p.successors(v) if w != count)

    def name(self, node: ir.Node, places: Places) -> str:
        return self.copies.named(node, places)

    def unknown(self) -> list[str]:
        return [v for v, one in self.of.items() if one.node.role in UNKNOWN]

    def known(self) -> list[str]:
        return [v for v, one in self.of.items() if one.node.role not in UNKNOWN]

    def named(self, names: set[str]) -> list[str]:
        """The copies of nodes of these names."""
        return [v for v, one in self.of.items() if one.node.name in names]

    @cached_property
    def sequences(self) -> frozenset[str]:
        """The axes on which a copy reads others in p: a plate is none."""
        found = set()
        for u, v in self.p.edges:
            for r, place in zip(self.of[u].node.axes, self.of[u].places, strict=True):
                if self.of[v].at(r.axis) not in (None, place):
                    found.add(r.axis)
        return frozenset(found)

    @cached_property
    def tied(self) -> dict[str, frozenset[str]]:
        """The axes on which unknown copies of one node share a child, and these nodes: each explains the others away."""
        found: dict[str, set[str]] = {}
        for child in self.p:
            seen: dict[tuple[str, str], int] = {}
            for parent in self.p.predecessors(child):
                one = self.of[parent]
                for r, place in zip(one.node.axes, one.places, strict=True):
                    if one.node.role in UNKNOWN and seen.setdefault((one.node.name, r.axis), place) != place:
                        found.setdefault(r.axis, set()).add(one.node.name)
        return {axis: frozenset(names) for axis, names in found.items()}

    @cached_property
    def unlike(self) -> frozenset[str]:
        """The axes that are no plates: p tells their copies apart, by weights of their own or by their place."""
        return told_apart(self.model)
