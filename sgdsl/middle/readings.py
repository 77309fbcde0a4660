"""Which copies of one node each copy of another must read comes in; how that is said for all of them at once goes out:
`x[t]`, `z[t - 1]`, all of them, those that come later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from sgdsl.middle import ir
from sgdsl.middle.moral import UNKNOWN
from sgdsl.middle.singles import Places, Singles

FURTHEST = 2  # as far as a reference goes
MOST_PLACES = 256  # of a loop whose index a network reads
Pairs = Sequence[tuple[Places, Places]]  # of a reader, and of what it reads


@dataclass(frozen=True, slots=True)
class Near:
    """The place `offset` from the reader's own."""

    axis: str
    offset: int


@dataclass(frozen=True, slots=True)
class Only:
    """One place."""

    axis: str
    place: int


@dataclass(frozen=True, slots=True)
class Beyond:
    """Every place from `offset` after the reader's on (`later`), or up to `offset` before it."""

    axis: str
    later: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Every:
    """Every place: `plate`: their mean; `stack`: side by side; `sequence`: a summary that is carried along."""

    axis: str
    how: str


At = Near | Only | Beyond | Every


@dataclass(frozen=True, slots=True)
class Reading:
    """Copies of a node, one `At` for each of its axes."""

    node: ir.Node
    at: tuple[At, ...]


