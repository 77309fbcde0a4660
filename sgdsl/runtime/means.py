"""Draws without randomness: a size and parameters come in, the mean of the family, of that size, goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sgdsl.runtime.densities_moments import categorical_mean, mean_of, mixed
from sgdsl.runtime.densities_real import Parameter
from sgdsl.runtime.draws import Draws, full_size


def _mean(family: str) -> Callable[..., Tensor]:
    """The method that takes a family's mean."""

    def draw(self: Means, size: Sequence[int], *parameters: Parameter) -> Tensor:
        return full_size(mean_of(family, parameters), self._empty(size, *parameters))

    return draw


class Means(Draws):
    """Takes the mean for every draw: of a class the likeliest, of a binary value, or a relaxed one, its probability."""

    normal = _mean("normal")
    laplace = _mean("laplace")
    student_t = _mean("student_t")
    log_normal = _mean("log_normal")
    exponential = _mean("exponential")
    gamma = _mean("gamma")
    beta = _mean("beta")
    continuous_bernoulli = _mean("continuous_bernoulli")
    discretized_logistic = _mean("discretized_logistic")
    dirichlet = _mean("dirichlet")
    multivariate_normal = _mean("multivariate_normal")
    von_mises_fisher = _mean("von_mises_fisher")
    von_mises = _mean("von_mises")
    bernoulli = _mean("bernoulli")
    poisson = _mean("poisson")
    negative_binomial = _mean("negative_binomial")
    zero_inflated_negative_binomial = _mean("zero_inflated_negative_binomial")
    binary_straight_through = _mean("bernoulli")

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        return logits.argmax(-1).expand(*size)

    def mixture(self, weights: Tensor, drawn: Tensor) -> Tensor:
        return mixed(weights, drawn)

    def gumbel(self, size: Sequence[int], logits: Tensor, temperature: float) -> Tensor:
        return categorical_mean(logits).expand(*size, -1)

    def straight_through(self, size: Sequence[int], logits: Tensor) -> Tensor:
        return categorical_mean(logits).expand(*size, -1)

    def binary_gumbel(self, size: Sequence[int], logits: Parameter, temperature: float) -> Tensor:
        return full_size(torch.as_tensor(logits), self._empty(size, logits)).sigmoid()
