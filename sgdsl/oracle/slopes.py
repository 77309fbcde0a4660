"""Draws on circle and sphere made again from other parameters: what was drawn comes in, the same value, with the slopes of
implicit gradients by Simpson's rule, goes out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

STEPS = 2_000


def around_of(concentration: Tensor, drawn: Tensor) -> Tensor:
    """A von Mises draw around 0, with its implicit slope −(∂F/∂κ) / f: by Simpson's rule on the density's derivative by κ."""
    k = concentration.detach().expand(drawn.shape)
    at = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    weight = torch.tensor([1, *[4, 2] * (STEPS // 2 - 1), 4, 1], dtype=torch.float64) / (3 * STEPS)
    t = drawn[..., None] * at
    mean = torch.special.i1(k) / torch.i0(k)
    rise = (t.cos() - mean[..., None]) * (k[..., None] * (t.cos() - drawn.cos()[..., None])).exp()
    found: Tensor = drawn - drawn * (rise @ weight) * (concentration - concentration.detach())
    return found


def turned(loc: Tensor, concentration: Tensor, drawn: Tensor, centre: Tensor) -> Tensor:
    """A direction that was drawn around `centre`, turned as that is turned into `loc`, by Rodrigues' formula; and its angle to
    it with the slope −(∂F/∂κ) / f, by Simpson's rule."""
    both = centre + loc
    inner = (1 + (centre * loc).sum(-1, keepdim=True)).reciprocal() * (both * drawn).sum(-1, keepdim=True)
    moved = drawn - inner * both + 2 * (centre * drawn).sum(-1, keepdim=True) * loc
    cosine = (centre * drawn).sum(-1).clamp(-1, 1)
    t, power = cosine.acos(), drawn.shape[-1] - 2
    k = concentration.detach().expand(t.shape)
    at = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    weight = torch.tensor([1, *[4, 2] * (STEPS // 2 - 1), 4, 1], dtype=torch.float64) / (3 * STEPS)
    whole, part = math.pi * at, t[..., None] * at
    density = (k[..., None] * (whole.cos() - 1)).exp() * whole.sin().clamp(min=0) ** power
    mean = (density * whole.cos()) @ weight / (density @ weight)
    rise = (k[..., None] * (part.cos() - cosine[..., None])).exp() * (part.sin() / t.sin()[..., None]) ** power
    slope = -t * (((part.cos() - mean[..., None]) * rise) @ weight)
    across = (drawn - cosine[..., None] * centre) / t.sin()[..., None]
    along = (cosine[..., None] * across - t.sin()[..., None] * centre) * slope[..., None]
    return moved + along * (concentration - concentration.detach())[..., None]
