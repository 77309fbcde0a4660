"""What goes into an emitted step and what comes out: rows of data with masks and levels in, bounds and terms out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from sgdsl.runtime.chains import Chain
from sgdsl.runtime.facts import DUMMIES as DUMMIES
from sgdsl.runtime.facts import Emitted
from sgdsl.runtime.facts import NodeInfo as NodeInfo
from sgdsl.runtime.grouping import group_table
from sgdsl.runtime.levels import Level
from sgdsl.runtime.listing import chain_of, listed, listed_at
from sgdsl.runtime.once import Varying, varying
from sgdsl.runtime.places import Together, stand


@dataclass(frozen=True, slots=True)
class Batch:
    """`values[node]` [1, rows, *event], a legal dummy where unknown or missing; `known[node]` [rows] for each supervised
    node; `groups` [weighed, rows] where weights are averaged by group (runtime/grouping.py), those of copies one
    behind the other; `present[node]` [1, rows, *event] for each partial node, which cells are there. Of a node in loops each copy
    is an entry: rows · copies instead of rows. `views`, `overs`: where copies at other places, and those taken together, stand;
    `varying`: where a factor's parameters vary over the samples; `chains`: nodes whose copies are summed along their loop."""

    values: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    levels: Mapping[str, Level]
    rows: int
    dtype: torch.dtype
    groups: Tensor | None = None
    present: Mapping[str, Tensor] = field(default_factory=dict)
    views: Mapping[str, Tensor] = field(default_factory=dict)
    overs: Mapping[str, Together] = field(default_factory=dict)
    varying: Mapping[str, Varying] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)

    @property
    def labelled(self) -> Tensor:
        """Rows with a known supervised node, or copy of one, [rows]."""
        masks = [mask if len(mask) == self.rows else mask.reshape(self.rows, -1).any(1) for mask in self.known.values()]
        return torch.stack(masks).any(0) if masks else torch.zeros(self.rows, dtype=torch.bool, device=self._device)

    @property
    def zeros(self) -> Tensor:
        """[1, rows] of zeros."""
        return torch.zeros(1, self.rows, dtype=self.dtype, device=self._device)

    @property
    def _device(self) -> torch.device:
        return next(iter(self.values.values())).device


@dataclass(frozen=True, slots=True)
class Term:
    """One factor's log-probability at its level (None: the rows), and the share of each entry (None: 1)."""

    log_prob: Tensor | float
    level: Level | None
    share: Tensor | None

    def rows(self, weight: Tensor | None = None) -> Tensor:
        """Its share-weighted part of each row's f, [rows] (or [1] for a constant), without gradient; averaged over the samples
        with `weight` [S or 1, rows], which sums to 1 over them, or evenly."""
        with torch.no_grad():
            if not isinstance(self.log_prob, Tensor):
                return torch.tensor([self.log_prob])
            level, share, found = self.level, self.share, self.log_prob
            if level is not None:
                found = level.down(found) if share is None else level.share(share, found)
            if weight is None or len(weight) == 1:
                return found.mean(0)
            return torch.where(weight > 0, weight * found, 0.0).sum(0)


class Step(NamedTuple):
    """What `Model.forward` returns: `bound` [rows]; `objective` [rows], equal in value and the one to differentiate;
    `log_w` [S or 1, rows], the log importance weights; `terms` by factor; `drawn_log_w` [S or 1, rows], under `jensen` and
    `clamped`: log w averaged over enumerated values, whose mean α multiplies there."""

    bound: Tensor
    objective: Tensor
    log_w: Tensor
    terms: dict[str, Term]
    drawn_log_w: Tensor | None = None


