"""How far importance weights can be trusted: log weights come in, the shape of their tail goes out, one a row."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST_TAIL = 5


def pareto_k(log_weights: Tensor) -> Tensor:
    """The shape k of a generalised Pareto distribution fitted to the largest min(S / 5, 3 √S) of S weights, log weights [S, rows]
    → [rows], as in Pareto smoothed importance sampling (Vehtari, Simpson, Gelman, Yao and Gabry, 2024, JMLR 25): the
    weights have moments up to 1/k. Infinite where S is below 21, or where a row's weights are all 0.

    A row without spread in its tail has k = −∞ in the limit; the prior of the fit gives it a small number."""
    count = len(log_weights)
    tail = math.ceil(min(count / 5, 3 * math.sqrt(count)))
    if tail < SMALLEST_TAIL:
        return torch.full_like(log_weights[0], torch.inf)
    scaled = (log_weights.double() - log_weights.double().amax(0)).exp().nan_to_num(0.0)
    largest = scaled.sort(0).values[-tail - 1 :]
    over = largest[1:] - largest[0]
    k = fit_shape(over.clamp_min(1e-300).t())
    none = (over[-1] <= 0) & (largest[-1] > 0)  # all of the tail alike: no heavy tail
    found = torch.where(none, _shrunk(torch.full_like(k, -1.0), tail), k)
    return torch.where(largest[-1] > 0, found, torch.inf).to(log_weights.dtype)


def trusted(samples: int) -> float:
    """The largest k at which S weights give a mean to be trusted, min(1 − 1 / log10 S, 0.7) (the same paper, section 3.2.4)."""
    return min(1 - 1 / math.log10(samples), 0.7) if samples > 10 else 0.0


def fit_shape(x: Tensor) -> Tensor:
    """The shape k of generalised Pareto samples [rows, n], sorted, at least 0: the empirical Bayes estimate of Zhang and
    Stephens (2009, Technometrics 51), drawn to 1/2 by ten samples' worth as PSIS does; [rows]."""
    n = x.shape[1]
    points = 30 + math.floor(math.sqrt(n))
    grid = 1 - (points / (torch.arange(1, points + 1, dtype=x.dtype, device=x.device) - 0.5)).sqrt()
    quartile = x[:, max(0, math.floor(n / 4 + 0.5) - 1)]
    theta = 1 / x[:, -1:] + grid / (3 * quartile[:, None])
    k = (-theta[:, :, None] * x[:, None]).log1p().mean(2)
    log_likelihood = n * ((-theta / k).log() - k - 1)
    weight = log_likelihood.nan_to_num(-torch.inf).softmax(1)
    best = (theta * weight).sum(1, keepdim=True)
    return _shrunk((-best * x).log1p().mean(1), n)


def _shrunk(k: Tensor, n: int) -> Tensor:
    return (n * k + 10 * 0.5) / (n + 10)
