"""Draws: their distribution (error stated, seeds fixed), gradients, dtype, and state."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.means import Means
from tests.runtime.families import COLUMNS, cells, draws

MANY = 40_000
REPARAMETERISED = ("normal", "laplace", "log_normal", "student_t")


@pytest.mark.parametrize("prefix", [p for p in COLUMNS if p != "von_mises"])  # test_angles.py
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mean_and_spread_of_draws(prefix: str, dtype: torch.dtype) -> None:
    """Protects each sampler: 40,000 draws have the family's mean within 4 standard errors (0.005 of a standard deviation
    each, so 2 % of one in all) and its variance within 10 %."""
    parameters = cells(prefix, dtype)
    drawn = getattr(draws(), prefix)((MANY, 2, 3), *parameters)
    assert drawn.dtype == dtype
    drawn = drawn.double().flatten(0, 1)
    wide = tuple(p.double() for p in parameters)
    mean, variance = mean_of(prefix, wide), variance_of(prefix, wide)
    error = (variance / len(drawn)).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 4 * error).all()
    torch.testing.assert_close(drawn.var(0), variance, rtol=0.1, atol=0)


@pytest.mark.parametrize(
    "prefix", ["laplace", "student_t", "log_normal", "normal", "gamma", "exponential", "beta", "continuous_bernoulli"]
)
def test_quantiles_of_draws(prefix: str) -> None:
    """Protects the shape beyond two moments: shares below four points, from torch's distribution or its draws, within
    4 standard errors (0.01 at most)."""
    theirs: dict[str, Callable[..., Any]] = {
        "gamma": torch.distributions.Gamma,
        "exponential": torch.distributions.Exponential,
        "beta": torch.distributions.Beta,
        "continuous_bernoulli": lambda logits: torch.distributions.ContinuousBernoulli(logits=logits),
        "laplace": torch.distributions.Laplace,
        "normal": torch.distributions.Normal,
        "log_normal": torch.distributions.LogNormal,
        "student_t": torch.distributions.StudentT,
    }
    parameters = tuple(p[0] for p in cells(prefix))
    found = getattr(draws(3), prefix)((MANY,), *parameters)
    torch.manual_seed(5)
    reference = theirs[prefix](*parameters).sample((MANY,))
    for point in (0.01, 0.25, 0.9, 2.0):
        a, b = (found < point).double().mean(), (reference < point).double().mean()
        assert abs(float(a - b)) < 4 * math.sqrt(2 * 0.25 / MANY)


def test_classes_are_drawn_as_often_as_they_should() -> None:
    """Protects the exponential race: shares within 4 standard errors, an excluded class never, indices int64."""
    logits = torch.tensor([[0.0, 1.0, -2.0, -math.inf], [3.0, -3.0, 0.0, 0.0]])
    drawn = draws().categorical((MANY, 2), logits)
    assert drawn.dtype == torch.int64
    probs = logits.softmax(-1)
    shares = torch.nn.functional.one_hot(drawn, 4).float().mean(0)
    assert ((shares - probs).abs() <= 4 * (probs * (1 - probs) / MANY).sqrt()).all()
    assert shares[0, 3] == 0


@pytest.mark.parametrize("prefix", [*COLUMNS, "delta"])
def test_sizes_and_kinds_of_parameters(prefix: str) -> None:
    """Protects the shape of every draw: parameters without samples, of the event alone, numbers, and mixtures of them."""
    columns = COLUMNS.get(prefix, ([0.5, 1.0, 2.0],))
    for kind in (Draws, Means):
        method = getattr(kind(torch.Generator().manual_seed(0)), prefix)
        for first in (columns[0][0], torch.tensor(columns[0]), torch.tensor(columns[0]).expand(1, 4, 3)):
            found = method((5, 4, 3), first, *(c[0] for c in columns[1:]))
            assert found.shape == (5, 4, 3)
            assert found.dtype == torch.float32
            assert found.isfinite().all()
        wide = method((5, 4, 3), *(torch.tensor(c, dtype=torch.float64) for c in columns))
        assert wide.dtype == torch.float64


@pytest.mark.parametrize("prefix", REPARAMETERISED)
def test_gradients_through_draws(prefix: str) -> None:
    """Protects reparameterisation: the gradient of the mean of draws, and of their mean square for the scale, is the
    analytic one within 4 standard errors."""
    leaves = [p.requires_grad_() for p in cells(prefix)]
    drawn = getattr(draws(1), prefix)((MANY, 3), *leaves)
    loc, scale = leaves[-2:]
    found = torch.autograd.grad(drawn.mean(0).sum(), loc, retain_graph=True)[0]
    mean, variance = mean_of(prefix, tuple(leaves)), variance_of(prefix, tuple(leaves))
    expected = torch.autograd.grad(mean.sum(), loc, retain_graph=True)[0]
    spread = (variance / MANY).sqrt().detach() if prefix == "log_normal" else torch.full((3,), 1e-9)
    assert ((found - expected).abs() <= 4 * spread).all()

    square = drawn.square()
    found = torch.autograd.grad(square.mean(0).sum(), scale, retain_graph=True)[0]
    expected = torch.autograd.grad((variance + mean.square()).sum(), scale)[0]
    with torch.no_grad():  # the estimator's own spread, from 40 parts
        parts = 40
    by_part = torch.stack(
        [torch.autograd.grad(part.mean(0).sum(), scale, retain_graph=True)[0] for part in square.chunk(parts)]
    )
    assert ((found - expected).abs() < 4 * by_part.std(0) / math.sqrt(parts)).all()


def test_degrees_of_freedom_get_a_gradient() -> None:
    """Protects StudentT's implicit gradient: d/df E[v²] = −2 / (df − 2)² for the unit scale, within 4 standard errors."""
    df = torch.tensor(12.0, dtype=torch.float64, requires_grad=True)
    square = draws(2).student_t((MANY,), df, 0.0, 1.0).square()
    parts = torch.stack([torch.autograd.grad(p.mean(), df, retain_graph=True)[0] for p in square.chunk(40)])
    assert abs(float(parts.mean()) + 2 / 100) < 4 * float(parts.std()) / math.sqrt(40)


