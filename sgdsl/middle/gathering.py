"""Pieces of made factors come in; their parents as the file would name them go out, with the lets that these need: a feature of
each copy, their mean, what is later or earlier in a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sgdsl.middle import ir
from sgdsl.middle.folding import Piece, moved
from sgdsl.middle.moral import UNKNOWN
from sgdsl.middle.readings import MOST_PLACES, At, Beyond, Every, Near, Only, Reading
from sgdsl.middle.singles import Singles

Axes = tuple[ir.Range, ...]


@dataclass(slots=True)
class Gatherer:
    """`taken`: the names of the file; `lets`: those made so far, each after those it reads."""

    singles: Singles
    taken: set[str]
    lets: list[ir.Gathered] = field(default_factory=list)
    known: dict[tuple[object, ...], str] = field(default_factory=dict)

    def made(self, pieces: Sequence[Piece]) -> list[ir.Made]:
        """The pieces of a node as lines of the file. Adds lets."""
        return [self._made(piece, any(map(_is_carried, pieces))) for piece in pieces]

    def _made(self, piece: Piece, carried: bool) -> ir.Made:
        """`carried`: drawn copy by copy; missing cells are then read beforehand."""
        line = _Line(self.singles, piece, self)
        found: dict[str, list[str]] = {}
        for group in _groups(piece.readings):
            for text, readings in line.texts(group):
                partial = carried and any(r.node.type.partial for r in readings)
                found.setdefault(line.feature(readings[0]) if partial else text, []).extend(line.reasons(readings))
        for r, place in zip(piece.node.axes, line.place, strict=True):
            if isinstance(place, ir.Range) and self._is_told(r, piece) and r.copies <= MOST_PLACES:
                found[r.axis] = [f"tells the copies of `{piece.node.name}` apart"]
        return ir.Made(
            piece.node.name, tuple(found), tuple("; ".join(dict.fromkeys(w)) for w in found.values()), place=line.place
        )

    def _is_told(self, r: ir.Range, piece: Piece) -> bool:
        """Whether a factor should read the index of a loop."""
        apart = r.axis in self.singles.unlike and r.axis not in self.singles.sequences
        return apart or any(a == Every(r.axis, "stack") for reading in piece.readings for a in reading.at)

    def summed(self, readings: Sequence[Reading], depth: int) -> str:
        """The let that takes the copies of some nodes together along their axis at `depth`; it has the axes before it."""
        axes = readings[0].node.axes[: depth + 1]
        at = readings[0].at[depth]
        beside = [f"{r.node.name}[{at.axis}]" for r in readings if len(r.at) < depth + 1]
        longer = [r for r in readings if len(r.at) >= depth + 1]
        inner = [text for group in _inner(longer, depth) for text in self.inside(group, depth + 1)] + beside
        if isinstance(at, Every) and at.how == "plate":
            each = self._let("each", axes, tuple(inner))
            return self._let("mean", axes[:-1], (f"{each}[{', '.join((*_names(axes[:-1]), '*'))}]",))
        counted = isinstance(at, Every) and self.is_counted(at)
        kind = "earlier" if counted or (isinstance(at, Beyond) and not at.later) else "later"
        if any(map(self._is_wide, inner)):
            inner = [f"{self._let('each', axes, tuple(inner))}[{', '.join(_names(axes))}]"]
        found = self._let(kind, axes, tuple(inner))
        if counted:
            return self._let("last", axes[:-1], (f"{found}[{', '.join((*_names(axes[:-1]), '*'))}]",))
        return found

    def is_counted(self, at: At) -> bool:
        """Whether the copies of an axis are as many as a node says: what is behind them is then not passed."""
        return self.singles.model.axis(at.axis).count is not None

    def inside(self, readings: Sequence[Reading], depth: int) -> list[str]:
        """What a let in the loops of the axes before `depth` reads of some nodes."""
        axes = readings[0].node.axes[:depth]
        index = ", ".join(_names(axes))
        if len(readings[0].at) == depth:
            return [f"{r.node.name}[{index}]" for r in readings]
        at = readings[0].at[depth]
        assert isinstance(at, Every)
        match at.how:
            case "stack":
                return [f"stack({self.starred(r, depth, _names(axes))})" for r in readings]
            case "sequence" if not self.is_counted(at):
                first = readings[0].node.axes[depth].first
                return [f"{self.summed(readings, depth)}[{', '.join((*_names(axes), str(first)))}]"]
            case _:
                return [f"{self.summed(readings, depth)}[{index}]"]

    def starred(self, reading: Reading, depth: int, before: Sequence[str]) -> str:
        """All copies of a node along its axis at `depth`, or of a let of what is further in."""
        inner = reading.at[depth + 1 :]
        if all(isinstance(a, Every) and a.how == "stack" for a in inner):
            name, stars = reading.node.name, 1 + len(inner)
        else:
            (text,) = self.inside((reading,), depth + 1)
            name, stars = text.partition("[")[0], 1
            if text.startswith("stack("):
                name = self._let("each", reading.node.axes[: depth + 1], (text,))
        return f"{name}[{', '.join((*before, *('*' * stars)))}]"

    def _is_wide(self, text: str) -> bool:
        """Whether a step of a sequence should read a feature of it."""
        name = text.partition("[")[0]
        nodes = {n.name: n.type for n in self.singles.model.nodes}
        return text.startswith("stack(") or (name in nodes and (len(nodes[name].event) > 1 or nodes[name].partial))

    def feature(self, node: ir.Node, depth: int) -> str:
        """A let of a node's copies, those in the loops further in than `depth` side by side."""
        index, stars = _names(node.axes[:depth]), ["*"] * (len(node.axes) - depth)
        text = _indexed(node.name, [*index, *stars])
        return self._let("each", node.axes[:depth], (f"stack({text})" if stars else text,))

    def _let(self, kind: str, axes: Axes, reads: tuple[str, ...]) -> str:
        key = kind, axes, reads
        if key not in self.known:
            self.known[key] = self._unique({"mean": "pooled", "last": "whole"}.get(kind, kind))
            loops = tuple(ir.Range(r.axis, r.axis, r.first, r.last) for r in axes)
            self.lets.append(ir.Gathered(self.known[key], kind, loops, reads))
        return self.known[key]

    def _unique(self, name: str) -> str:
        found, n = name, 2
        while found in self.taken:
            found, n = f"{name}_{n}", n + 1
        self.taken.add(found)
        return found


