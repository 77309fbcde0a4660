"""Which weighed draws of a row are one group, by its labels: masks come in, a table of groups goes out (runtime/groups.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

NONE = -1  # the group of a value that no weight bears on


@dataclass(frozen=True, slots=True)
class Grouping:
    """Of an emitted model. `weighed`: nodes whose draws may bear a weight, in q's order; `above`: those that each reads;
    `joins`: those that one factor of log w reads."""

    weighed: tuple[str, ...]
    above: Mapping[str, tuple[str, ...]]
    joins: tuple[tuple[str, ...], ...]


class Inferred(Protocol):
    """What is asked of a node here."""

    @property
    def parents_q(self) -> tuple[str, ...]: ...


def group_table(
    grouping: Grouping,
    nodes: Mapping[str, Inferred],
    order: Sequence[str],
    known: Mapping[str, Tensor],
    rows: int,
    device: torch.device,
) -> Tensor:
    """The group of each weighed node in each row, named by its first member; NONE without one: [weighed, rows] int64."""
    names = list(known)
    masks = torch.stack([known[n] for n in names], 1) if names else torch.zeros(rows, 0, dtype=torch.bool)
    patterns, which = masks.cpu().unique(dim=0, return_inverse=True)
    columns = [
        groups_of(grouping, nodes, order, {n for n, is_known in zip(names, pattern, strict=True) if is_known})
        for pattern in patterns.tolist()
    ]
    return torch.tensor(columns).reshape(len(columns), -1)[which].t().to(device)


def groups_of(
    grouping: Grouping, nodes: Mapping[str, Inferred], order: Sequence[str], known: set[str]
) -> tuple[int, ...]:
    """The group of each weighed node, for one pattern of labels."""
    above_label: set[str] = set()  # unknown ancestors of known nodes, through unknown nodes
    for name in reversed(order):
        if name in known or name in above_label:
            above_label |= {p for p in nodes[name].parents_q if p in order and p not in known}
    place = {v: i for i, v in enumerate(grouping.weighed)}
    group = {v: place[v] for v in grouping.weighed if v in above_label}
    bears = _bears(grouping, set(group), known)
    joins = [set().union(*(bears[v] for v in unit)) for unit in _units(grouping, known)]
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
