"""Layers from given weights, and the loss of a batch: arrays in, modules out."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.works import ALPHA, CLASSES, RATE

LOG_CLASSES = math.log(CLASSES)


def linear(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    """A layer with these weights."""
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight.data, made.bias.data = torch.tensor(weight), torch.tensor(bias)
    return made


def table(weight: np.ndarray) -> nn.Parameter:
    """[out, classes] as one row a class."""
    return nn.Parameter(torch.tensor(np.ascontiguousarray(weight.T)))


def stack(layers: list[tuple[np.ndarray, np.ndarray]]) -> nn.ModuleList:
    return nn.ModuleList(linear(*layer) for layer in layers)


def run(layers: nn.ModuleList, h: Tensor) -> Tensor:
    """Layers with ReLU in place between them, on [rows, n]: in place on a view would be copied in the backward pass."""
    lead, h = h.shape[:-1], h.reshape(-1, h.shape[-1])
    *before, last = layers  # a slice of a ModuleList makes a module
    for layer in before:
        h = layer(h).relu_()
    out: Tensor = last(h)
    return out.view(*lead, -1)


def mean_loss(free: Tensor, fixed: Tensor) -> Tensor:
    """−(1 − ρ) · mean of the unlabelled − ρ · mean of the labelled rows' bounds."""
    return -(1 - RATE) * free.mean() - RATE * fixed.mean()


def weighed(bound: Tensor, log_q: Tensor) -> Tensor:
    """Labelled rows whose log q(y | …) varies with the sample: bound and log q [S, rows] → [rows]. Σ w̄ (bound − log q) +
    (1 + α) log mean w."""
    log_mean = log_q.logsumexp(0) - math.log(len(log_q))
    return (log_q.softmax(0) * (bound - log_q)).sum(0) + (1 + ALPHA) * log_mean
