"""Log-densities of directions, vectors of length 1 in n ≥ 2 dimensions: values and parameters come in, sums over the event
dimensions go out. The last event dimension is one direction; a concentration is one number for it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.densities_real import sum_event
from sgdsl.runtime.draws_angle import gauss

POLAR_NODES = 48
WIDTH = 10.0  # standard deviations around the mode within which the integrals are taken


def von_mises_fisher_log_prob(value: Tensor, loc: Tensor, concentration: Tensor | float, event: int = 1) -> Tensor:
    """Von Mises-Fisher log-density on the sphere, […, *event] → […]: κ loc · value − log Z, with κ taken off both parts."""
    k = torch.as_tensor(concentration, dtype=value.dtype, device=value.device)
    away = -0.5 * k * (value - loc).square().sum(-1)
    log_z: Tensor = _LogZ.apply(k, value.shape[-1])  # type: ignore[no-untyped-call]
    return sum_event(away - log_z, event - 1)


class _LogZ(torch.autograd.Function):
    """log ∫ exp(κ (loc · x − 1)) over the sphere in n dimensions; its slope is A − 1, with A the mean of loc · x."""

    @staticmethod
    def forward(ctx: Any, k: Tensor, n: int) -> Tensor:
        log_z, ctx.mean = angle_integrals(k.double(), n)
        ctx.dtype = k.dtype
        return (log_z + math.log(2) + 0.5 * (n - 1) * math.log(math.pi) - math.lgamma(0.5 * (n - 1))).to(k.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * (-ctx.mean).to(ctx.dtype), None


def angle_integrals(k: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """log ∫ exp(κ (cos t − 1)) sin(t)ⁿ⁻² dt over [0, π], and the mean of 1 − cos t; float64, by Gauss and Legendre around the
    mode, whose cosine is 2κ / (n − 2 + √((n − 2)² + 4κ²))."""
    cosine = 2 * k / (n - 2 + ((n - 2) ** 2 + 4 * k * k).sqrt())
    mode = torch.acos(cosine.clamp(max=1))
    spread = (k * cosine + (n - 2) / (1 - cosine.square()).clamp(min=1e-30)).rsqrt()
    low, high = (mode - WIDTH * spread).clamp(min=0), (mode + WIDTH * spread).clamp(max=math.pi)
    nodes, weights = (torch.tensor(x, dtype=k.dtype, device=k.device) for x in gauss(POLAR_NODES))
    t = low[..., None] + nodes * (high - low)[..., None]
    short = 2 * torch.sin(0.5 * t).square()  # 1 − cos t
    terms = weights.log() - k[..., None] * short + (n - 2) * torch.sin(t).log()
    total = terms.logsumexp(-1)
    return total + (high - low).log(), ((terms - total[..., None]).exp() * short).sum(-1)


def von_mises_fisher_mean(loc: Tensor, concentration: Tensor | float) -> Tensor:
    """The direction of the mean."""
    k = torch.as_tensor(concentration, dtype=loc.dtype, device=loc.device)
    return loc.expand(torch.broadcast_shapes(loc.shape, (*k.shape, 1)))


def von_mises_fisher_variance(loc: Tensor, concentration: Tensor | float) -> Tensor:
    """1 − the length of the mean vector, in every cell."""
    k = torch.as_tensor(concentration, dtype=loc.dtype, device=loc.device)
    short = angle_integrals(k.double(), loc.shape[-1])[1].to(loc.dtype)
    return short[..., None].expand(torch.broadcast_shapes(loc.shape, (*k.shape, 1)))
