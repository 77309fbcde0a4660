"""What goes into an emitted step and what comes out: rows of data with masks and levels in, bounds and terms out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from sgdsl.runtime.grouping import Grouping, group_table
from sgdsl.runtime.levels import Level, make_level, value_table

DUMMIES = {"positive": 1.0, "unit": 0.5}


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """Facts of a node that its data and queries need; families are the prefixes of runtime functions ("": none)."""

    role: str
    support: str
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    event: tuple[int, ...]
    family_p: str
    family_q: str
    estimator: str
    parents_p: tuple[str, ...]
    parents_q: tuple[str, ...]
    partial: bool = False

    @property
    def classes(self) -> int:
        """The number of values of one cell; 0 where not finite."""
        match self.support:
            case "binary":
                return 2
            case "class":
                return self.sizes[0]
            case "range":
                return self.sizes[1] - self.sizes[0] + 1
            case _:
                return 0

    @property
    def first(self) -> int:
        """The smallest value of a cell of a finite node."""
        return self.sizes[0] if self.support == "range" else 0

    @property
    def integer(self) -> bool:
        """Whether its values are int64 (a class's index, a bounded count)."""
        return self.support in ("class", "range")


class Emitted(Protocol):
    """The part of an emitted model that batches are made for."""

    NODES: ClassVar[Mapping[str, NodeInfo]]
    LEVELS: ClassVar[tuple[tuple[str, ...], ...]]
    ORDER_Q: ClassVar[tuple[str, ...]]
    GROUPS: ClassVar[Grouping | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """`values[node]` [1, rows, *event], a legal dummy where unknown or missing; `known[node]` [rows] for each supervised
    node; `groups` [weighed, rows] where weights are averaged by group (runtime/grouping.py); `present[node]` [1, rows, *event]
    for each partial node, which cells are there."""

    values: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    levels: Mapping[str, Level]
    rows: int
    dtype: torch.dtype
    groups: Tensor | None = None
    present: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def labelled(self) -> Tensor:
        """Rows with a known supervised node, [rows]."""
        masks = list(self.known.values())
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
    """One factor's log-probability at its level, and the share of each entry (None: its level is the rows)."""

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
            found = found if level is None or share is None else level.share(share, found)
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
    if info.support in ("simplex", "direction"):
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
    """Rows for an emitted step. `values[node]` [rows, *event]: every observed and given node; supervised nodes may be
    absent, and what they hold where not known is replaced; missing cells of a partial node are as in present_cells.
    `known[node]` bool [rows]; absent: nowhere known.
    Raises ValueError when a tensor's shape is not [rows, *event]."""
    known = known or {}
    dtype = dtype or torch.get_default_dtype()
    first = next(iter(values.values()))
    rows, device = len(first), first.device
    full, masks, present = {}, {}, {}
    for name, info in model.NODES.items():
        if info.role == "latent":
            continue
        value = values.get(name)
        if value is None and info.role != "supervised":
            raise ValueError(
                f"{name} is {info.role}: a batch needs its values, [rows, {', '.join(map(str, info.event))}]"
            )
        if value is not None and value.shape != (rows, *info.event):
            raise ValueError(f"{name} is {list(value.shape)}, expected {[rows, *info.event]}")
        kept = dummy(info, rows, dtype, device) if value is None else value.to(torch.int64 if info.integer else dtype)
        if info.role == "supervised":
            mask = known.get(name) if value is not None else None
            mask = torch.zeros(rows, dtype=torch.bool, device=device) if mask is None else mask
            kept = torch.where(mask.reshape(-1, *[1] * len(info.event)), kept, dummy(info, 1, dtype, device))
            masks[name] = mask
        full[name] = kept[None]
        if info.partial:
            full[name], present[name] = present_cells(info, full[name])
    levels = make_levels(model, full, masks, rows, dtype, device)
    grouping, groups = model.GROUPS, None
    if grouping is not None:
        groups = group_table(grouping, model.NODES, model.ORDER_Q, masks, rows, device)
    return Batch(full, masks, levels, rows, dtype, groups, present)


def make_levels(
    model: Emitted,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    rows: int,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[str, Level]:
    """The index tensors of every level of the model, for rows with these masks."""
    counts, tables = {}, {}
    for node in {n for level in model.LEVELS for n in level}:
        info = model.NODES[node]
        if info.estimator == "sum_and_sample":  # the entries are the likeliest class and another (runtime/sampled.py)
            table = torch.arange(2, device=device)
        else:
            kind = torch.int64 if info.integer else dtype
            table = value_table(info.first, info.classes, info.event, kind, device)
        tables[node] = table
        counts[node] = torch.full((rows,), len(table), device=device)
        if node in known:
            counts[node] = counts[node].masked_fill(known[node], 1)
    shown = {n: mask for n, mask in known.items() if model.NODES[n].estimator != "sum_and_sample"}
    made = {}
    for level in model.LEVELS:
        below = {" ".join(other): other for other in model.LEVELS if set(other) < set(level)}
        made[" ".join(level)] = make_level(level, below, counts, tables, values, shown)
    return made