@dataclass(frozen=True, slots=True)
class _Line:
    """One piece in words: in a loop, or with numbers where it is of one place and reads no other copy of its node."""

    singles: Singles
    piece: Piece
    gatherer: Gatherer

    @property
    def place(self) -> tuple[ir.Range | int, ...]:
        return tuple(self._place(i) for i in range(len(self.piece.node.axes)))

    def _place(self, i: int) -> ir.Range | int:
        r, (first, last, alone) = self.piece.node.axes[i], self.piece.place[i]
        place = self.singles.copies.axes[r.axis].place
        return place[first] if alone else ir.Range(r.axis, r.axis, place[first], place[last])

    def texts(self, readings: Sequence[Reading]) -> list[tuple[str, Sequence[Reading]]]:
        """The names of a group behind the bar, and what each stands for."""
        depth = _depth(readings[0])
        before = [self._index(readings[0], i) for i in range(min(depth, len(readings[0].at)))]
        if depth == len(readings[0].at):
            return [(_indexed(r.node.name, [self._index(r, i) for i in range(depth)]), (r,)) for r in readings]
        at = readings[0].at[depth]
        if isinstance(at, Every) and at.how == "stack":
            return [(self._stacked(r, depth, before), (r,)) for r in readings]
        name = self.gatherer.summed(readings, depth)
        if isinstance(at, Beyond):
            before.append(self._near(at.axis, at.offset))
        elif isinstance(at, Every) and at.how == "sequence" and not self.gatherer.is_counted(at):
            before.append(str(readings[0].node.axes[depth].first))
        return [(_indexed(name, before), readings)]

    def _stacked(self, reading: Reading, depth: int, before: Sequence[str]) -> str:
        """A bare name outside of the node's loops, else `x[c, *]`."""
        text = self.gatherer.starred(reading, depth, before)
        own = {r.axis for r in self.piece.node.axes}
        outside = not before and own.isdisjoint(r.axis for r in reading.node.axes)
        return text.partition("[")[0] if outside else text

    def feature(self, reading: Reading) -> str:
        """In place of copies themselves a feature of them; a summary is one."""
        depth = _depth(reading)
        if depth < len(reading.at) and reading.at[depth] != Every(reading.node.axes[depth].axis, "stack"):
            ((text, _),) = self.texts((reading,))
            return text
        return _indexed(self.gatherer.feature(reading.node, depth), [self._index(reading, i) for i in range(depth)])

    def _index(self, reading: Reading, i: int) -> str:
        match reading.at[i]:
            case Near(axis, offset):
                return self._near(axis, offset)
            case Only(axis, place):
                return str(self.singles.copies.axes[axis].place[place])
            case _:
                raise AssertionError("a summary")

    def _near(self, axis: str, offset: int) -> str:
        i = [r.axis for r in self.piece.node.axes].index(axis)
        place = self._place(i)
        return str(place + offset) if isinstance(place, int) else moved(axis, offset)

    def reasons(self, readings: Sequence[Reading]) -> list[str]:
        whys = dict(zip(self.piece.readings, self.piece.why, strict=True))
        if all(_depth(r) == len(r.at) for r in readings):
            return [whys[r] for r in readings]
        return [
            f"{r.node.name} is {whys[r]}" if whys[r].startswith("a ") else f"{r.node.name} {whys[r]}" for r in readings
        ]


