"""All log-densities and means in one place, by family: `<prefix>_log_prob` and `<prefix>_mean`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from sgdsl.runtime.densities_angle import von_mises_log_prob, von_mises_mean
from sgdsl.runtime.densities_count import (
    negative_binomial_log_prob,
    poisson_log_prob,
    zero_inflated_negative_binomial_log_prob,
)
from sgdsl.runtime.densities_finite import (
    bernoulli_log_prob,
    bernoulli_log_prob_lifted,
    categorical_log_prob,
    categorical_log_prob_at,
    categorical_soft_log_prob,
)
from sgdsl.runtime.densities_moments import (
    bernoulli_mean,
    beta_mean,
    categorical_mean,
    continuous_bernoulli_mean,
    delta_mean,
    exponential_mean,
    gamma_mean,
    laplace_mean,
    log_normal_mean,
    negative_binomial_mean,
    normal_mean,
    poisson_mean,
    range_mean,
    student_t_mean,
    zero_inflated_negative_binomial_mean,
)
from sgdsl.runtime.densities_positive import exponential_log_prob, gamma_log_prob
from sgdsl.runtime.densities_real import (
    laplace_log_prob,
    log_normal_log_prob,
    normal_expected_log_prob,
    normal_log_prob,
    normal_negative_entropy,
    student_t_log_prob,
)
from sgdsl.runtime.densities_sphere import von_mises_fisher_log_prob, von_mises_fisher_mean
from sgdsl.runtime.densities_unit import (
    beta_log_prob,
    continuous_bernoulli_log_prob,
    discretized_logistic_log_prob,
    discretized_logistic_mean,
)
from sgdsl.runtime.densities_vector import (
    dirichlet_log_prob,
    dirichlet_mean,
    multivariate_normal_log_prob,
    multivariate_normal_mean,
)

DENSITIES: Mapping[str, Callable[..., Tensor]] = {
    "normal": normal_log_prob,
    "laplace": laplace_log_prob,
    "student_t": student_t_log_prob,
    "log_normal": log_normal_log_prob,
    "exponential": exponential_log_prob,
    "gamma": gamma_log_prob,
    "beta": beta_log_prob,
    "continuous_bernoulli": continuous_bernoulli_log_prob,
    "discretized_logistic": discretized_logistic_log_prob,
    "dirichlet": dirichlet_log_prob,
    "multivariate_normal": multivariate_normal_log_prob,
    "von_mises_fisher": von_mises_fisher_log_prob,
    "von_mises": von_mises_log_prob,
    "bernoulli": bernoulli_log_prob,
    "categorical": categorical_log_prob,
    "poisson": poisson_log_prob,
    "negative_binomial": negative_binomial_log_prob,
    "zero_inflated_negative_binomial": zero_inflated_negative_binomial_log_prob,
}

VECTORS = frozenset(
    ("dirichlet", "multivariate_normal", "von_mises_fisher")
)  # densities of vectors: no cell has one of its own

__all__ = [
    "DENSITIES",
    "VECTORS",
    "bernoulli_log_prob",
    "bernoulli_log_prob_lifted",
    "bernoulli_mean",
    "beta_log_prob",
    "beta_mean",
    "categorical_log_prob",
    "categorical_log_prob_at",
    "categorical_mean",
    "categorical_soft_log_prob",
    "continuous_bernoulli_log_prob",
    "continuous_bernoulli_mean",
    "delta_mean",
    "dirichlet_log_prob",
    "dirichlet_mean",
    "discretized_logistic_log_prob",
    "discretized_logistic_mean",
    "exponential_log_prob",
    "exponential_mean",
    "gamma_log_prob",
    "gamma_mean",
    "laplace_log_prob",
    "laplace_mean",
    "log_normal_log_prob",
    "log_normal_mean",
    "multivariate_normal_log_prob",
    "multivariate_normal_mean",
    "negative_binomial_log_prob",
    "negative_binomial_mean",
    "normal_expected_log_prob",
    "normal_log_prob",
    "normal_mean",
    "normal_negative_entropy",
    "poisson_log_prob",
    "poisson_mean",
    "range_mean",
    "student_t_log_prob",
    "student_t_mean",
    "von_mises_fisher_log_prob",
    "von_mises_fisher_mean",
    "von_mises_log_prob",
    "von_mises_mean",
    "zero_inflated_negative_binomial_log_prob",
    "zero_inflated_negative_binomial_mean",
]
