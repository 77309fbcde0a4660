"""Maps into the open domains of parameters: what a head gives, or an expression's value, comes in; a parameter goes out."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

EDGE = 1e-6


def positive(raw: Tensor, floor: float = 1e-4) -> Tensor:
    """softplus + floor: a scale, a rate."""
    return F.softplus(raw, threshold=50.0) + floor


def degrees(raw: Tensor) -> Tensor:
    """2 + softplus: degrees of freedom with a finite variance."""
    return positive(raw, 2.0)


def probability(raw: Tensor) -> Tensor:
    """A sigmoid, clipped to [1e-6, 1 − 1e-6]."""
    return raw.sigmoid().clamp(EDGE, 1 - EDGE)


def angle_of(raw: Tensor) -> Tensor:
    """The angle at which a point of the plane is seen from the origin: coordinates [S or 1, entries, 2, *event], x before y →
    (−π, π], [S or 1, entries, *event]."""
    return torch.atan2(raw[:, :, 1], raw[:, :, 0])


def on_sphere(raw: Tensor) -> Tensor:
    """A vector scaled to length 1, [..., n]; 0 stays what it is."""
    return F.normalize(raw, dim=-1, eps=1e-12)


def triangle(raw: Tensor, floor: float = 1e-4) -> Tensor:
    """A lower triangle from its entries, row by row, softplus + floor of those on the diagonal: [..., n (n + 1) / 2] →
    [..., n, n]."""
    size = (math.isqrt(8 * raw.shape[-1] + 1) - 1) // 2
    row, column = torch.tril_indices(size, size, device=raw.device)
    entries = torch.where(row == column, positive(raw, floor), raw)
    full = raw.new_zeros(*raw.shape[:-1], size * size).index_copy(-1, row * size + column, entries)
    return full.reshape(*raw.shape[:-1], size, size)


def lower(value: Tensor) -> Tensor:
    """A square of an expression as a lower triangle with at least 1e-4 on the diagonal, [..., n, n]."""
    return value.tril(-1) + torch.diag_embed(value.diagonal(dim1=-2, dim2=-1).clamp(min=1e-4))


def at_least(value: Tensor | float, floor: float) -> Tensor | float:
    """A value of an expression, brought to at least `floor`."""
    return value.clamp(min=floor) if isinstance(value, Tensor) else max(value, floor)


def clip_probability(value: Tensor | float) -> Tensor | float:
    """A value of an expression, brought into [1e-6, 1 − 1e-6]."""
    return value.clamp(EDGE, 1 - EDGE) if isinstance(value, Tensor) else min(max(value, EDGE), 1 - EDGE)


def bernoulli_logits(probs: Tensor | float) -> Tensor:
    """Probabilities, clipped to [1e-6, 1 − 1e-6], as logits."""
    probs = torch.as_tensor(clip_probability(probs))
    return probs.log() - torch.log1p(-probs)


def categorical_logits(probs: Tensor) -> Tensor:
    """Probabilities over the last dimension, scaled to sum to 1 and clipped to [1e-6, 1 − 1e-6], as logits."""
    total = probs.sum(-1, keepdim=True).clamp(min=EDGE)
    return (probs / total).clamp(EDGE, 1 - EDGE).log()
