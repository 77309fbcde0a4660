"""Baselines of score terms that are learned over the steps: bounds come in, centred rewards go out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DECAY = 0.99


class RunningMean(nn.Module):
    """The running mean of the bound, of rows without a label and of rows with one, from the steps before this one."""

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2))
        self.register_buffer("weight", torch.zeros(2))

    def forward(self, bound: Tensor, labelled: Tensor) -> Tensor:
        """bound [rows] less the mean of its kind, without gradient; in training the rows then join the mean."""
        with torch.no_grad():
            kind = labelled.long()
            gain = bound - (self.total / self.weight.clamp(min=1e-12))[kind]
            if self.training:
                told = bound.to(self.total.dtype)
                rows = torch.zeros_like(self.total).index_add(0, kind, torch.ones_like(told))
                mean = torch.zeros_like(self.total).index_add(0, kind, told) / rows.clamp(min=1)
                share = (1 - DECAY) * (rows > 0).to(rows.dtype)
                self.total.lerp_(mean, share)
                self.weight.lerp_(torch.ones_like(self.weight), share)
            return gain


def predicted_score(reward: Tensor, baseline: Tensor, log_q: Tensor) -> Tensor:
    """stop(reward − baseline) · log q of draws, and −½ (reward − baseline)², which trains the network that predicts it
    (Mnih and Gregor 2014): reward [1, entries], baseline and log_q [S or 1, entries] → [S, entries]."""
    gain = reward.detach() - baseline
    return gain.detach() * log_q - 0.5 * gain.square()
