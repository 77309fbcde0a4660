"""Draws that are weighed, as a belief: weights, and the moments or the value of each draw, come in; mean and spread go out."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsl.runtime.facts import NodeInfo


def average(weight: Tensor, value: Tensor) -> Tensor:
    """Σ_s weight_s value_s: weight [S, rows], value [S or 1, rows, …] → [rows, …]."""
    return (weight.reshape(*weight.shape, *[1] * (value.dim() - 2)) * value).sum(0)


def mixture_belief(info: NodeInfo, weight: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, [rows, *event] each, of what has these moments in each draw [S or 1, rows, *event], weighed
    by [S, rows]. Of an angle, whose variance is the circular one, the direction of the mean of (cos, sin), and √(−2 log
    length), the circular standard deviation (Mardia and Jupp 2000, section 3.4.3); of a direction likewise, in every cell."""
    if info.support == "direction":
        total = average(weight, (1 - variances) * means)
        length = total.norm(dim=-1, keepdim=True).clamp(torch.finfo(total.dtype).tiny, 1)
        return total / length, (-2 * length.log()).sqrt().expand_as(total)
    if info.support != "angle":
        mean = average(weight, means)
        return mean, average(weight, variances + (means - mean).square()).sqrt()
    x, y = (average(weight, (1 - variances) * f(means)) for f in (torch.cos, torch.sin))
    length = torch.hypot(x, y).clamp(torch.finfo(x.dtype).tiny, 1)
    return torch.atan2(y, x), (-2 * length.log()).sqrt()
