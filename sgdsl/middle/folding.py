"""What each copy of a node must read comes in; the pieces of its factor go out, each one line for a range of places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

from sgdsl.middle import ir
from sgdsl.middle.moral import UNKNOWN
from sgdsl.middle.readings import Beyond, Near, Reader, Reading
from sgdsl.middle.singles import Places, Singles

Blankets = Mapping[Places, Mapping[str, str]]  # of each copy of a node: what it depends on, and why


class Early(Exception):
    """A reading names copies that are drawn after the reader."""


class Outward(Exception):
    """Copies need one another along two loops, or along an outer one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`place`: short places, first and last, for each axis of the node, and whether it is said by its number: one place that
    reads no drawn copy at another one; `why`: for each reading."""

    node: ir.Node
    place: tuple[tuple[int, int, bool], ...]
    readings: tuple[Reading, ...]
    why: tuple[str, ...]


def fold(singles: Singles, node: ir.Node, blankets: Blankets, order: Mapping[str, int]) -> list[Piece]:
    """`order`: when each copy is drawn, -1 what is known from the start. Raises Crossed, Early, Outward."""
    folder = _Folder(singles, node, blankets, order, Reader(singles, node, tuple(blankets)))
    readings = folder.readings()
    carried = {axis for reading in readings for axis in folder.carried(reading)}
    if len(carried) > 1 or carried - singles.sequences - {r.axis for r in node.axes[-1:]}:
        raise Outward
    runs = [folder.runs(readings, j) for j in range(len(node.axes))]
    return [folder.piece(readings, chosen) for chosen in product(*runs)]


@dataclass(frozen=True, slots=True)
class _Run:
    """Places of one axis, and the readings near a copy that it has there."""

    first: int
    last: int
    near: frozenset[Reading]


@dataclass(frozen=True, slots=True)
class _Folder:
    singles: Singles
    node: ir.Node
    blankets: Blankets
    order: Mapping[str, int]
    reader: Reader

    def readings(self) -> list[Reading]:
        """What covers all blankets: first what is known, as in the file, then in the order of drawing."""
        of = self.singles.of
        found: dict[str, list[tuple[Places, Places]]] = {}
        for places, blanket in self.blankets.items():
            for name in blanket:
                found.setdefault(of[name].node.name, []).append((places, of[name].places))
        place = {n.name: i for i, n in enumerate(self.singles.model.nodes)}
        first = {n: min(self.order[c] for c in self.singles.named({n})) for n in found}
        names = sorted(found, key=lambda n: (first[n], place[n]))
        readings = [r for n in names for r in self.reader.readings(self.singles.model.node(n), found[n])]
        readings = self._joined(readings)
        for reading in readings:
            if not any(isinstance(a, Near) for a in reading.at) and not all(
                self._known(reading, p) for p in self.blankets
            ):
                raise Early
        return readings

    def carried(self, reading: Reading) -> Iterator[str]:
        """The axes along which a node that is drawn in turns with this one is read at other places."""
        other = [self.order[c] for c in self.singles.named({reading.node.name})]
        own = [self.order[self.singles.name(self.node, p)] for p in self.blankets]
        if max(other) > min(own):
            here = {r.axis for r in self.node.axes}
            yield from (a.axis for a in reading.at if a.axis in here and a != Near(a.axis, 0))

    def _known(self, reading: Reading, places: Places) -> bool:
        """Whether all that it names is drawn before the copy at these places."""
        here = self.order[self.singles.name(self.node, places)]
        return all(self.order[c] < here for c in self.reader.covered(reading, places))

    def _joined(self, readings: Sequence[Reading]) -> list[Reading]:
        """`x[t]` and what is later as one, where both are known."""
        found = list(readings)
        for reading in readings:
            for i, at in enumerate(reading.at):
                if isinstance(at, Beyond) and at.later:
                    own = replace(reading, at=(*reading.at[:i], Near(at.axis, 0), *reading.at[i + 1 :]))
                    both = replace(reading, at=(*reading.at[:i], replace(at, offset=0), *reading.at[i + 1 :]))
                    if own in found and all(self._known(both, p) for p in self.blankets):
                        found[found.index(own)] = both
                        found.remove(reading)
        return found

    def runs(self, readings: Sequence[Reading], j: int) -> list[_Run]:
        """The places of an axis in stretches that read alike: nearly all of them, and those at the ends."""
        r = self.node.axes[j]
        short = self.singles.copies.axes[r.axis].short
        places = range(short[r.first], short[r.last] + 1)
        near = [x for x in readings if _is_near(x, r.axis)]
        present = {x: self._present(x, j) for x in near}
        usual = frozenset(x for x in near if places[len(places) // 2] in present[x])

        def reads(s: int) -> frozenset[Reading]:
            here = frozenset(x for x in near if s in present[x])
            return usual if here <= usual and all(self._there(x, j, s) for x in usual) else here

        stretches = ((near_, list(run)) for near_, run in groupby(places, reads))
        return [_Run(run[0], run[-1], near_) for near_, run in stretches]

    def _present(self, reading: Reading, j: int) -> set[int]:
        """The places of an axis where some copy needs a reading."""
        return {
            p[j] for p, blanket in self.blankets.items() if any(c in blanket for c in self.reader.covered(reading, p))
        }

    def _there(self, reading: Reading, j: int, place: int) -> bool:
        """Whether every copy at a place of an axis can have a reading."""
        axis = self.node.axes[j].axis
        short = self.singles.copies.axes[axis].short
        for at, r in zip(reading.at, reading.node.axes, strict=True):
            if isinstance(at, Near) and at.axis == axis and not short[r.first] <= place + at.offset <= short[r.last]:
                return False
        return all(self._known(reading, p) for p in self.blankets if p[j] == place)

    def piece(self, readings: Sequence[Reading], runs: Sequence[_Run]) -> Piece:
        loops = list(zip(self.node.axes, runs, strict=True))
        chosen = [x for x in readings if all(x in run.near for r, run in loops if _is_near(x, r.axis))]
        middle = tuple((run.first + run.last) // 2 for run in runs)
        place = tuple(
            (run.first, run.last, run.first == run.last and r.copies > 1 and _is_alone(chosen, r.axis))
            for r, run in loops
        )
        return Piece(self.node, place, tuple(chosen), tuple(self._why(x, middle, place) for x in chosen))

    def _why(self, reading: Reading, places: Places, said: Sequence[tuple[int, int, bool]]) -> str:
        """The reason for the copy that stands nearest, at the middle of the piece."""
        blanket = self.blankets[places]
        found = [c for c in self.reader.covered(reading, places) if c in blanket]
        if not found:
            return "read at the other places"
        here = dict(zip((r.axis for r in self.node.axes), places, strict=True))
        far = lambda c: sum(abs(p - here.get(r.axis, p)) for r, p in self._axes(c))  # noqa: E731
        loops = {a: p for (a, p), (_, _, alone) in zip(here.items(), said, strict=True) if not alone}
        return relative(blanket[min(found, key=far)], loops, self.singles)

    def _axes(self, copy: str) -> Iterator[tuple[ir.Range, int]]:
        one = self.singles.of[copy]
        return zip(one.node.axes, one.places, strict=True)


def _is_near(reading: Reading, axis: str) -> bool:
    return any(isinstance(a, Near) and a.axis == axis for a in reading.at)


def _is_alone(readings: Iterable[Reading], axis: str) -> bool:
    """Whether no drawn copy at another place is read."""
    drawn = (x for x in readings if x.node.role in UNKNOWN)
    return all(a == Near(axis, 0) for x in drawn for a in x.at if a.axis == axis)


def relative(why: str, here: Mapping[str, int], singles: Singles) -> str:
    """Words about copies as they are seen from a place: `z[t + 1]` for a copy by its number."""

    def said(match: re.Match[str]) -> str:
        one = singles.of.get(match[0])
        if one is None:
            return match[0]
        axes = zip((r.axis for r in one.node.axes), one.places, strict=True)
        index = [moved(a, p - here[a]) if a in here else str(singles.copies.axes[a].place[p]) for a, p in axes]
        return f"{one.node.name}[{', '.join(index)}]"

    return re.sub(r"\w+\[[-0-9, ]+\]", said, why)


def moved(index: str, offset: int) -> str:
    """`t`, `t + 1`"""
    return f"{index} {'+' if offset > 0 else '-'} {abs(offset)}" if offset else index
