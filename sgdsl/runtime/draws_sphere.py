"""Draws of directions: a generator, directions and concentrations come in, directions with their slopes go out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_sphere import angle_integrals
from sgdsl.runtime.draws_angle import DEEP, NODES, gauss


def von_mises_fisher_around(loc: Tensor, k: Tensor, generator: torch.Generator) -> Tensor:
    """One direction for each loc [..., n] and concentration κ [...]. A draw is cos t · loc + sin t · v, with v across loc; it
    turns with loc, by the smallest rotation, and t has the implicit slope dt/dκ (Figurnov, Mohamed and Mnih 2018)."""
    with torch.no_grad():
        axis, t = F.normalize(loc.double(), dim=-1), _angles(k.double(), loc.shape[-1], generator)
        noise = torch.empty_like(axis).normal_(generator=generator)
        across = F.normalize(noise - (noise * axis).sum(-1, keepdim=True) * axis, dim=-1, eps=1e-30)
        cosine, sine = t.cos()[..., None], t.sin()[..., None]
        drawn = (cosine * axis + sine * across).to(loc.dtype)
    if not (torch.is_grad_enabled() and (loc.requires_grad or k.requires_grad)):
        return drawn
    with torch.no_grad():
        slope = polar_slope(t, k.double(), loc.shape[-1])[..., None]
        along, cosine = ((cosine * across - sine * axis) * slope).to(loc.dtype), cosine.to(loc.dtype)
    step = loc - loc.detach()
    turned = drawn + cosine * step - loc.detach() * (step * drawn).sum(-1, keepdim=True)
    return turned + along * (k - k.detach())[..., None]


def _angles(k: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """The angles to loc (Wood 1994): proposals from a transformed Beta, of which most are kept."""
    m = n - 1
    b = m / (2 * k + (4 * k * k + m * m).sqrt())
    centre = (1 - b) / (1 + b)
    level = k * centre + m * torch.log1p(-centre.square())
    half = torch.full_like(k, 0.5 * m)
    found, missing = torch.empty_like(k), torch.ones_like(k, dtype=torch.bool)
    while bool(missing.any()):
        one, other = (torch._standard_gamma(half, generator=generator) for _ in range(2))
        z = one / (one + other)
        short = 2 * b * z / (1 - (1 - b) * z)  # 1 − cos t
        chance = torch.empty_like(k).uniform_(generator=generator).log()
        kept = missing & (k * (1 - short) + m * torch.log1p(-centre * (1 - short)) - level >= chance)
        found = torch.where(kept, 2 * torch.asin((0.5 * short).clamp(0, 1).sqrt()), found)
        missing = missing & ~kept
    return found


def polar_slope(t: Tensor, k: Tensor, n: int) -> Tensor:
    """dt/dκ of an angle t to loc, of one shape and in float64: ∫ from t to an end of (cos s − A) exp(κ (cos s − cos t))
    (sin s / sin t)ⁿ⁻² ds, A the mean of the cosine; as in draws_angle.von_mises_slope the end is 0 while cos t > A, else π."""
    short = angle_integrals(k, n)[1]
    inner = 2 * torch.sin(0.5 * t).square() < short
    reach = torch.acos((t.cos() - (DEEP + n) / k).clamp(min=-1))
    end = torch.where(inner, 0.0, reach)
    total = torch.zeros_like(t)
    for node, weight in zip(*gauss(NODES), strict=True):
        s = t + node * (end - t)
        above = 2 * torch.sin(0.5 * (t + s)) * torch.sin(0.5 * (t - s))  # cos s − cos t
        rate = (s.sin() / t.sin().clamp(min=1e-30)).clamp(min=1e-30).log() * (n - 2)
        total += weight * (short - 2 * torch.sin(0.5 * s).square()) * (k * above + rate).exp()
    return total * (end - t)
