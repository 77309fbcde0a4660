"""Cells that are missing: values and masks of a partial node come in, [1 or S, entries, *event] each; what networks and
likelihoods make of them goes out."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsl.runtime.densities_real import sum_event


def zeroed(present: Tensor, value: Tensor) -> Tensor:
    """0 where a cell is missing; of a value with one more dimension, one-hot, in all of it."""
    mask = present if present.dim() == value.dim() else present[..., None]
    return torch.where(mask, value, torch.zeros((), dtype=value.dtype, device=value.device))


def with_mask(value: Tensor, present: Tensor, dim: int) -> Tensor:
    """What a network reads: the value, zeros where missing, and behind it the mask, 1 where a cell is there."""
    return torch.cat((value, present.to(value.dtype)), dim)


def circle_with_mask(angle: Tensor, present: Tensor, event: int) -> Tensor:
    """What a network reads of an angle, [S or 1, entries, *event] each: cosines, sines, zeros where missing, and the mask."""
    flat, mask = ((t[..., None] if event == 0 else t.flatten(-event)) for t in (angle, present.to(angle.dtype)))
    return torch.cat((flat.cos() * mask, flat.sin() * mask, mask), -1)


def over_present(present: Tensor, log_prob: Tensor, event: int) -> Tensor:
    """The log-probabilities of the cells that are there, summed: [S or 1, entries, *event] → [S or 1, entries]."""
    return sum_event(torch.where(present, log_prob, 0.0), event)


def told(*present: Tensor) -> Tensor:
    """Rows in which one of these nodes has a cell that is there, [1, entries]."""
    return torch.stack([p.flatten(2).any(-1) if p.dim() > 2 else p for p in present]).any(0)