@pytest.mark.parametrize("prefix", ["bernoulli", "poisson", "negative_binomial", "zero_inflated_negative_binomial"])
def test_other_draws_pass_no_gradient(prefix: str) -> None:
    """Protects the score estimator: nothing leaks through a draw that is not reparameterised."""
    leaves = [p.requires_grad_() for p in cells(prefix)]
    assert not getattr(draws(), prefix)((7, 2, 3), *leaves).requires_grad


def test_extreme_parameters_draw_finite_values() -> None:
    """Protects log-densities from infinite draws: saturated logits, tiny and huge scales, rates and counts."""
    d, size = draws(), (200,)
    big, small = torch.tensor(1e30), torch.tensor(1e-4)
    found = [
        d.log_normal(size, torch.tensor(0.0), torch.tensor(1e4)),
        d.student_t(size, torch.tensor(2.0), torch.tensor(0.0), torch.tensor(1e4)),
        d.poisson(size, big),
        d.poisson(size, small),
        d.negative_binomial(size, small, torch.tensor(80.0)),
        d.negative_binomial(size, big, torch.tensor(-80.0)),
        d.zero_inflated_negative_binomial(size, big, torch.tensor(80.0), torch.tensor(0.5)),
        d.bernoulli(size, torch.tensor(80.0)) - 1,
        d.bernoulli(size, torch.tensor(-80.0)),
        d.gumbel(size, torch.tensor([80.0, -80.0]), 0.01),
        d.binary_gumbel(size, torch.tensor(80.0), 0.01),
    ]
    assert all(f.isfinite().all() for f in found)
    assert (found[0] > 0).all()
    assert (found[7] == 0).all()
    assert (found[8] == 0).all()


# --- relaxed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_straight_through_is_hard_in_value_and_soft_in_gradient(dtype: torch.dtype) -> None:
    """Protects straight-through: exactly one-hot, drawn as often as the class, with the gradient of the softmax."""
    logits = torch.tensor([[0.3, -1.2, 2.0], [0.0, 0.1, -0.1]], dtype=dtype, requires_grad=True)
    found = draws().straight_through((MANY, 2), logits)
    assert found.dtype == dtype
    assert ((found == 0) | (found == 1)).all()
    assert (found.sum(-1) == 1).all()
    probs = logits.softmax(-1)
    assert ((found.mean(0) - probs).abs() < 4 * (probs * (1 - probs) / MANY).sqrt()).all()
    weights = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], dtype=dtype)
    one = draws().straight_through((1, 2), logits)
    a = torch.autograd.grad((one * weights).sum(), logits)[0]
    torch.testing.assert_close(a, torch.autograd.grad((probs * weights).sum(), logits)[0])

    logits = torch.tensor([0.3, -1.2], dtype=dtype, requires_grad=True)
    found = draws().binary_straight_through((MANY, 2), logits)
    assert ((found == 0) | (found == 1)).all()
    probs = logits.sigmoid()
    assert ((found.mean(0) - probs).abs() < 4 * (probs * (1 - probs) / MANY).sqrt()).all()
    a = torch.autograd.grad(found[0].sum(), logits)[0]
    torch.testing.assert_close(a, torch.autograd.grad(probs.sum(), logits)[0])


def test_gumbel_is_a_simplex_whose_top_is_the_class() -> None:
    """Protects the Concrete draw: sums to 1, the largest cell as often as its probability, a gradient for every logit,
    nearly hard when cold."""
    logits = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64, requires_grad=True)
    found = draws().gumbel((MANY, 1), logits, 0.5)
    assert found.shape == (MANY, 1, 3)
    torch.testing.assert_close(found.sum(-1), torch.ones(MANY, 1, dtype=torch.float64))
    probs = logits.softmax(-1)
    top = torch.nn.functional.one_hot(found.argmax(-1), 3).double().mean((0, 1))
    assert ((top - probs).abs() < 4 * (probs * (1 - probs) / MANY).sqrt()).all()
    assert (torch.autograd.grad(found[..., 0].mean(), logits)[0].abs() > 1e-3).all()
    cold = draws().gumbel((1000, 1), logits, 0.001)
    assert float(cold.detach().max(-1).values.mean()) > 0.99


def test_binary_gumbel_is_above_one_half_as_often_as_it_is_one() -> None:
    """Protects the binary Concrete draw, and its gradient."""
    logits = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    found = draws().binary_gumbel((MANY, 2), logits, 0.5)
    probs = logits.sigmoid()
    above = (found > 0.5).double().mean(0)
    assert ((above - probs).abs() < 4 * (probs * (1 - probs) / MANY).sqrt()).all()
    assert (torch.autograd.grad(found.mean(0).sum(), logits)[0] > 0.01).all()
