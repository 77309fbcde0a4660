"""Log-densities on the circle: values and parameters come in, sums over the event dimensions go out.

Parameters are tensors or numbers and broadcast against the value; angles count up to whole turns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsl.runtime.densities_real import Parameter, full, sum_event

LOG_2PI = math.log(2 * math.pi)


def von_mises_log_prob(value: Tensor, loc: Tensor | float, concentration: Tensor | float, event: int = 0) -> Tensor:
    """Von Mises log-density, […, *event] → […]: κ cos(value − loc) − log 2π I₀(κ), with κ taken off both parts, so that neither
    overflows."""
    k = torch.as_tensor(concentration, dtype=value.dtype, device=value.device)
    away = -2 * k * torch.sin(0.5 * (value - loc)).square()
    return sum_event(away - LOG_2PI - _log_scaled(k), event)


def _log_scaled(k: Tensor) -> Tensor:
    """log I₀(κ) − κ, in float64 on the way: its slope is a difference that loses its digits for large κ."""
    scaled: Tensor = torch.special.i0e(k.double())
    return scaled.log().to(k.dtype)


def resultant(concentration: Tensor) -> Tensor:
    """The length of the mean of (cos, sin) under a von Mises, I₁(κ) / I₀(κ), in float64."""
    wide = concentration.double()
    length: Tensor = torch.special.i1e(wide) / torch.special.i0e(wide)
    return length


def wrapped(angle: Tensor) -> Tensor:
    """The angle in (−π, π] that is a whole number of turns away."""
    return angle - 2 * math.pi * torch.ceil(angle / (2 * math.pi) - 0.5)


def von_mises_mean(loc: Parameter, concentration: Parameter) -> Tensor:
    """The direction of the mean of (cos, sin)."""
    return wrapped(full(loc, concentration))


def von_mises_variance(loc: Parameter, concentration: Parameter) -> Tensor:
    """The circular variance, 1 − the length of the mean of (cos, sin) (Mardia and Jupp 2000, section 3.4.3)."""
    k = full(concentration, loc)
    return (1 - resultant(k)).to(k.dtype)
