"""The circle: the von Mises density against quadrature, its draws and their slopes, and beliefs about angles."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sgdsl.runtime.beliefs import mixture_belief
from sgdsl.runtime.densities import von_mises_log_prob
from sgdsl.runtime.densities_angle import resultant, wrapped
from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.draws_angle import von_mises_slope
from sgdsl.runtime.facts import NodeInfo
from tests.runtime.families import draws

CONCENTRATIONS = (1e-4, 0.3, 2.0, 15.0, 300.0, 1e5)
MANY = 40_000


def wide(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def circle(points: int = 200_000) -> tuple[Tensor, float]:
    """Points around, and the width of each: the rectangle rule is exact to rounding for smooth periodic functions."""
    return 2 * math.pi * torch.arange(points, dtype=torch.float64) / points - math.pi, 2 * math.pi / points


@pytest.mark.parametrize("k", CONCENTRATIONS)
@pytest.mark.parametrize("loc", [0.0, 3.0])
def test_the_density_integrates_to_one_and_has_its_moments(k: float, loc: float) -> None:
    """Protects the normaliser without any reference, from nearly flat to a needle, and the mean resultant length."""
    at, width = circle()
    density = von_mises_log_prob(at, loc, wide(k)).exp() * width
    assert float(density.sum()) == pytest.approx(1, abs=1e-9)
    assert float((density * (at - loc).cos()).sum()) == pytest.approx(float(resultant(wide(k))), abs=1e-9)


def test_a_large_concentration_keeps_its_digits_in_single_precision() -> None:
    """Protects training on sharp angles: value and slope by κ of a draw near its mode, in float32 against float64."""
    for k in (1e2, 1e4, 1e6):
        value = torch.tensor(0.7 / math.sqrt(k))
        both = []
        for dtype in (torch.float32, torch.float64):
            leaf = torch.tensor(k, dtype=dtype, requires_grad=True)
            found = von_mises_log_prob(value.to(dtype), 0.0, leaf)
            both.append((found.detach().double(), torch.autograd.grad(found, leaf)[0].double()))
        torch.testing.assert_close(both[0], both[1], rtol=1e-5, atol=0)


@pytest.mark.parametrize("k", CONCENTRATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_have_the_moments_of_the_density(k: float, dtype: torch.dtype) -> None:
    """Protects the sampler: E cos, E sin and E cos 2 of 80,000 draws within 4 standard errors, all in (−π, π] about any loc."""
    drawn = draws(4).von_mises((MANY, 2), torch.tensor([0.0, 2.9], dtype=dtype), torch.tensor(k, dtype=dtype))
    assert drawn.dtype == dtype
    assert ((drawn > -math.pi - 1e-6) & (drawn <= math.pi + 1e-6)).all()
    away = (drawn.double() - wide(0.0, 2.9)).flatten()
    at, width = circle()
    density = von_mises_log_prob(at, 0.0, wide(k)).exp() * width
    for function in (torch.cos, torch.sin, lambda x: torch.cos(2 * x)):
        found, values = function(away), function(at)
        mean = (density * values).sum()
        spread = ((density * values.square()).sum() - mean.square()).clamp(min=1e-20).sqrt()
        assert abs(float(found.mean() - mean)) < 4 * float(spread) / math.sqrt(len(away)) + 1e-7


def below(x: float, k: float) -> float:
    """The distribution function on [−π, x] by the midpoint rule."""
    low = max(-math.pi, -14 / math.sqrt(k))
    t = low + (x - low) * (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    return float(von_mises_log_prob(t, 0.0, wide(k)).exp().mean() * (x - low))


@pytest.mark.parametrize("k", CONCENTRATIONS)
def test_slopes_are_those_of_the_distribution_function(k: float) -> None:
    """Protects the implicit gradient: −(∂F/∂κ) / f by differences, in the middle and in both tails."""
    for place in (-3.0, -1.0, 0.02, 0.8, 2.2, 3.1):
        x, step = place / math.sqrt(max(k, 1.0)), 1e-4 * k
        density = float(von_mises_log_prob(wide(x), 0.0, wide(k)).exp())
        wanted = -(below(x, k + step) - below(x, k - step)) / (2 * step) / density
        found = float(von_mises_slope(wide(x), wide(k)))
        assert found == pytest.approx(wanted, rel=1e-4, abs=3e-7)


@pytest.mark.parametrize("k", [0.3, 2.0, 50.0])
@pytest.mark.parametrize("function", [torch.cos, lambda x: torch.cos(2 * x - 1), lambda x: (0.7 * x.sin()).exp()])
def test_gradients_of_expectations(k: float, function: Callable[[Tensor], Tensor]) -> None:
    """Protects reparam: the mean slope of E g(draw) by loc and κ is that of the integral, within 4 standard errors (40 parts)."""
    leaves = (torch.tensor(2.5, dtype=torch.float64), torch.tensor(k, dtype=torch.float64))
    leaves = tuple(leaf.requires_grad_() for leaf in leaves)
    at, width = circle(20_000)
    exact = (function(at) * von_mises_log_prob(at, *leaves).exp()).sum() * width
    wanted = torch.autograd.grad(exact, leaves)
    parts = function(draws(9).von_mises((MANY,), *leaves)).chunk(40)
    found = torch.tensor([[float(g) for g in torch.autograd.grad(p.mean(), leaves, retain_graph=True)] for p in parts])
    for i in (0, 1):
        assert abs(float(found[:, i].mean() - wanted[i])) < 4 * float(found[:, i].std()) / math.sqrt(40)


def test_whole_turns() -> None:
    """Protects the range: every angle lands in (−π, π], π stays, and the slope is 1."""
    turned = wide(0.5, math.pi, -math.pi, 3.5, -9.0, 100.0).requires_grad_()
    found = wrapped(turned)
    assert ((found > -math.pi) & (found <= math.pi)).all()
    assert found[1:3].tolist() == [math.pi, math.pi]
    torch.testing.assert_close(found.cos(), turned.cos())
    assert (torch.autograd.grad(found.sum(), turned)[0] == 1).all()


def test_beliefs_about_angles_go_round() -> None:
    """Protects predictions at ±π: the mean of 3.1 and −3.1 is π and not 0, its spread that of the circle; a von Mises that is
    seen once has its own mean, and a spread of √(−2 log R)."""
    info = NodeInfo("latent", "angle", (), (), (), "von_mises", "von_mises", "reparam", (), ())
    halves = torch.full((2, 1), 0.5, dtype=torch.float64)
    mean, spread = mixture_belief(info, halves, wide(3.1, -3.1)[:, None], torch.zeros(2, 1, dtype=torch.float64))
    assert abs(float(mean)) == pytest.approx(math.pi)
    assert float(spread) == pytest.approx(math.pi - 3.1, rel=1e-3)
    parameters = (wide(4.0), wide(5.0))
    moments = [m("von_mises", parameters)[None] for m in (mean_of, variance_of)]
    mean, spread = mixture_belief(info, torch.ones(1, 1, dtype=torch.float64), *moments)
    assert float(mean) == pytest.approx(4 - 2 * math.pi)
    assert float(spread) == pytest.approx(math.sqrt(-2 * math.log(float(resultant(wide(5.0))))))
