"""Draws on the circle: a generator and concentrations come in, angles around 0, with their slopes along them, go out."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from sgdsl.runtime.densities_angle import resultant

NODES = 32  # of the quadrature behind a slope
DEEP = 36.0  # exp(−36): where the tail of an integrand ends


def von_mises_around_zero(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """One angle in [−π, π] for each concentration κ > 0, reparameterised: its gradient is the implicit one, dx/dκ =
    −(∂F/∂κ) / f at a fixed value of the distribution function F (Figurnov, Mohamed and Mnih 2018)."""
    with torch.no_grad():
        drawn = _drawn(concentration.double(), generator)
    if concentration.requires_grad and torch.is_grad_enabled():
        with torch.no_grad():
            slope = von_mises_slope(drawn, concentration.double()).to(concentration.dtype)
        return drawn.to(concentration.dtype) + slope * (concentration - concentration.detach())
    return drawn.to(concentration.dtype)


def _drawn(k: Tensor, generator: torch.Generator) -> Tensor:
    """Best and Fisher 1979: proposals from a wrapped Cauchy, at least 65 % of which are kept. With ρ its concentration, a
    proposal is 2 atan((1 − ρ) / (1 + ρ) tan φ) of a uniform φ, which keeps its digits where κ is large."""
    tau = 1 + (1 + 4 * k * k).sqrt()
    rho = (tau - (2 * tau).sqrt()) / (2 * k)
    ratio, rest = (1 - rho) / (1 + rho), (1 - rho).square() / (2 * rho)
    found, missing = torch.empty_like(k), torch.ones_like(k, dtype=torch.bool)
    while bool(missing.any()):
        phi = math.pi * (torch.empty_like(k).uniform_(generator=generator) - 0.5)
        angle = 2 * torch.atan2(ratio * phi.sin(), phi.cos())
        c = k * (rest + 2 * torch.sin(0.5 * angle).square())
        level = torch.empty_like(k).uniform_(generator=generator)
        kept = missing & ((c * (2 - c) > level) | ((c / level).log() + 1 > c))
        found = torch.where(kept, angle, found)
        missing = missing & ~kept
    return found


def von_mises_slope(angle: Tensor, k: Tensor) -> Tensor:
    """dx/dκ of a draw x around 0, of one shape and in float64: ∫ from x to an end of (cos t − R) exp(κ (cos t − cos x)) dt,
    with R = I₁(κ) / I₀(κ). The integral over half the circle is 0, so the end may be 0 or π: towards 0 while cos x > R, else
    towards π, as far as the integrand reaches. Either way the integrand has one sign, and nothing cancels."""
    x, r = angle.abs(), resultant(k)
    inner = x.cos() > r
    reach = torch.acos((x.cos() - DEEP / k).clamp(min=-1))
    end = torch.where(inner, 0.0, reach)
    nodes, weights = gauss(NODES)
    total = torch.zeros_like(x)
    for node, weight in zip(nodes, weights, strict=True):
        t = x + node * (end - x)
        above = 2 * torch.sin(0.5 * (x + t)) * torch.sin(0.5 * (x - t))  # cos t − cos x
        total += weight * (t.cos() - r) * (k * above).exp()
    return angle.sign() * total * (end - x)


@functools.cache
def gauss(nodes: int) -> tuple[list[float], list[float]]:
    """Points and weights of Gauss and Legendre on [0, 1] (Golub and Welsch 1969)."""
    i = torch.arange(1, nodes, dtype=torch.float64)
    points, vectors = torch.linalg.eigh(torch.diag(i / (4 * i * i - 1).sqrt(), -1))
    return (0.5 + 0.5 * points).tolist(), vectors[0].square().tolist()
