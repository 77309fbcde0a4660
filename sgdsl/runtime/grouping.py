"""Which weighed draws of a row are one group, by its labels: masks come in, a table of groups goes out (runtime/groups.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from math import prod
from typing import Protocol

import torch
from torch import Tensor

NONE = -1  # the group of a value that no weight bears on
BITS = 62  # masks that one number holds


@dataclass(frozen=True, slots=True)
class Grouping:
    """Of an emitted model. `weighed`: nodes whose draws may bear a weight, in q's order; `above`: those that each reads;
    `joins`: those that one factor of log w reads; `loops`: of nodes whose copies are groups of their own these loops, from
    outside in, each with its number of copies."""

    weighed: tuple[str, ...]
    above: Mapping[str, tuple[str, ...]]
    joins: tuple[tuple[str, ...], ...]
    loops: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def places(self) -> dict[str, slice]:
        """Where the copies of each node stand in a table of groups."""
        found, start = {}, 0
        for v in self.weighed:
            copies = prod(self.loops.get(v, {}).values())
            found[v] = slice(start, start + copies)
            start += copies
        return found

    def parts(self) -> list[tuple[Mapping[str, int], Grouping]]:
        """The nodes in the same of these loops, which others never join."""
        kinds: dict[tuple[str, ...], list[str]] = {}
        for v in self.weighed:
            kinds.setdefault(tuple(self.loops.get(v, {})), []).append(v)
        return [
            (
                self.loops.get(names[0], {}),
                Grouping(tuple(names), self.above, tuple(j for j in self.joins if j[0] in names)),
            )
            for names in kinds.values()
        ]


class Inferred(Protocol):
    """What is asked of a node here."""

    @property
    def parents_q(self) -> tuple[str, ...]: ...

    @property
    def loops(self) -> tuple[str, ...]: ...


def group_table(
    grouping: Grouping,
    nodes: Mapping[str, Inferred],
    order: Sequence[str],
    known: Mapping[str, Tensor],
    rows: int,
    device: torch.device,
    copies: Mapping[str, int] | None = None,
) -> Tensor:
    """The group of each weighed node, or copy of it, in each row, named by its first member; NONE without one: [weighed, rows]
    int64. `copies`: their number in each loop."""
    places = grouping.places()
    found: dict[str, Tensor] = {}
    for loops, part in grouping.parts():
        masks = {n: _masks(mask, nodes[n].loops, loops, copies or {}, rows) for n, mask in known.items()}
        named = _patterns(part, nodes, order, masks, rows * prod(loops.values()))  # [nodes, rows · copies]
        starts = torch.tensor([*(places[v].start for v in part.weighed), NONE])
        entry = torch.arange(prod(loops.values())).repeat(rows)
        table = torch.where(named == NONE, NONE, starts[named] + entry)
        found |= {v: t.reshape(rows, -1).t() for v, t in zip(part.weighed, table, strict=True)}
    return torch.cat([found[v] for v in grouping.weighed]).to(device)


def _masks(
    mask: Tensor, own: Sequence[str], loops: Mapping[str, int], copies: Mapping[str, int], rows: int
) -> tuple[Tensor, Tensor]:
    """Whether any, and whether every, copy of a node is known that stands in the same copies of these loops, [rows · copies]."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(own, loops, strict=False)))
    inner = prod(list(loops.values())[shared:])
    each = mask.cpu().reshape(rows * prod(copies[r] for r in own[:shared]), -1)
    return each.any(1).repeat_interleave(inner), each.all(1).repeat_interleave(inner)


def _patterns(
    part: Grouping,
    nodes: Mapping[str, Inferred],
    order: Sequence[str],
    masks: Mapping[str, tuple[Tensor, Tensor]],
    entries: int,
) -> Tensor:
    """The group of each weighed node at each entry, found once a pattern of labels: [weighed, entries]."""
    names = list(masks)
    both = [m for pair in masks.values() for m in pair]
    table = torch.stack(both, 1) if both else torch.zeros(entries, 0, dtype=torch.bool, device="cpu")
    patterns, which = _unique(table)
    columns = []
    for pattern in patterns.tolist():
        some = {n for n, known in zip(names, pattern[::2], strict=True) if known}
        every = {n for n, known in zip(names, pattern[1::2], strict=True) if known}
        columns.append(groups_of(part, nodes, order, some, every))
    return torch.tensor(columns, device="cpu").reshape(len(columns), -1)[which].t()


def _unique(table: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows of masks, and which of them each is."""
    if table.shape[1] >= BITS:
        found: tuple[Tensor, Tensor] = table.unique(dim=0, return_inverse=True)
        return found
    bit = torch.arange(table.shape[1], device="cpu")
    codes, which = (table.long() << bit).sum(1).unique(return_inverse=True)
    return (codes[:, None] >> bit & 1).bool(), which


def groups_of(
    grouping: Grouping,
    nodes: Mapping[str, Inferred],
    order: Sequence[str],
    known: set[str],
    every: set[str] | None = None,
) -> tuple[int, ...]:
    """The group of each weighed node, for one pattern of labels: nodes of which a copy is `known`, or `every` one."""
    every = known if every is None else every
    above_label: set[str] = set()  # unknown ancestors of known nodes, through unknown nodes
    for name in reversed(order):
        if name in known or name in above_label:
            above_label |= {p for p in nodes[name].parents_q if p in order and p not in every}
    place = {v: i for i, v in enumerate(grouping.weighed)}
    group = {v: place[v] for v in grouping.weighed if v in above_label}
    bears = _bears(grouping, set(group), every)
    joins = [set().union(*(bears[v] for v in unit)) for unit in _units(grouping, every)]
    for join in joins:
        joined = {group[v] for v in join}
        group = {v: min(joined) if g in joined else g for v, g in group.items()}
    return tuple(min((group[v] for v in bears[name]), default=NONE) for name in grouping.weighed)


def _bears(grouping: Grouping, group: set[str], known: set[str]) -> dict[str, set[str]]:
    """The weighed draws of a row that each value depends on, `group` of them. A draw that no weight bears on goes with those
    that one factor reads beside it: what reads both, a draw or a share, is of one sample."""
    tied: dict[str, set[str]] = {v: set() for v in grouping.weighed}
    while True:
        bears: dict[str, set[str]] = {}
        for v in grouping.weighed:
            read = set().union(*(bears[a] for a in grouping.above[v]))
            bears[v] = set() if v in known else {v} if v in group else read | tied[v]
        alone = [
            (v, beside)
            for unit in _units(grouping, known)
            if (beside := set().union(*(bears[u] for u in unit)))
            for v in unit
            if v not in known and not bears[v]
        ]
        if not alone:
            return bears
        for v, beside in alone:
            tied[v] |= beside


def _units(grouping: Grouping, known: set[str]) -> list[tuple[str, ...]]:
    """What one factor reads: of log w, or of a draw that is not known."""
    return [*grouping.joins, *((v, *grouping.above[v]) for v in grouping.weighed if v not in known)]