class Crossed(Exception):
    """Copies along an outer loop of one node, each by its place in a long inner one: no reference names them."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The copies of a node that read."""

    singles: Singles
    node: ir.Node
    copies: tuple[Places, ...]

    def readings(self, other: ir.Node, pairs: Pairs) -> list[Reading]:
        """What covers the pairs, little more. Raises Crossed."""
        found = dict.fromkeys(sayable for at in self._at(other, pairs, 0) for sayable in self._sayable(at))
        return [Reading(other, at) for at in found if not any(_as_plate(o) == at != o for o in found)]

    def covered(self, reading: Reading, places: Places) -> Iterator[str]:
        """The copies that a reading names for the reader at these places."""
        of, singles = self.singles.of, self.singles
        for name in singles.named({reading.node.name}):
            if all(self._meets(at, p, places) for at, p in zip(reading.at, of[name].places, strict=True)):
                yield name

    def _meets(self, at: At, place: int, places: Places) -> bool:
        match at:
            case Near(axis, offset):
                return place == places[self._position(axis)] + offset
            case Only(_, only):
                return place == only
            case Beyond(axis, later, offset):
                edge = places[self._position(axis)] + offset
                return place >= edge if later else place <= edge
            case Every():
                return True
            case _:
                assert_never(at)

    def _position(self, axis: str) -> int:
        return [r.axis for r in self.node.axes].index(axis)

    def _at(self, other: ir.Node, pairs: Pairs, depth: int) -> Iterator[tuple[At, ...]]:
        if depth == len(other.axes):
            yield ()
            return
        axis = other.axes[depth].axis
        shared = any(r.axis == axis for r in self.node.axes)
        for at, chosen in (self._shared if shared else self._outside)(other, pairs, depth):
            if chosen:
                yield from ((at, *inner) for inner in self._at(other, chosen, depth + 1))

    def _outside(self, other: ir.Node, pairs: Pairs, depth: int) -> Iterator[tuple[At, Pairs]]:
        """On an axis that the reader does not stand on."""
        axis = other.axes[depth].axis
        places = {p[depth] for _, p in pairs}
        ends = self.singles.copies.axes[axis].short
        counted = self.singles.model.axis(axis).count is not None
        if (
            not counted
            and len(places) <= FURTHEST
            and places < set(self._all(other, depth))
            and places <= set(ends.values())
        ):
            yield from ((Only(axis, p), [q for q in pairs if q[1][depth] == p]) for p in sorted(places))
        else:
            yield every(self.singles, axis), pairs

    def _all(self, other: ir.Node, depth: int) -> range:
        r = other.axes[depth]
        short = self.singles.copies.axes[r.axis].short
        return range(short[r.first], short[r.last] + 1)

    def _shared(self, other: ir.Node, pairs: Pairs, depth: int) -> Iterator[tuple[At, Pairs]]:
        axis = other.axes[depth].axis
        here = self._position(axis)
        if self.singles.model.axis(axis).count is not None:
            yield from self._alive(other, pairs, depth)
            return
        whole = self._all(other, depth)
        only = self._fixed(pairs, here, depth, whole) if other.role not in UNKNOWN else []
        yield from ((Only(axis, p), [q for q in pairs if q[1][depth] == p]) for p in only)
        left = [q for q in pairs if q[1][depth] not in only]
        far = {later: self._is_far(left, here, depth, whole, later) for later in (False, True)}
        if all(far.values()) and axis not in self.singles.sequences:
            yield Near(axis, 0), [q for q in left if q[1][depth] == q[0][here]]
            yield every(self.singles, axis), left
            return
        for later in (False, True):
            if far[later]:
                beyond = [q for q in left if (q[1][depth] > q[0][here]) is later and q[1][depth] != q[0][here]]
                yield Beyond(axis, later, 1 if later else -1), beyond
        for offset in range(-FURTHEST, FURTHEST + 1):
            if offset == 0 or not far[offset > 0]:
                yield Near(axis, offset), [q for q in left if q[1][depth] == q[0][here] + offset]

    def _alive(self, other: ir.Node, pairs: Pairs, depth: int) -> Iterator[tuple[At, Pairs]]:
        """In a loop `1..k`: the own copy, those before it, and where it reads later ones, all that are there."""
        axis = other.axes[depth].axis
        here = self._position(axis)
        later = [q for q in pairs if q[1][depth] > q[0][here]]
        earlier = [q for q in pairs if q[1][depth] < q[0][here]]
        yield Near(axis, 0), [q for q in pairs if q[1][depth] == q[0][here]]
        if later:
            yield every(self.singles, axis), [*earlier, *later]
        else:
            yield Beyond(axis, False, -1), earlier

    def _fixed(self, pairs: Pairs, here: int, depth: int, whole: range) -> list[int]:
        """Places that every copy reads, where it reads no others that are far from it."""
        if len(whole) <= FURTHEST + 2:
            return []
        read: dict[Places, set[int]] = {v: set() for v in self.copies}
        for v, p in pairs:
            read[v].add(p[depth])
        same = sorted(set.intersection(*read.values()))
        rest = (abs(p - v[here]) for v, places in read.items() for p in places - set(same))
        return same if len(same) <= FURTHEST and all(d <= FURTHEST for d in rest) else []

    def _is_far(self, pairs: Pairs, here: int, depth: int, whole: Sequence[int], later: bool) -> bool:
        """Whether what is read on one side reaches further than references do; of three places, whether it is all of them."""
        side = [(v, p[depth]) for v, p in pairs if p[depth] != v[here] and (p[depth] > v[here]) is later]
        if len(whole) > 3:
            return any(abs(p - v[here]) > FURTHEST for v, p in side)
        everything = {(v, p) for v in self.copies for p in whole if p != v[here] and (p > v[here]) is later}
        return len(whole) == 3 and bool(side) and everything == set(side)

    def _sayable(self, at: tuple[At, ...]) -> Iterator[tuple[At, ...]]:
        """As lets can say it: behind a summary everything further in is summed up too; where the reader stands on it, side by
        side, so that it can tell which is its own by the index."""
        first = next((i for i, a in enumerate(at) if isinstance(a, Beyond | Every)), len(at))
        inner = at[first + 1 :]
        if all(isinstance(a, Every) for a in inner):
            yield at
        elif isinstance(at[first], Every):
            loops = {r.axis: r for r in self.node.axes}
            if any(a.axis in loops and loops[a.axis].copies > MOST_PLACES for a in inner):
                raise Crossed
            yield (
                *at[: first + 1],
                *(Every(a.axis, "stack" if a.axis in loops else _how(self.singles, a.axis)) for a in inner),
            )
        else:
            yield (*at[: first + 1], *(every(self.singles, a.axis) for a in inner))


def _as_plate(at: tuple[At, ...]) -> tuple[At, ...]:
    return tuple(Every(a.axis, "plate") if a == Every(a.axis, "stack") else a for a in at)


def _how(singles: Singles, axis: str) -> str:
    return "sequence" if axis in singles.sequences else "stack" if axis in singles.unlike else "plate"


def every(singles: Singles, axis: str) -> Every:
    return Every(axis, _how(singles, axis))
