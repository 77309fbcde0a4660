"""The posterior of a finite node from the factors of p: entries and log-probabilities come in, one of each a value go out.

An entry becomes as many as the node has values, the value running fastest."""

from __future__ import annotations

import torch
from torch import Tensor


def every(value: Tensor, values: int, up: Tensor | None = None) -> Tensor:
    """Each entry once a value, lifted by `up` before: [S or 1, entries, …] → [S or 1, entries · values, …]."""
    index = torch.arange(value.shape[1], device=value.device) if up is None else up
    return value.index_select(1, index.repeat_interleave(values))


def each_value(like: Tensor, first: int, values: int, *event: int) -> Tensor:
    """first, first + 1, … for every entry of what `every` made, [1, entries · values, *event]; the event has one cell."""
    table = torch.arange(first, first + values, device=like.device)
    return table.repeat(like.shape[1] // values).reshape(1, -1, *event)


def by_value(log_prob: Tensor, values: int, *event: int) -> Tensor:
    """[S or 1, entries · values] → [S or 1, entries, *event, values]."""
    return log_prob.reshape(log_prob.shape[0], -1, *event, values)


def log_odds(log_prob: Tensor, *event: int) -> Tensor:
    """log p at 1 less log p at 0: [S or 1, entries · 2] → [S or 1, entries, *event]."""
    both = by_value(log_prob, 2, *event)
    return both[..., 1] - both[..., 0]
