"""Draws that are functions of their parameters: a size and parameters come in, the same draw for the same parameters goes out.

Wherever an emitted step draws a copy of a loop, and in whatever order, the oracle finds the value from parameters of its own.
Gradients flow as through real draws: along loc and scale, and through what is relaxed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.oracle.noise import binary_logits, class_logits

LOCATED = ("normal", "laplace", "student_t")
COUNTS = ("poisson", "negative_binomial", "zero_inflated_negative_binomial")
# The method of a family and its parameters in order.
PLAIN: Mapping[str, tuple[str, ...]] = {
    "Normal": ("located", "loc", "scale"),
    "Laplace": ("located", "loc", "scale"),
    "StudentT": ("located", "df", "loc", "scale"),
    "LogNormal": ("log_normal", "loc", "scale"),
    "Exponential": ("exponential", "rate"),
    "Gamma": ("gamma", "concentration", "rate"),
    "Beta": ("beta", "concentration1", "concentration0"),
    "Dirichlet": ("dirichlet", "concentration"),
    "MultivariateNormal": ("multivariate_normal", "loc", "scale_tril"),
    "VonMisesFisher": ("von_mises_fisher", "loc", "concentration"),
    "VonMises": ("von_mises", "loc", "concentration"),
    "DiscretizedLogistic": ("discretized_logistic", "loc", "scale"),
    "Poisson": ("counts", "rate"),
    "NegativeBinomial": ("counts", "total_count", "logits"),
    "ZeroInflatedNegativeBinomial": ("counts", "total_count", "logits", "gate"),
}


@dataclass(frozen=True, slots=True)
class Keyed:
    """A stand-in for sgdsl.runtime.draws.Draws: `size` is (S, entries, *event)."""

    key: float

    def uniform(self, size: Sequence[int], *parameters: Any) -> Tensor:
        """In (0, 1), by sample, cell and parameters; these broadcast against `size`, or have a dimension of classes more."""
        size = tuple(size)
        place = self.key + 0.7 * torch.arange(size[0]).reshape(-1, *[1] * (len(size) - 1))
        place = place + 1.3 * torch.arange(math.prod(size[2:])).reshape(1, 1, *size[2:])
        for i, parameter in enumerate(parameters):
            at = torch.as_tensor(parameter, dtype=torch.float64).detach()
            if at.dim() > len(size):
                at = (at * torch.arange(1, at.shape[-1] + 1)).sum(-1)
            place = place + (11 + 3 * i) * at
        return 0.5 + 0.49 * torch.sin(place.expand(size))

    def located(self, size: Sequence[int], *parameters: Any) -> Tensor:
        """loc + scale · noise; what stands before loc has no path."""
        loc, scale = parameters[-2:]
        noise = 4 * (self.uniform(size, *parameters) - 0.5)
        return torch.as_tensor(loc) + torch.as_tensor(scale) * noise

    def log_normal(self, size: Sequence[int], loc: Any, scale: Any) -> Tensor:
        return self.located(size, loc, scale).exp()

    def exponential(self, size: Sequence[int], rate: Any) -> Tensor:
        return -self.uniform(size, rate).log() / torch.as_tensor(rate)

    def gamma(self, size: Sequence[int], concentration: Any, rate: Any) -> Tensor:
        share = self.uniform(size, concentration, rate)
        return 2 * share * torch.as_tensor(concentration) / torch.as_tensor(rate)

    def beta(self, size: Sequence[int], concentration1: Any, concentration0: Any) -> Tensor:
        share = self.uniform(size, concentration1, concentration0)
        one, zero = (torch.as_tensor(c, dtype=torch.float64).log() for c in (concentration1, concentration0))
        return (one - zero + torch.logit(share)).sigmoid()

    def dirichlet(self, size: Sequence[int], concentration: Any) -> Tensor:
        c = torch.as_tensor(concentration, dtype=torch.float64)
        return (c.log() + torch.logit(self.uniform(size, c))).softmax(-1)

    def multivariate_normal(self, size: Sequence[int], loc: Any, scale_tril: Tensor) -> Tensor:
        noise = 4 * (self.uniform(size, loc, scale_tril.diagonal(dim1=-2, dim2=-1)) - 0.5)
        return torch.as_tensor(loc) + (scale_tril @ noise[..., None])[..., 0]

    def von_mises_fisher(self, size: Sequence[int], loc: Tensor, concentration: Any) -> Tensor:
        k = torch.as_tensor(concentration, dtype=torch.float64)[..., None]
        return functional.normalize(loc + (self.uniform(size, loc, k) - 0.5) / k, dim=-1)

    def von_mises(self, size: Sequence[int], loc: Any, concentration: Any) -> Tensor:
        share = self.uniform(size, loc, concentration)
        return torch.as_tensor(loc) + (share - 0.5) / torch.as_tensor(concentration)

    def continuous_bernoulli(self, size: Sequence[int], logits: Any) -> Tensor:
        return (torch.as_tensor(logits) + torch.logit(self.uniform(size, logits))).sigmoid()

    def bernoulli(self, size: Sequence[int], logits: Any) -> Tensor:
        return (self.uniform(size, logits) < torch.as_tensor(logits).sigmoid()).double()

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        """Indices, int64."""
        edges = logits.detach().softmax(-1).cumsum(-1)
        return (self.uniform(size, logits)[..., None] > edges[..., :-1]).sum(-1)

    def counts(self, size: Sequence[int], *parameters: Any) -> Tensor:
        return (4 * self.uniform(size, *parameters)).floor()

    def discretized_logistic(self, size: Sequence[int], loc: Any, scale: Any) -> Tensor:
        """One of the levels 0, 1/255, …, 1."""
        return (256 * self.uniform(size, loc, scale)).floor() / 255

    def resample(self, size: Sequence[int], log_w: Tensor) -> Tensor:
        """Which sample each recombination takes: one for each place and weight, log_w [S, entries]."""
        place = torch.arange(size[0], dtype=torch.float64)[:, None]
        order = torch.arange(1, size[0] + 1, dtype=torch.float64)[:, None]
        at = self.key + 1.9 * place + 7 * (order * log_w.detach().softmax(0)).sum(0)
        return (size[0] * (0.5 + 0.49 * torch.sin(at))).long()

    def mixture(self, weights: Tensor, drawn: Tensor) -> Tensor:
        """One expert's draw in each entry, [S, entries, experts, *event] → [S, entries, *event]."""
        index = self.categorical(drawn.shape[:2], weights)
        return drawn.take_along_dim(index.reshape(*index.shape, *[1] * (drawn.dim() - 2)), 2)[:, :, 0]

    def gumbel(self, size: Sequence[int], logits: Tensor, temperature: float) -> Tensor:
        noise = torch.arange(logits.shape[-1]) * self.uniform(size, logits)[..., None]
        return ((logits + noise) / temperature).softmax(-1)

    def straight_through(self, size: Sequence[int], logits: Tensor) -> Tensor:
        soft = logits.softmax(-1)
        hard = functional.one_hot(self.categorical(size, logits), logits.shape[-1])
        return hard + (soft - soft.detach())

    def binary_gumbel(self, size: Sequence[int], logits: Tensor, temperature: float) -> Tensor:
        return ((logits + self.uniform(size, logits)) / temperature).sigmoid()

    def binary_straight_through(self, size: Sequence[int], logits: Tensor) -> Tensor:
        soft = torch.as_tensor(logits).sigmoid()
        return self.bernoulli(size, logits) + (soft - soft.detach())

    def __getattr__(self, method: str) -> Any:
        if method in LOCATED:
            return self.located
        if method in COUNTS:
            return self.counts
        raise AttributeError(f"no keyed draw of {method}")

    # --- the oracle's side ------------------------------------------------------------------------------------

    def drawn(self, family: str, how: tuple[str, float], at: Mapping[str, Tensor], size: Sequence[int]) -> Tensor:
        """The draw of a factor from its parameters by name, each [S, entries, …]. `how`: the estimator and its temperature.
        Classes count from 0."""
        estimator, temperature = how
        size = tuple(size)
        if "weights" in at:
            own = {n: p for n, p in at.items() if n != "weights"}
            experts = at["weights"].shape[-1]
            wide = (*size[:2], experts, *size[2:])
            return self.mixture(at["weights"], self.drawn(family, how, own, wide))
        match family:
            case "Categorical" if estimator == "gumbel":
                return self.gumbel(size, class_logits(at), temperature)
            case "Categorical" if estimator == "straight_through":
                return self.straight_through(size, class_logits(at))
            case "Categorical":
                return self.categorical(size, class_logits(at))
            case "Bernoulli" if estimator == "gumbel":
                return self.binary_gumbel(size, binary_logits(at), temperature)
            case "Bernoulli" if estimator == "straight_through":
                return self.binary_straight_through(size, binary_logits(at))
            case "Bernoulli":
                return self.bernoulli(size, binary_logits(at))
            case "ContinuousBernoulli":
                return self.continuous_bernoulli(size, binary_logits(at))
            case _:
                method, *names = PLAIN[family]
                found: Tensor = getattr(self, method)(size, *(at[n] for n in names))
                return found
