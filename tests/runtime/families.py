"""The families under test: torch's distribution of our parameters, and values and parameters of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.distributions as td
from torch import Tensor

from sgdsl.runtime import densities
from sgdsl.runtime.draws import Draws

Make = Callable[..., td.Distribution]


class VonMises(td.VonMises):
    """torch's, whose approximation of log I0 has seven digits, with all of them."""

    def log_prob(self, value: Tensor) -> Tensor:
        return self.concentration * torch.cos(value - self.loc) - (2 * math.pi * torch.i0(self.concentration)).log()

    @property
    def variance(self) -> Tensor:
        found: Tensor = 1 - torch.special.i1(self.concentration) / torch.i0(self.concentration)
        return found.expand(self.batch_shape)


class DiscretizedLogistic(td.Distribution):
    """The mass of each level as a difference of sigmoids, at every level."""

    arg_constraints: ClassVar[dict[str, td.constraints.Constraint]] = {}

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        level = (value * 255).round()
        above, below = (((level + off) / 255 - self.loc) / self.scale for off in (0.5, -0.5))
        above, below = above.masked_fill(level == 255, math.inf), below.masked_fill(level == 0, -math.inf)
        right = above.sigmoid() - below.sigmoid(), (-below).sigmoid() - (-above).sigmoid()  # the same, from either end
        return torch.where(below > 0, right[1], right[0]).log()

    @property
    def probs(self) -> tuple[Tensor, Tensor]:
        at = (torch.arange(256, dtype=torch.float64) / 255).reshape(-1, *[1] * self.loc.dim())
        return at, self.log_prob(at.expand(256, *self.loc.shape)).exp()

    @property
    def mean(self) -> Tensor:
        at, probs = self.probs
        return (at * probs).sum(0)

    @property
    def variance(self) -> Tensor:
        at, probs = self.probs
        return ((at - self.mean).square() * probs).sum(0)


# prefix: (torch's distribution of our parameters, their kinds, the kind of value)
CASES: dict[str, tuple[Make, tuple[str, ...], str]] = {
    "normal": (td.Normal, ("real", "positive"), "real"),
    "laplace": (td.Laplace, ("real", "positive"), "real"),
    "student_t": (td.StudentT, ("degrees", "real", "positive"), "real"),
    "log_normal": (td.LogNormal, ("real", "positive"), "positive"),
    "exponential": (td.Exponential, ("positive",), "positive"),
    "gamma": (td.Gamma, ("positive", "positive"), "positive"),
    "beta": (td.Beta, ("positive", "positive"), "probability"),
    "continuous_bernoulli": (lambda logits: td.ContinuousBernoulli(logits=logits), ("real",), "probability"),
    "discretized_logistic": (DiscretizedLogistic, ("real", "positive"), "level"),
    "von_mises": (VonMises, ("angle", "positive"), "angle"),
    "bernoulli": (lambda logits: td.Bernoulli(logits=logits), ("real",), "binary"),
    "poisson": (td.Poisson, ("positive",), "count"),
    "negative_binomial": (lambda n, logits: td.NegativeBinomial(n, logits=logits), ("positive", "real"), "count"),
}
NUMBERS = {"angle": 0.7, "real": 0.7, "positive": 1.3, "degrees": 4.5, "probability": 0.3}
DTYPES = {torch.float32: 2e-5, torch.float64: 1e-10}


def made(kind: str, shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """A value or parameter of a kind."""
    real = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    match kind:
        case "angle":
            real = math.pi * real.tanh()
        case "positive":
            real = real.exp()
        case "degrees":
            real = 2.1 + real.exp()
        case "probability":
            real = real.sigmoid()
        case "binary":
            real = (real > 0).double()
        case "level":
            real = (real.sigmoid() * 300 - 20).round().clamp(0, 255) / 255
        case "count":
            real = (4 * real.exp()).floor()
    return real.to(dtype)


def log_prob(prefix: str) -> Callable[..., Tensor]:
    found: Callable[..., Tensor] = getattr(densities, f"{prefix}_log_prob")
    return found


# prefix: parameters of three cells, from narrow to wide
COLUMNS: dict[str, tuple[list[float], ...]] = {
    "normal": ([0.0, -2.0, 5.0], [1.0, 0.1, 3.0]),
    "laplace": ([0.0, -2.0, 5.0], [1.0, 0.1, 3.0]),
    "log_normal": ([0.0, -1.0, 1.0], [0.5, 0.1, 0.8]),
    "student_t": ([5.0, 8.0, 30.0], [0.0, -2.0, 5.0], [1.0, 0.1, 3.0]),
    "exponential": ([0.5, 1.0, 20.0],),
    "gamma": ([0.3, 1.0, 40.0], [1.0, 0.1, 3.0]),
    "beta": ([0.3, 1.0, 40.0], [0.7, 2.0, 3.0]),
    "continuous_bernoulli": ([0.0, -3.0, 12.0],),
    "discretized_logistic": ([0.5, -0.1, 0.9], [0.1, 0.3, 0.02]),
    "von_mises": ([0.0, -3.0, 3.1], [0.2, 1.0, 40.0]),
    "bernoulli": ([0.0, -3.0, 2.0],),
    "poisson": ([0.3, 4.0, 120.0],),
    "negative_binomial": ([0.4, 3.0, 20.0], [0.0, -1.0, 1.0]),
    "zero_inflated_negative_binomial": ([0.4, 3.0, 20.0], [0.0, -1.0, 1.0], [0.1, 0.5, 0.9]),
}


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def cells(prefix: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(p, dtype=dtype) for p in COLUMNS[prefix])