def dummy(info: NodeInfo, rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A legal value for rows whose value is missing, [rows, *event]."""
    if info.support == "simplex":
        return torch.full((rows, *info.event), 1 / info.event[-1], dtype=dtype, device=device)
    if info.support == "direction":
        value = torch.zeros(rows, *info.event, dtype=dtype, device=device)
        value[..., 0] = 1.0
        return value
    fill = info.first if info.classes else DUMMIES.get(info.support, 0.0)
    return torch.full((rows, *info.event), fill, dtype=torch.int64 if info.integer else dtype, device=device)


def present_cells(info: NodeInfo, value: Tensor) -> tuple[Tensor, Tensor]:
    """A partial node's values with a legal dummy in every missing cell, and the mask of the others: [S or 1, rows, *event]
    each. A cell is missing where it is NaN; of a class or a count(a, b), where it is below the first value."""
    there = value >= info.first if info.integer else ~value.isnan()
    fill = info.first if info.classes else DUMMIES.get(info.support, 0.0)
    return torch.where(there, value, torch.full((), fill, dtype=value.dtype, device=value.device)), there


def make_batch(
    model: Emitted,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype | None = None,
) -> Batch:
    """Rows for an emitted step. `values[node]` [rows, *event], [rows, copies, …, *event] in loops: every observed and given
    node; supervised nodes may be absent, and what they hold where not known is replaced; missing cells of a partial node are
    as in present_cells. `known[node]` bool [rows], [rows, copies, …] in loops; absent: nowhere known.
    Raises ValueError when a tensor's shape is another."""
    known = known or {}
    dtype = dtype or torch.get_default_dtype()
    first = next(iter(values.values()))
    rows, device = len(first), first.device
    full, masks, present = {}, {}, {}
    for name, info in model.NODES.items():
        if info.role == "latent":
            continue
        value, entries = _entries(name, info, [model.RANGES[r].number for r in info.loops], values.get(name), rows)
        kept = (
            dummy(info, entries, dtype, device) if value is None else value.to(torch.int64 if info.integer else dtype)
        )
        if info.role == "supervised":
            mask = known.get(name) if value is not None else None
            mask = torch.zeros(entries, dtype=torch.bool, device=device) if mask is None else mask.flatten()
            kept = torch.where(mask.reshape(-1, *[1] * len(info.event)), kept, dummy(info, 1, dtype, device))
            masks[name] = mask
        full[name] = kept[None]
        if info.partial:
            full[name], present[name] = present_cells(info, full[name])
    levels, views, overs = make_levels(model, full, masks, rows, dtype, device)
    grouping, groups = model.GROUPS, None
    if grouping is not None:
        copies = {name: r.number for name, r in model.RANGES.items()}
        groups = group_table(grouping, model.NODES, model.ORDER_Q, masks, rows, device, copies)
    apart = varying(model.VARYING, model.NODES, masks, levels)
    chains = {r.node: chain_of(model, r.node, full, masks, levels, rows) for r in model.READINGS.values()}
    return Batch(full, masks, levels, rows, dtype, groups, present, views, overs, apart, chains)


def _entries(
    name: str, info: NodeInfo, copies: list[int], value: Tensor | None, rows: int
) -> tuple[Tensor | None, int]:
    """A node's values with each copy as an entry, [rows · copies …, *event], and how many these are."""
    expected, entries = (rows, *copies, *info.event), rows * math.prod(copies)
    if value is None and info.role != "supervised":
        shape = ", ".join(map(str, ("rows", *expected[1:])))
        raise ValueError(f"{name} is {info.role}: a batch needs its values, [{shape}]")
    if value is not None and value.shape != expected:
        raise ValueError(f"{name} is {list(value.shape)}, expected {list(expected)}")
    return None if value is None else value.reshape(entries, *info.event), entries


def make_levels(
    model: Emitted,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    rows: int,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[dict[str, Level], dict[str, Tensor], dict[str, Together]]:
    """The index tensors of every level, view and reduction of the model, for rows with these masks."""
    ranges = model.RANGES
    found = {
        node: listed(model, node, values, known, rows, dtype, device)
        for node in {n for level in model.LEVELS for n in level if n not in ranges}
        if node not in model.READINGS
    }
    found |= {name: listed_at(model, name, values, known, rows, dtype, device) for name in model.READINGS}
    counts = {r.count: values[r.count][0] for r in ranges.values() if r.count in values}
    return stand(model.LEVELS, model.VIEWS, model.OVERS, rows, found, ranges, counts, device)
