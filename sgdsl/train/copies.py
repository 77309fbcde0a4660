"""Data of nodes in loops: a field [rows, copies, …, *event] comes in, one with an entry for each copy goes out, checked
(E0625, E0628, E0641)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.levels import Copies
from sgdsl.train.dataset import Array, Field, Mask
from sgdsl.train.errors import DataError, data_error

Ranges = Mapping[str, Copies]
Numbers = Mapping[str, tuple[Array, Mask]]


@dataclass(frozen=True, slots=True)
class Entries(Field):
    """A field whose rows are the copies of rows; `loops`: index, first place and number of copies of each loop, outside in."""

    loops: tuple[tuple[str, int, int], ...] = ()

    def place(self, row: int, cell: int = 0) -> str:
        """The row of an entry as its file counts it, and the place of the copy."""
        words = []
        for index, first, number in reversed(self.loops):
            row, copy = divmod(row, number)
            words.append(f"{index} = {copy + first}")
        return ", ".join((Field.place(self, row), *reversed(words)))


def copies_of(info: NodeInfo, ranges: Ranges) -> tuple[int, ...]:
    """The number of copies of each loop, from outside in."""
    return tuple(ranges[name].number for name in info.loops)


def loops_of(info: NodeInfo, ranges: Ranges) -> tuple[Copies, ...]:
    """The range of each loop, from outside in."""
    return tuple(ranges[name] for name in info.loops)


def cells_of(name: str, event: Sequence[int], loops: Sequence[Copies] = ()) -> list[tuple[str, tuple[int, ...]]]:
    """The name of each cell of a node and its index in an array [copies, …, *event]: `y`, `y[0,2]`; in a loop `y[1]`,
    `y[1][0,2]`, copies by their places."""
    found = []
    for copy in itertools.product(*(range(r.number) for r in loops)):
        places = ",".join(str(r.first + i) for r, i in zip(loops, copy, strict=True))
        owner = f"{name}[{places}]" if places else name
        for cell in itertools.product(*map(range, event)):
            found.append((f"{owner}[{','.join(map(str, cell))}]" if cell else owner, (*copy, *cell)))
    return found


def loop_words(name: str, found: Copies) -> str:
    """`for t in 2..20`, or `for i in 1..k`."""
    return f"for {_index(name, found)} in {found.first}..{found.count or found.last}"


def _index(name: str, found: Copies) -> str:
    return name.removesuffix(f"_{found.first}_{found.last}")


def by_copies(name: str, info: NodeInfo, field: Field, ranges: Ranges, numbers: Numbers) -> Field:
    """The field of a node with an entry a copy, as it is for a node outside loops. What stands beyond the end of a `1..k` is
    replaced, or refused where it is a label. `numbers[k]`: values and known rows of the k that have data.
    Raises DataError: E0625, E0628, E0641."""
    copies, values = copies_of(info, ranges), field.values
    known = field.known
    if known is not None and known.shape not in (values.shape[:1], values.shape[: 1 + len(copies)]):
        per = "each row" if not copies else "each row, or each copy"
        message = f"{field.name}: its mask has the shape {list(known.shape)}: one true or false for {per}"
        raise data_error("E0628", message, hint="a label is known as a whole or not at all")
    if not copies:
        return field
    if values.shape[1 : 1 + len(copies)] != copies:
        raise _sizes(name, info, field, ranges)
    if known is not None:
        known = np.array(
            np.broadcast_to(known.reshape(*known.shape, *[1] * (1 + len(copies) - known.ndim)), (len(values), *copies))
        )
    live, sure = _live(info, len(values), ranges, numbers)
    if info.role != "supervised":
        values = _filled(info, values, live | ~sure)
    loops = tuple((_index(n, ranges[n]), ranges[n].first, ranges[n].number) for n in info.loops)
    flat = values.reshape(len(values) * math.prod(copies), *values.shape[1 + len(copies) :])
    return Entries(flat, None if known is None else known.reshape(-1), field.parts, loops=loops)


def check_labels(name: str, info: NodeInfo, field: Field, known: Mask, ranges: Ranges, numbers: Numbers) -> None:
    """A label of a copy of `1..k` needs a k that says the copy is there. `known` [entries]. Raises DataError: E0641."""
    copies = copies_of(info, ranges)
    live, sure = _live(info, len(known) // math.prod(copies), ranges, numbers)
    counts = [ranges[n].count for n in info.loops if ranges[n].count in numbers]
    wrong = known & ~(live & sure).reshape(-1) if counts else known[:0]
    if wrong.any():
        entry = int(np.flatnonzero(wrong)[0])
        k = counts[0]
        there = bool(sure.reshape(-1)[entry])
        why = f"`{k}` is {numbers[k][0][entry // math.prod(copies)]} there" if there else f"`{k}` is not known there"
        message = (
            f"{field.place(entry)}: a label of `{name}`, but {why}: in `{_loops(info, ranges)}` no such copy is known"
        )
        notes = [f"{int(wrong.sum()):,} such labels"] if wrong.sum() > 1 else []
        raise data_error(
            "E0641", message, hint=f"fill `{name}` up with −1 or NaN beyond `{k}`, or mask it", notes=notes
        )


def _live(info: NodeInfo, rows: int, ranges: Ranges, numbers: Numbers) -> tuple[Mask, Mask]:
    """Which copies are there, and where that is known; [rows, copies, …] each."""
    copies = copies_of(info, ranges)
    live, sure = np.ones((rows, *copies), bool), np.ones((rows, *copies), bool)
    for depth, name in enumerate(info.loops):
        found = ranges[name]
        if found.count not in numbers:
            continue
        values, known = numbers[found.count]
        places = np.arange(found.first, found.last + 1).reshape(-1, *[1] * (len(copies) - depth - 1))
        over = (rows, *[1] * len(copies))
        live &= places <= values.reshape(over)
        sure &= known.reshape(over)
    return live, sure


def _filled(info: NodeInfo, values: Array, kept: Mask) -> Array:
    """Something legal where no copy is."""
    if kept.all():
        return values
    found = values.copy()
    found[~kept] = 1 if info.support == "positive" else info.first
    if info.support in ("simplex", "direction") and values.shape[kept.ndim :] == info.event:
        found[~kept] = np.eye(info.event[-1], dtype=found.dtype)[0]
    return found


def _loops(info: NodeInfo, ranges: Ranges) -> str:
    return ", ".join(loop_words(name, ranges[name]) for name in info.loops)


def _sizes(name: str, info: NodeInfo, field: Field, ranges: Ranges) -> DataError:
    copies = copies_of(info, ranges)
    wanted = ", ".join(map(str, ("rows", *copies, *info.event)))
    found = ", ".join(map(str, ("rows", *field.values.shape[1:])))
    message = f"{field.name} is [{found}], `{name}` in `{_loops(info, ranges)}` needs [{wanted}]"
    ragged = any(ranges[n].count for n in info.loops)
    hint = (
        "fill shorter rows up: what stands beyond the end is not read" if ragged else "a value for each copy, in order"
    )
    return data_error("E0625", message, hint=hint)
