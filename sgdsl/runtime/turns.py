"""Copies that a step makes one after the other: values of all copies come in, those of each place go out, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def each_copy(value: Tensor, first: int, last: int) -> dict[int, Tensor]:
    """The copies of a value by place: [S or 1, entries · copies, …] → [S or 1, entries, …] each."""
    copies = value.unflatten(1, (-1, last - first + 1)).unbind(2)
    return dict(zip(range(first, last + 1), copies, strict=True))


def ahead(values: Mapping[int, Tensor], place: int, count: Tensor, last: int) -> Tensor:
    """The copy at a place ahead of a reader, [S or 1, entries, …]; in rows whose last copy is `count` [entries], what is behind
    that one is what is behind the last of all."""
    found = values[place]
    for start in range(last + 1, max(values) + 1):
        there = (count == place - start + last).reshape(-1, *[1] * (found.dim() - 2))
        found = torch.where(there, values[start], found)
    return found


def in_copies(values: Mapping[int, Tensor], first: int, last: int) -> Tensor:
    """The copies of a value in one tensor: [S or 1, entries, …] each → [S or 1, entries · copies, …]."""
    return torch.stack(torch.broadcast_tensors(*(values[t] for t in range(first, last + 1))), 2).flatten(1, 2)
