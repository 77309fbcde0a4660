"""Log-densities on the unit interval: values and parameters come in, sums over the event dimensions go out.

Parameters are tensors or numbers and broadcast against the value.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_real import Parameter, full, sum_event

LINEAR = 0.1  # logits nearer to 0 take the series of a continuous Bernoulli's moments and normaliser,
LINEAR_QUANTILE = 0.02  # and of its quantiles
LEVELS = 255  # grey levels are 0, 1 / 255, …, 1


def beta_log_prob(
    value: Tensor, concentration1: Tensor | float, concentration0: Tensor | float, event: int = 0
) -> Tensor:
    """Beta log-density, […, *event] → […]; a value counts as inside of (0, 1) by at least what its dtype can tell from the
    ends."""
    one, zero = (torch.as_tensor(c, dtype=value.dtype, device=value.device) for c in (concentration1, concentration0))
    inside = opened(value)
    terms = (one - 1) * inside.log() + (zero - 1) * torch.log1p(-inside)
    return sum_event(terms + torch.lgamma(one + zero) - torch.lgamma(one) - torch.lgamma(zero), event)


def opened(value: Tensor) -> Tensor:
    """Values of [0, 1] in the open interval: at least the smallest float, at most 1 − eps."""
    limits = torch.finfo(value.dtype)
    return value.clamp(limits.tiny, 1 - limits.eps)


def continuous_bernoulli_log_prob(value: Tensor, logits: Tensor | float, event: int = 0) -> Tensor:
    """Continuous Bernoulli log-density, […, *event] → […]: value · logits less its normaliser (Loaiza-Ganem and Cunningham
    2019)."""
    logits = torch.as_tensor(logits, dtype=value.dtype, device=value.device)
    return sum_event(value * logits - _log_normaliser(logits), event)


def _log_normaliser(logits: Tensor) -> Tensor:
    """log ∫ exp(logits · v) dv over [0, 1] = logits / 2 + log(sinh a / a) with a = |logits| / 2; near 0 by its series."""
    near, a = _halves(logits)
    series = near**2 / 6 - near**4 / 180 + near**6 / 2835
    exact = a + torch.log1p(-torch.exp(-2 * a)) - a.log() - math.log(2)
    return 0.5 * logits + torch.where(logits.abs() < LINEAR, series, exact)


def continuous_bernoulli_moments(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of a continuous Bernoulli, each of the shape of the logits: the derivatives of its log-normaliser."""
    near, a = _halves(logits)
    tilt = torch.where(logits.abs() < LINEAR, near / 3 - near**3 / 45 + 2 * near**5 / 945, 1 / torch.tanh(a) - 1 / a)
    mean = 0.5 + 0.5 * torch.where(logits < 0, -tilt, tilt)
    exact = 1 / (a * a) - 1 / torch.sinh(a.clamp(max=40)).square()
    return mean, 0.25 * torch.where(logits.abs() < LINEAR, 1 / 3 - near * near / 15 + 2 * near**4 / 189, exact)


def continuous_bernoulli_quantile(share: Tensor, logits: Tensor) -> Tensor:
    """The value below which a `share` of a continuous Bernoulli lies, with its gradient to the logits."""
    steep = logits.abs() >= LINEAR_QUANTILE
    a = torch.where(steep, logits.abs(), 1.0)
    # of positive logits, from the other end; log(1 + share (exp(a) − 1)) without an overflow
    exact = 1 + torch.log(share + (1 - share) * torch.exp(-a)) / a
    mirrored = -torch.log((1 - share) + share * torch.exp(-a)) / a
    near = torch.where(steep, 0.0, logits)
    slope = 0.5 * share * (1 - share)
    series = share + slope * near * (1 + near * (1 - 2 * share) / 3 + near * near * (1 - 6 * share * (1 - share)) / 12)
    return torch.where(steep, torch.where(logits > 0, exact, mirrored), series)


def _halves(logits: Tensor) -> tuple[Tensor, Tensor]:
    """|logits| / 2 twice: for the series, 0 where it does not hold; for the closed form, ½ where that loses its digits."""
    half, flat = 0.5 * logits.abs(), logits.abs() < LINEAR
    return torch.where(flat, half, 0.0), torch.where(flat, 0.5, half)


def discretized_logistic_log_prob(value: Tensor, loc: Parameter, scale: Parameter, event: int = 0) -> Tensor:
    """Log-mass that a logistic has within half a level of each value, […, *event] → […]; 0 and 1 take the tails (Salimans,
    Karpathy, Chen and Kingma 2017). σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), of which every factor keeps its digits."""
    loc, scale = (torch.as_tensor(p, dtype=value.dtype, device=value.device) for p in (loc, scale))
    z, half = (value - loc) / scale, 0.5 / LEVELS / scale
    lower = torch.where(value < 0.5 / LEVELS, 0.0, F.logsigmoid(half - z))
    upper = torch.where(value > 1 - 0.5 / LEVELS, 0.0, F.logsigmoid(z + half))
    inside = (value >= 0.5 / LEVELS) & (value <= 1 - 0.5 / LEVELS)
    return sum_event(lower + upper + torch.where(inside, (-torch.expm1(-2 * half)).log(), 0.0), event)


def discretized_logistic_mean(loc: Parameter, scale: Parameter) -> Tensor:
    """The mean of the logistic cut to [0, 1], ∫ σ((loc − v) / scale) dv: that of the levels but for their rounding."""
    centre, spread = full(loc, scale), full(scale, loc)
    return spread * (F.softplus(centre / spread) - F.softplus((centre - 1) / spread))


def discretized_logistic_variance(loc: Parameter, scale: Parameter) -> Tensor:
    """Of the levels, by the sum over them: Σ (2j + 1) P(level > j) − (Σ P(level > j))², in levels."""
    centre, spread = full(loc, scale), full(scale, loc)
    first, second = torch.zeros_like(centre), torch.zeros_like(centre)
    for j in range(LEVELS):
        above = ((centre - (j + 0.5) / LEVELS) / spread).sigmoid()
        first, second = first + above, second + (2 * j + 1) * above
    return (second - first.square()).clamp(min=0) / LEVELS**2


def discretized_logistic_quantile(share: Tensor, loc: Parameter, scale: Parameter) -> Tensor:
    """The level below or at which a `share` of the mass lies."""
    return ((torch.logit(share) * scale + loc) * LEVELS).round().clamp(0, LEVELS) / LEVELS
