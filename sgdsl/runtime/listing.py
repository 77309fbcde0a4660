"""Which values the levels and chains of a batch list: an emitted model, labels and masks come in; tables and counts go out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sgdsl.runtime.chains import Chain, only_alive
from sgdsl.runtime.facts import Emitted
from sgdsl.runtime.levels import Level, Listed, value_table
from sgdsl.runtime.places import reached


def listed(
    model: Emitted,
    node: str,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    rows: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Listed:
    """What levels need of a node that they list."""
    info = model.NODES[node]
    sampled = info.estimator == "sum_and_sample"  # the entries are the likeliest class and another (runtime/sampled.py)
    kind = torch.int64 if info.integer else dtype
    table = (
        torch.arange(2, device=device) if sampled else value_table(info.first, info.classes, info.event, kind, device)
    )
    entries = rows * math.prod(model.RANGES[r].number for r in info.loops)
    counts = torch.full((entries,), len(table), device=device)
    if node not in known:
        return Listed(table, counts, info.loops)
    counts = counts.masked_fill(known[node], 1)
    if sampled:
        return Listed(table, counts, info.loops)
    return Listed(table, counts, info.loops, values[node], known[node])


def listed_at(
    model: Emitted,
    name: str,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    rows: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Listed:
    """The same of copies of a chain at the places of a reader."""
    reading = model.READINGS[name]
    whole = listed(model, reading.node, values, known, rows, dtype, device)
    own = model.RANGES[whole.loops[-1]]
    start, number = reading.offset - own.first, 1
    if reading.range:
        start, number = start + model.RANGES[reading.range].first, model.RANGES[reading.range].number

    def at(tensor: Tensor, dim: int) -> Tensor:
        copies: Tensor = tensor.unflatten(dim, (-1, own.number))
        return copies.narrow(dim + 1, start, number).flatten(dim, dim + 1)

    loops = (*whole.loops[:-1], *([reading.range] if reading.range else []))
    if whole.known is None or whole.labels is None:
        return Listed(whole.table, at(whole.counts, 0), loops)
    return Listed(whole.table, at(whole.counts, 0), loops, at(whole.labels, 1), at(whole.known, 0))


def chain_of(
    model: Emitted,
    node: str,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    levels: Mapping[str, Level],
    rows: int,
) -> Chain:
    """What sums along a chain need; where a row knows a copy, paths go through its label."""
    info, own = model.NODES[node], {n: r for n, r in model.READINGS.items() if r.node == node}
    copies, allowed = model.RANGES[info.loops[-1]], None
    if node in known:
        each = torch.arange(info.first, info.first + info.classes, device=known[node].device)
        allowed = (~known[node][:, None] | (values[node][0][:, None] == each)).unflatten(0, (-1, copies.number))
    if copies.count:
        allowed = only_alive(reached(values[copies.count][0], copies), info.classes, allowed)
    loops = " ".join(info.loops[:-1])
    return Chain(rows, levels, own, model.RANGES, copies, info.first, info.classes, loops, allowed)
