"""Sums over all paths of a chain: log-factors of single copies and of neighbours come in, their sum over every path, and the
probabilities of copies and pairs, go out (Baum and others 1970; docs/objective.md, section 11).

A path is one value of each of N copies, of K each; a factor stands at entries of a level that lists one copy, or two neighbours.
All sums are in log space, one copy after the other: N products of K × K, and never a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.runtime.levels import ROWS, Copies, Level

FLOOR = -1e30  # log 0 whose differences are numbers


@dataclass(frozen=True, slots=True)
class Reading:
    """What a level lists of a chain `node`: the copies `offset` places from those of `range`, or "" and one fixed place."""

    node: str
    range: str
    offset: int


@dataclass(frozen=True, slots=True)
class Spots:
    """Where the entries of a level stand in a table of all copies: `index` [entries] int64 into [entries outside · copies ·
    values], of `pairs` [entries outside · (copies - 1) · values · values]; `outer`: the level outside."""

    outer: str
    pairs: bool
    index: Tensor


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of a batch. `levels` by name; `readings`, `ranges` of the model; `copies`: its places; `first`, `values`: of a
    copy; `allowed` [entries of `loops`, copies, values]: what a row does not know otherwise, None for all; `loops`: the level
    of the loops around it."""

    rows: int
    levels: Mapping[str, Level]
    readings: Mapping[str, Reading]
    ranges: Mapping[str, Copies]
    copies: Copies
    first: int
    values: int
    loops: str = ROWS
    allowed: Tensor | None = None

    def paths(self, outer: str, factors: Mapping[str, Tensor], forward: bool = False) -> Paths:
        """The sums along the chain of log-factors [S or 1, entries] by level, for every entry of the level `outer`. `forward`:
        each copy's factors are its probabilities given the copy before, so that what comes after sums to one."""
        one = next(iter(factors.values()))
        single = self._open(outer, one)
        pairs: Tensor | None = None
        for name, term in factors.items():
            spots = self.spots(name)
            table = self._table(spots, term.clamp(min=FLOOR))
            if spots.outer != outer:
                table = table.index_select(1, self.levels[outer].index[spots.outer])
            if not spots.pairs:
                single = single + table
            else:
                pairs = table if pairs is None else pairs + table
        return Paths(self, outer, single, pairs, forward)

    def spots(self, name: str) -> Spots:
        """Where a level's entries stand."""
        level, names = self.levels[name], name.split(" ")
        read = sorted((n for n in names if n in self.readings), key=lambda n: self.readings[n].offset)
        first = self.readings[read[0]]
        outer = " ".join(n for n in names if n != first.range and n not in read)
        span = self.copies.number - (len(read) == 2)
        index = level.index[outer] * span + self._copy(level, first.range, first.offset)
        for n in read:
            index = index * self.values + (level.values[n].flatten().long() - self.first)
        return Spots(outer, len(read) == 2, index)

    def _copy(self, level: Level, name: str, offset: int) -> Tensor | int:
        if not name:
            return offset - self.copies.first
        return level.copy[name] + (self.ranges[name].first + offset - self.copies.first)

    def _open(self, outer: str, like: Tensor) -> Tensor:
        """Log 1 at every value that a copy may have, [1, entries, copies, values]."""
        entries = self.levels[outer].entries if outer else self.rows
        if self.allowed is None:
            return like.new_zeros(1, entries, self.copies.number, self.values)
        found = torch.where(self.allowed, 0.0, FLOOR).to(like.dtype)[None]
        return found if outer == self.loops else found.index_select(1, self.levels[outer].index[self.loops])

    def _table(self, spots: Spots, term: Tensor) -> Tensor:
        """A factor at every copy and value, 0 where its level has no entry."""
        entries = self.levels[spots.outer].entries if spots.outer else self.rows
        copies = self.copies.number - spots.pairs
        shape = (entries, copies, self.values, self.values) if spots.pairs else (entries, copies, self.values)
        size = entries * copies * self.values ** (1 + spots.pairs)
        return term.new_zeros(len(term), size).index_add(1, spots.index, term).reshape(len(term), *shape)


def only_alive(alive: Tensor, values: int, allowed: Tensor | None) -> Tensor:
    """What a chain's copies may be where those of a loop `1..k` that are not there have one value: `alive` [rows, copies] →
    [entries, copies, values], `allowed` with rows or copies of loops around them."""
    first = torch.arange(values, device=alive.device) == 0
    there = alive[..., None]
    if allowed is None:
        return there | first
    there = there.repeat_interleave(len(allowed) // len(alive), 0)
    return torch.where(there, allowed, first)


@dataclass(frozen=True, slots=True)
class Paths:
    """The sums along a chain: `single` [S or 1, entries, copies, values], `pairs` [S or 1, entries, copies - 1, values, values]
    or None where copies are independent."""

    chain: Chain
    outer: str
    single: Tensor
    pairs: Tensor | None
    forward: bool

    def total(self) -> Tensor:
        """log of the sum over all paths, [S or 1, entries]."""
        if self.pairs is None:
            found = self.single.logsumexp(-1).sum(-1)
        else:
            found = torch.stack(torch.broadcast_tensors(*forward_sums(self.single, self.pairs)[1]), -1).sum(-1)
        return found.masked_fill(found < FLOOR / 2, -torch.inf)

    def at(self, *names: str) -> list[Tensor]:
        """log of the probability of a copy's value, or of two neighbours', at the entries of each level, [S or 1, entries]."""
        before, after = self._messages()
        single = before + after
        found = []
        for name in names:
            spots = self.chain.spots(name)
            if spots.pairs:
                joint = before[:, :, :-1, :, None] + (self.single + after)[:, :, 1:, None, :]
                joint = (joint if self.pairs is None else joint + self.pairs).flatten(-2)
            else:
                joint = single
            joint = joint.log_softmax(-1).flatten(1)
            found.append(joint.index_select(1, spots.index))
        return found

    def _messages(self) -> tuple[Tensor, Tensor]:
        """Of each copy's value, log of what comes before it and its own factors, and of what comes after, up to a constant."""
        if self.pairs is None:
            return self.single, torch.zeros_like(self.single)
        before = torch.stack(torch.broadcast_tensors(*forward_sums(self.single, self.pairs)[0]), 2)
        if self.forward:
            return before, torch.zeros_like(self.single)
        return before, torch.stack(torch.broadcast_tensors(*backward_sums(self.single, self.pairs)), 2)


def forward_sums(single: Tensor, pairs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Of each copy's value the log of its probability given what stands before it and at it, [S or 1, entries, values]; and what
    each copy adds to the log of the sum over paths, [S or 1, entries]."""
    before: list[Tensor] = []
    added: list[Tensor] = []
    steps: Sequence[Tensor | None] = (None, *pairs.unbind(2))
    for own, pair in zip(single.unbind(2), steps, strict=True):
        joint = own if pair is None else (before[-1][..., None] + pair).logsumexp(-2) + own
        total = joint.logsumexp(-1, keepdim=True)
        before.append(joint - total)
        added.append(total[..., 0])
    return before, added


def backward_sums(single: Tensor, pairs: Tensor) -> list[Tensor]:
    """Of each copy's value the log of the sum over what comes after it, up to a constant, [S or 1, entries, values]."""
    after = [torch.zeros_like(single[:, :, -1])]
    for own, pair in zip(single.unbind(2)[:0:-1], pairs.unbind(2)[::-1], strict=True):
        found = (pair + (own + after[-1])[..., None, :]).logsumexp(-1)
        after.append(found - found.detach().amax(-1, keepdim=True))
    return after[::-1]
