"""Which copy reads which: a model with loops comes in, graphs over single copies go out, such as z[1] → z[2].

Copies read others at most two places away, so a long stretch of a loop between two places that the file names is as a short
one: of each, SHORT places are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product

from sgdsl.middle import ir
from sgdsl.middle.digraph import Digraph, digraph
from sgdsl.middle.graphs import references

SHORT = 6
At = Mapping[str, int]  # the place of each loop, by the name of its range


@dataclass(frozen=True, slots=True)
class Shortened:
    """An axis without the inner places of long stretches: place → short place, and back."""

    short: Mapping[int, int]
    place: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of a model's nodes and lets; `spans` of factors are those of the copies that they are of."""

    model: ir.Model
    axes: Mapping[str, Shortened] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", {name: _shortened(marks) for name, marks in _landmarks(self.model).items()})

    @property
    def valued(self) -> list[ir.Node | ir.Let]:
        """All nodes, and the lets that are no views of others."""
        return [*self.model.nodes, *(h for h in self.model.lets if not isinstance(h.value, ir.View))]

    def each(self, axes: Iterable[ir.Range]) -> Iterator[At]:
        axes = tuple(axes)
        ends = [self.axes[r.axis].short for r in axes]
        for places in product(*(range(s[r.first], s[r.last] + 1) for r, s in zip(axes, ends, strict=True))):
            yield {r.name: p for r, p in zip(axes, places, strict=True)}

    def named(self, valued: ir.Node | ir.Let, places: Iterable[int]) -> str:
        """`z[3]`, of short places."""
        back = (self.axes[r.axis].place[p] for r, p in zip(valued.axes, places, strict=True))
        index = ", ".join(map(str, back))
        return f"{valued.name}[{index}]" if index else valued.name

    def copy(self, name: str, at: At) -> str:
        """The copy of a node or let that a reader at these places means; a view is no let of its own here."""
        valued = self.model.valued(name)
        if isinstance(valued, ir.Let) and isinstance(valued.value, ir.View):
            return self._seen(valued.value, at)
        return self.named(valued, (at[r.name] for r in valued.axes))

    def lets(self) -> Digraph:
        """What each copy of a let reads, nodes and lets."""
        lets = [h for h in self.model.lets if not isinstance(h.value, ir.View)]
        names = [self.named(n, at.values()) for n in self.valued for at in self.each(n.axes)]
        reads = ((read, self.copy(h.name, at)) for h in lets for at in self.each(h.axes) for read in self._reads(h, at))
        return digraph(names, reads)

    def factors(self, factors: Iterable[ir.Factor], lets: Digraph) -> tuple[Digraph, dict[str, ir.Factor]]:
        """What each copy of a node reads on one side, through lets; and the factor of each. `lets` has no cycles."""
        nodes = [self.named(n, at.values()) for n in self.model.nodes for at in self.each(n.axes)]
        edges, of = [], {}
        known = set(nodes)
        for factor in factors:
            node = self.model.node(factor.node)
            for at in self.each(factor.axes):
                ends = zip(factor.place, node.axes, strict=True)
                child = self.named(
                    node, (self.axes[r.axis].short[p] if isinstance(p, int) else at[p.name] for p, r in ends)
                )
                of[child] = factor
                read = [self.copy(g, at) for g in factor.given]
                inner = [r if r in known else sorted(lets.ancestors(r) & known) for r in read]
                edges += [(u, child) for found in inner for u in ([found] if isinstance(found, str) else found)]
        return digraph(nodes, edges), of

    def _reads(self, let: ir.Let, at: At) -> Iterator[str]:
        match let.value:
            case ir.Over(_, source, _, _):
                inner = self.model.valued(source.name).axes[-1]
                yield from (self.copy(source.name, {**at, **here}) for here in self.each((inner,)))
            case _:
                yield from (self.copy(ref.name, at) for ref in references(let.value))

    def _seen(self, view: ir.View, at: At) -> str:
        source = self.model.valued(view.source.name)
        places = []
        for where, r in zip(view.at, source.axes, strict=True):
            axis = self.axes[r.axis]
            places.append(axis.short[where] if isinstance(where, int) else at[where.range.name] + where.offset)
        last = source.axes[-1]
        edges = {self.axes[last.axis].short[place]: ref.name for place, ref in view.edges}
        if places[-1] in edges:
            return self.copy(edges[places[-1]], {r.name: p for r, p in zip(source.axes, places, strict=True)})
        return self.named(source, places)


def _landmarks(model: ir.Model) -> dict[str, set[int]]:
    """The places of each axis that the file names."""
    found: dict[str, set[int]] = {a.name: {a.first, a.last} for a in model.axes}
    for axes in (*(n.axes for n in model.nodes), *(h.axes for h in model.lets)):
        for r in axes:
            found[r.axis] |= {r.first, r.last}
    for factor in (*model.p, *model.q):
        for where, r in zip(factor.place, model.node(factor.node).axes, strict=True):
            found[r.axis] |= {where} if isinstance(where, int) else {where.first, where.last}
    for let in model.lets:
        if isinstance(let.value, ir.View):
            axes = model.valued(let.value.source.name).axes
            for at, r in zip(let.value.at, axes, strict=True):
                found[r.axis] |= {at} if isinstance(at, int) else {at.range.first, at.range.last}
            found[axes[-1].axis] |= {place for place, _ in let.value.edges}
    return found


def _shortened(marks: Iterable[int]) -> Shortened:
    """Each stretch between two of the places is SHORT at most."""
    ordered = sorted(marks)
    short, place, start = {ordered[0]: 0}, {0: ordered[0]}, 0
    for low, high in pairwise(ordered):
        length = min(high - low, SHORT)
        for i in range(1, length + 1):
            place[start + i] = low + i if i <= length // 2 else high - (length - i)
        start += length
        short[high] = start
    return Shortened(short, place)
