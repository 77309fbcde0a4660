"""Levels: which rows, copies and values a term is evaluated on. Known masks come in, index tensors go out.

A level is a list of entries (row, a copy of each loop and a value of each enumerated node in it), ordered by row and then by
these, the last fastest. A row that knows a node's value has one entry for it, another row as many as the node has values. Of
a loop `1..k` all copies are listed, up to the largest k. The empty level is the rows themselves and has
no object. Tensors at a level are [S or 1, entries, *event].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

ROWS = ""


@dataclass(frozen=True, slots=True)
class Level:
    """`index[name]` maps each entry to its entry in the smaller level `name` ("": its row), [entries] int64; `sizes`
    are the numbers of entries there; `values[node]` is the node's value at each entry, [1, entries, *event]; `copy[range]` the
    copy of each entry, [entries] int64 from 0, and `most[range]` the most entries that one has."""

    index: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    values: Mapping[str, Tensor]
    entries: int
    copy: Mapping[str, Tensor] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)

    @property
    def row(self) -> Tensor:
        """The row of each entry, [entries]."""
        return self.index[ROWS]

    def up(self, tensor: Tensor, level: str = ROWS) -> Tensor:
        """From a smaller level to this one: [S or 1, entries there, …] → [S or 1, entries, …]."""
        return tensor.index_select(1, self.index[level])

    def down(self, term: Tensor, level: str = ROWS) -> Tensor:
        """Sums over the entries that share an entry of a smaller level: [S or 1, entries] → [S or 1, entries there]."""
        return term.new_zeros(term.shape[0], self.sizes[level]).index_add(1, self.index[level], term)

    def share(self, share: Tensor, term: Tensor) -> Tensor:
        """Share-weighted sum of a term down to the rows."""
        return self.down(weighted(share, term))

    def log_sum(self, term: Tensor, level: str = ROWS) -> Tensor:
        """log Σ exp over the entries that share an entry of a smaller level."""
        index = self.index[level]
        top = term.new_full((term.shape[0], self.sizes[level]), -torch.inf)
        top = top.scatter_reduce(1, index.expand_as(term), term.detach(), "amax")
        top = torch.where(top.isfinite(), top, 0.0)
        return top + self.down((term - top.index_select(1, index)).exp(), level).log()


def weighted(share: Tensor, term: Tensor) -> Tensor:
    """share · term; a share of 0 takes an infinite term away."""
    return torch.where(share > 0, share * term, 0.0)


def value_table(first: int, values: int, event: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Every value of a finite node, [values ** cells, *event], the last cell fastest."""
    cells = math.prod(event)
    axis = torch.arange(first, first + values, dtype=dtype, device=device)
    return torch.cartesian_prod(*[axis] * cells).reshape(values**cells, *event)


@dataclass(frozen=True, slots=True)
class Copies:
    """A range of a loop: its places first … last; `count`: the node k of `1..k`, "" for a fixed range."""

    first: int
    last: int
    count: str = ""

    @property
    def number(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A node whose values are listed: `table` [values, *event]; `counts` the entries of each row, or of each copy, [rows or
    rows · copies …]; `loops`: the ranges of its copies; `labels` [1, rows or …, *event] and `known` where supervised."""

    table: Tensor
    counts: Tensor
    loops: tuple[str, ...] = ()
    labels: Tensor | None = None
    known: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a level: the `row` of each, and its `digit` for each name; `starts[j]`: where the entries of the first
    j + 1 names begin for each entry of the first j."""

    names: tuple[str, ...]
    row: Tensor
    digit: Mapping[str, Tensor]
    starts: tuple[Tensor, ...]

    def position(self, row: Tensor, digit: Mapping[str, Tensor]) -> Tensor:
        """Which entry has this row and these digits, [any]."""
        for start, name in zip(self.starts, self.names, strict=True):
            row = start.index_select(0, row) + digit[name]
        return row


def list_entries(
    names: Sequence[str], rows: int, listed: Mapping[str, Listed], ranges: Mapping[str, Copies], device: torch.device
) -> Entries:
    """The entries of a level, one name after the other."""
    row = torch.arange(rows, device=device)
    digit: dict[str, Tensor] = {}
    starts = []
    for name in names:
        if name in ranges:
            number = ranges[name].number
            start = torch.arange(0, len(row) * number, number, device=device)
            own = torch.arange(number, device=device).repeat(len(row))
            row = row.repeat_interleave(number)
            digit = {n: d.repeat_interleave(number) for n, d in digit.items()} | {name: own}
        else:
            counts = listed[name].counts.index_select(0, own_copy(listed[name], row, digit, ranges))
            again = torch.repeat_interleave(counts)
            start = counts.cumsum(0) - counts
            row = row.index_select(0, again)
            own = torch.arange(len(again), device=device) - start.index_select(0, again)
            digit = {n: d.index_select(0, again) for n, d in digit.items()} | {name: own}
        starts.append(start)
    return Entries(tuple(names), row, digit, tuple(starts))


def own_copy(node: Listed, row: Tensor, digit: Mapping[str, Tensor], ranges: Mapping[str, Copies]) -> Tensor:
    """Where a node's own mask and label stand: its row, or the copy in its row."""
    for name in node.loops:
        row = row * ranges[name].number + digit[name]
    return row


def value_at(
    node: Listed, row: Tensor, digit: Tensor, digits: Mapping[str, Tensor], ranges: Mapping[str, Copies]
) -> Tensor:
    """The value of a node at each entry, [1, entries, *event]."""
    value = node.table.index_select(0, digit)[None]
    if node.known is None or node.labels is None:
        return value
    own = own_copy(node, row, digits, ranges)
    mask = node.known.index_select(0, own).reshape(1, -1, *[1] * (value.dim() - 2))
    return torch.where(mask, node.labels.index_select(1, own).to(value.dtype), value)


def make_level(
    entries: Entries,
    below: Mapping[str, Entries],
    rows: int,
    listed: Mapping[str, Listed],
    ranges: Mapping[str, Copies],
) -> Level:
    """A level of its entries. `below`: those of its smaller levels by name."""
    row, digit = entries.row, entries.digit
    index = {ROWS: row} | {name: other.position(row, digit) for name, other in below.items()}
    sizes = {ROWS: rows} | {name: len(other.row) for name, other in below.items()}
    values = {n: value_at(listed[n], row, digit[n], digit, ranges) for n in entries.names if n in listed}
    copy = {n: digit[n] for n in entries.names if n in ranges}
    if values:
        most = {n: int(c.bincount().max()) if len(c) else 0 for n, c in copy.items()}
    else:
        most = {n: len(row) // ranges[n].number for n in copy}
    return Level(index, sizes, values, len(row), copy, most)
