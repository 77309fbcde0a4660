"""Levels: which rows and values a term is evaluated on. Known masks come in, index tensors go out.

A level is a list of entries (row, a value of each enumerated node in it), ordered by row and then by the values, the
last node fastest. A row that knows a node's value has one entry for it, another row as many as the node has values.
The empty level is the rows themselves and has no object. Tensors at a level are [S or 1, entries, *event].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = ""


@dataclass(frozen=True, slots=True)
class Level:
    """`index[name]` maps each entry to its entry in the smaller level `name` ("": its row), [entries] int64; `sizes`
    are the numbers of entries there; `values[node]` is the node's value at each entry, [1, entries, *event]."""

    index: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    values: Mapping[str, Tensor]
    entries: int

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


def make_level(
    nodes: Sequence[str],
    below: Mapping[str, Sequence[str]],
    counts: Mapping[str, Tensor],
    tables: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
) -> Level:
    """The level of `nodes`. `below`: its smaller levels by name; `counts[node]` [rows]: entries of each row;
    `tables[node]` [values, *event]; `labels[node]` [1, rows, *event] and `known[node]` [rows] where supervised."""
    total = _product(counts, nodes)
    row = torch.repeat_interleave(total)
    rest = torch.arange(len(row), device=row.device) - (total.cumsum(0) - total).index_select(0, row)
    digit: dict[str, Tensor] = {}
    for node in reversed(nodes[1:]):
        radix = counts[node].index_select(0, row)
        digit[node] = rest % radix
        rest = rest // radix
    digit[nodes[0]] = rest
    index, sizes = {ROWS: row}, {ROWS: len(total)}
    for name, members in below.items():
        part = _product(counts, members)
        position = digit[members[0]]
        for node in members[1:]:
            position = position * counts[node].index_select(0, row) + digit[node]
        index[name] = (part.cumsum(0) - part).index_select(0, row) + position
        sizes[name] = int(part.sum())
    values = {}
    for node in nodes:
        value = tables[node].index_select(0, digit[node])[None]
        if node in known:
            mask = known[node].index_select(0, row).reshape(1, -1, *[1] * (value.dim() - 2))
            value = torch.where(mask, labels[node].index_select(1, row).to(value.dtype), value)
        values[node] = value
    return Level(index, sizes, values, len(row))


def _product(counts: Mapping[str, Tensor], nodes: Sequence[str]) -> Tensor:
    """The entries of each row in a level of these nodes, [rows]."""
    total = counts[nodes[0]]
    for node in nodes[1:]:
        total = total * counts[node]
    return total