def _is_carried(piece: Piece) -> bool:
    """Whether drawn copies at other places are read."""
    axes = {r.axis for r in piece.node.axes}
    drawn = (r for r in piece.readings if r.node.role in UNKNOWN)
    return any(a.axis in axes and a != Near(a.axis, 0) for r in drawn for a in r.at)


def _depth(reading: Reading) -> int:
    """Where it begins to take copies together."""
    return next((i for i, a in enumerate(reading.at) if isinstance(a, Beyond | Every)), len(reading.at))


def _groups(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Those that one let can take together: of the same loops, and in the same way up to there; and beside the copies of a
    plate in a loop those of the plate alone."""
    groups = _grouped(readings, lambda r, d: (r.node.axes[: d + 1], r.at[: d + 1]))
    for group in groups:
        depth = _depth(group[0])
        if 0 < depth < len(group[0].at) and isinstance(plate := group[0].at[depth], Every) and plate.how == "plate":
            alone = [
                g for g in groups if g[0].at == (plate,) and g[0].node.axes == group[0].node.axes[depth : depth + 1]
            ]
            group += [r for g in alone for r in g]
            groups = [g for g in groups if g not in alone]
    return groups


def _inner(readings: Sequence[Reading], depth: int) -> list[list[Reading]]:
    """Inside of a let: those of the same loops further in."""
    return _grouped(readings, lambda r, _: (r.node.axes[: depth + 2], r.at[depth + 1 : depth + 2]))


def _grouped(readings: Sequence[Reading], key: Callable[[Reading, int], object]) -> list[list[Reading]]:
    found: dict[object, list[Reading]] = {}
    for r in readings:
        depth = _depth(r)
        found.setdefault(key(r, depth) if depth < len(r.at) else r, []).append(r)
    return list(found.values())


def _names(axes: Axes) -> list[str]:
    return [r.axis for r in axes]


def _indexed(name: str, index: Sequence[str]) -> str:
    return f"{name}[{', '.join(index)}]" if index else name
