"""Means and variances of the families: parameters come in, a moment goes out, of the shape that they broadcast to.

Parameters are tensors or numbers. A class has no mean: `categorical_mean` is its probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_angle import von_mises_mean, von_mises_variance
from sgdsl.runtime.densities_real import Parameter, full
from sgdsl.runtime.densities_sphere import von_mises_fisher_mean, von_mises_fisher_variance
from sgdsl.runtime.densities_unit import (
    continuous_bernoulli_moments,
    discretized_logistic_mean,
    discretized_logistic_variance,
)
from sgdsl.runtime.densities_vector import (
    dirichlet_mean,
    dirichlet_variance,
    multivariate_normal_mean,
    multivariate_normal_variance,
)
from sgdsl.runtime.facts import NodeInfo


def normal_mean(loc: Parameter, scale: Parameter) -> Tensor:
    return full(loc, scale)


def normal_variance(loc: Parameter, scale: Parameter) -> Tensor:
    return full(scale, loc).square()


def laplace_mean(loc: Parameter, scale: Parameter) -> Tensor:
    return full(loc, scale)


def laplace_variance(loc: Parameter, scale: Parameter) -> Tensor:
    return 2 * full(scale, loc).square()


def log_normal_mean(loc: Parameter, scale: Parameter) -> Tensor:
    return (full(loc, scale) + 0.5 * full(scale, loc).square()).exp()


def log_normal_variance(loc: Parameter, scale: Parameter) -> Tensor:
    return full(scale, loc).square().expm1() * log_normal_mean(loc, scale).square()


def student_t_mean(df: Parameter, loc: Parameter, scale: Parameter) -> Tensor:
    """The mean for df > 1; the centre below."""
    return full(loc, df, scale)


def student_t_variance(df: Parameter, loc: Parameter, scale: Parameter) -> Tensor:
    """The variance for df > 2; infinite below."""
    degrees = full(df, loc, scale)
    ratio = torch.where(degrees > 2, degrees / (degrees - 2), torch.inf)
    return full(scale, df, loc).square() * ratio


def exponential_mean(rate: Parameter) -> Tensor:
    return 1 / full(rate)


def exponential_variance(rate: Parameter) -> Tensor:
    return 1 / full(rate).square()


def gamma_mean(concentration: Parameter, rate: Parameter) -> Tensor:
    return full(concentration, rate) / full(rate, concentration)


def gamma_variance(concentration: Parameter, rate: Parameter) -> Tensor:
    return full(concentration, rate) / full(rate, concentration).square()


def beta_mean(concentration1: Parameter, concentration0: Parameter) -> Tensor:
    one = full(concentration1, concentration0)
    return one / (one + concentration0)


def beta_variance(concentration1: Parameter, concentration0: Parameter) -> Tensor:
    mean = beta_mean(concentration1, concentration0)
    return mean * (1 - mean) / (full(concentration1, concentration0) + concentration0 + 1)


def continuous_bernoulli_mean(logits: Parameter) -> Tensor:
    """Not the probability that the logits stand for: the density on [0, 1] is proportional to exp(logits · value)."""
    return continuous_bernoulli_moments(full(logits))[0]


def continuous_bernoulli_variance(logits: Parameter) -> Tensor:
    return continuous_bernoulli_moments(full(logits))[1]


def bernoulli_mean(logits: Parameter) -> Tensor:
    return full(logits).sigmoid()


def bernoulli_variance(logits: Parameter) -> Tensor:
    return full(logits).sigmoid() * (-full(logits)).sigmoid()


def categorical_mean(logits: Parameter) -> Tensor:
    """The probabilities, [..., k]."""
    return full(logits).softmax(-1)


def range_mean(logits: Tensor, first: int) -> Tensor:
    """The expected number of a count(first, …) under a Categorical, [..., k] → [...]."""
    values = torch.arange(first, first + logits.shape[-1], dtype=logits.dtype, device=logits.device)
    return logits.softmax(-1) @ values


def poisson_mean(rate: Parameter) -> Tensor:
    return full(rate)


def poisson_variance(rate: Parameter) -> Tensor:
    return full(rate)


def negative_binomial_mean(total_count: Parameter, logits: Parameter) -> Tensor:
    return full(total_count, logits) * full(logits, total_count).exp()


def negative_binomial_variance(total_count: Parameter, logits: Parameter) -> Tensor:
    return negative_binomial_mean(total_count, logits) * (1 + full(logits, total_count).exp())


def zero_inflated_negative_binomial_mean(total_count: Parameter, logits: Parameter, gate: Parameter) -> Tensor:
    return (1 - full(gate, total_count, logits)) * negative_binomial_mean(total_count, logits)


def zero_inflated_negative_binomial_variance(total_count: Parameter, logits: Parameter, gate: Parameter) -> Tensor:
    zero = full(gate, total_count, logits)
    mean = negative_binomial_mean(total_count, logits)
    return (1 - zero) * (negative_binomial_variance(total_count, logits) + zero * mean.square())


def delta_mean(value: Parameter) -> Tensor:
    return full(value)


def delta_variance(value: Parameter) -> Tensor:
    return torch.zeros_like(full(value))


_MEANS: Mapping[str, Callable[..., Tensor]] = {
    "normal": normal_mean,
    "laplace": laplace_mean,
    "log_normal": log_normal_mean,
    "student_t": student_t_mean,
    "exponential": exponential_mean,
    "gamma": gamma_mean,
    "beta": beta_mean,
    "continuous_bernoulli": continuous_bernoulli_mean,
    "discretized_logistic": discretized_logistic_mean,
    "dirichlet": dirichlet_mean,
    "multivariate_normal": multivariate_normal_mean,
    "von_mises_fisher": von_mises_fisher_mean,
    "von_mises": von_mises_mean,
    "bernoulli": bernoulli_mean,
    "categorical": categorical_mean,
    "poisson": poisson_mean,
    "negative_binomial": negative_binomial_mean,
    "zero_inflated_negative_binomial": zero_inflated_negative_binomial_mean,
    "delta": delta_mean,
}
_VARIANCES: Mapping[str, Callable[..., Tensor]] = {
    "normal": normal_variance,
    "laplace": laplace_variance,
    "log_normal": log_normal_variance,
    "student_t": student_t_variance,
    "exponential": exponential_variance,
    "gamma": gamma_variance,
    "beta": beta_variance,
    "continuous_bernoulli": continuous_bernoulli_variance,
    "discretized_logistic": discretized_logistic_variance,
    "dirichlet": dirichlet_variance,
    "multivariate_normal": multivariate_normal_variance,
    "von_mises_fisher": von_mises_fisher_variance,
    "von_mises": von_mises_variance,
    "bernoulli": bernoulli_variance,
    "poisson": poisson_variance,
    "negative_binomial": negative_binomial_variance,
    "zero_inflated_negative_binomial": zero_inflated_negative_binomial_variance,
    "delta": delta_variance,
}


MIXTURE = (
    "mixture_"  # before the family of the experts, whose parameters follow the log weights [S or 1, entries, experts]
)


def mean_of(family: str, parameters: tuple[Parameter, ...]) -> Tensor:
    """The mean of a family by its prefix; of a Categorical its probabilities, [..., k]."""
    if family.startswith(MIXTURE):
        return mixed(parameters[0], _MEANS[family.removeprefix(MIXTURE)](*parameters[1:]))
    return _MEANS[family](*parameters)


def variance_of(family: str, parameters: tuple[Parameter, ...]) -> Tensor:
    """The variance of a family by its prefix; not of a Categorical."""
    if family.startswith(MIXTURE):
        weights, base = parameters[0], family.removeprefix(MIXTURE)
        means, within = _MEANS[base](*parameters[1:]), _VARIANCES[base](*parameters[1:])
        return mixed(weights, within + (means - mixed(weights, means)[:, :, None]).square())
    return _VARIANCES[family](*parameters)


def mixed(weights: Parameter, values: Tensor) -> Tensor:
    """The weighted sum over the experts of a mixture: log weights [S or 1, entries or 1, experts], values with event
    dimensions behind → [S or 1, entries or 1, *event]. An expert without weight has no influence."""
    share = torch.as_tensor(weights).exp()
    share = share.reshape(*share.shape, *[1] * (values.dim() - 3))
    return torch.where(share > 0, share * values, 0.0).sum(2)


Moments = tuple[Tensor, Tensor]


def moments(info: NodeInfo, family: str, parameters: tuple[Parameter, ...], value: Tensor) -> Moments:
    """Mean and variance at every entry of a value, [S or 1, entries, *event]; of a finite node the probabilities of its values,
    [S or 1, entries, *event, values], and 0."""
    if not info.classes:
        mean, variance, _ = torch.broadcast_tensors(mean_of(family, parameters), variance_of(family, parameters), value)
        return mean, variance
    if family == "categorical":
        probs = mean_of(family, parameters)
    elif family == "bernoulli":
        mean = mean_of(family, parameters)
        probs = torch.stack((1 - mean, mean), -1)
    else:
        probs = F.one_hot(value.long() - info.first, info.classes).to(torch.get_default_dtype())
    probs, _ = torch.broadcast_tensors(probs, value[..., None])
    return probs, torch.zeros_like(probs)
