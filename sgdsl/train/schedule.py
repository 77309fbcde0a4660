"""The optimiser and its learning rate: settings and the number of a step come in, an optimiser and a factor go out."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from sgdsl.train.settings import Train

LAST = 0.01  # what the learning rate falls to
FUSED_DTYPES = (torch.float32, torch.float64)


def make_optimizer(parameters: Iterable[nn.Parameter], settings: Train) -> Optimizer:
    """Fused where the device has it: one kernel over all weights."""
    weights = list(parameters)
    fused = all(p.dtype in FUSED_DTYPES for p in weights)
    match settings.optimizer:
        case "adam":
            return Adam(weights, settings.lr, weight_decay=settings.weight_decay, fused=fused)
        case "adamw":
            return AdamW(weights, settings.lr, weight_decay=settings.weight_decay, fused=fused)
        case "sgd":
            return SGD(weights, settings.lr, weight_decay=settings.weight_decay, fused=fused)


def factor(step: int, steps: int, settings: Train) -> float:
    """What multiplies the learning rate at a step (from 0) of `steps`: a rise over the first `warmup` steps; then 1, or,
    over the last share `decay` of all steps (0: all of them), a line or half a cosine down to 1 %."""
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "constant":
        return rise
    falling = (settings.decay or 1.0) * steps
    done = max(0.0, (step + 1 - (steps - falling)) / falling)
    shape = 1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return rise * (LAST + (1 - LAST) * shape)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


class Average:
    """A running average of the weights: decay min(`decay`, (1 + n) / (10 + n)) at its n-th update, so that the initial
    weights are soon forgotten. `weights` are in the order of the parameters."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.weights: list[Tensor] = [p.detach().clone() for p in self.parameters]
        self.decay = decay

    def update(self, step: int) -> None:
        """After the optimiser's step number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self.weights, self.parameters, 1 - decay)
