"""Rows for a model with loops: an emitted model comes in, values and masks of what data know go out."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsl.runtime.queries import Queries

ROWS = 4


def rows_of(model: Queries, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Made rows: half of the labels known, of copies where their k is known and reaches them; a third of the cells of partial
    nodes missing."""
    values, known = {}, {}
    for name, info in model.NODES.items():
        if info.role == "latent":
            continue
        size = (ROWS, *(model.RANGES[r].number for r in info.loops), *info.event)
        if info.classes:
            drawn = torch.randint(0, info.classes, size) + info.first
            value = drawn if info.integer else drawn.to(dtype)
        elif info.support == "count":
            value = torch.randint(0, 5, size).to(dtype)
        else:
            value = torch.rand(size) if info.support == "unit" else torch.randn(size)
            value = value.exp() if info.support == "positive" else value
        missing = torch.full((), info.first - 1 if info.classes else torch.nan).to(value)
        values[name] = torch.where(torch.rand(size) < 0.3, missing, value) if info.partial else value
        if info.role == "supervised":
            known[name] = torch.rand(size[: 1 + len(info.loops)]) < 0.5
    for name, mask in known.items():
        for r in (model.RANGES[r] for r in model.NODES[name].loops):
            if r.count in known:
                there = torch.arange(r.first, r.last + 1) <= values[r.count][:, None]
                mask &= (known[r.count][:, None] & there).reshape(mask.shape)
    return values, known
