"""Noise of the hand-written steps, and fixed patterns in its place, so that losses can be compared: sizes in, noise out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsl.runtime.draws import Draws


def normal_pattern(samples: int, size: int) -> np.ndarray:
    """The same in every row: [samples, size], like standard normal noise in size."""
    return np.cos(1.7 * np.arange(samples)[:, None] + 2.3 * np.arange(size)).astype(np.float32)


def gumbel_pattern(samples: int, size: int) -> np.ndarray:
    """The same in every row: [samples, size]."""
    return (0.5 * np.sin(1.1 * np.arange(samples)[:, None] + 2.9 * np.arange(size))).astype(np.float32)


class Noise:
    """What a hand-written step draws, [samples, rows, size]."""

    def normal(self, samples: int, rows: int, size: int) -> Tensor:
        return torch.randn(samples, rows, size)

    def gumbel(self, samples: int, rows: int, size: int) -> Tensor:
        clocks = torch.empty(samples, rows, size).exponential_().clamp_(min=torch.finfo(torch.float32).tiny)
        return clocks.log_().neg_()


class Fixed(Noise):
    """The patterns, one sample and one cell like the next run's."""

    def normal(self, samples: int, rows: int, size: int) -> Tensor:
        return torch.from_numpy(normal_pattern(samples, size))[:, None].expand(samples, rows, size)

    def gumbel(self, samples: int, rows: int, size: int) -> Tensor:
        return torch.from_numpy(gumbel_pattern(samples, size))[:, None].expand(samples, rows, size)


class FixedDraws(Draws):
    """The same patterns for an emitted step."""

    def __init__(self) -> None:
        super().__init__(torch.Generator())

    def normal(self, size: Any, loc: Any, scale: Any) -> Tensor:
        samples, rows, cells = size
        return loc + scale * Fixed().normal(samples, rows, cells)

    def _perturbed(self, size: Any, logits: Tensor) -> Tensor:
        return logits + Fixed().gumbel(*size, logits.shape[-1])
