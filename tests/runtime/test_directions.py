"""The sphere: the von Mises-Fisher density against closed forms and quadrature, its draws and their slopes, beliefs, sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sgdsl.runtime.beliefs import mixture_belief
from sgdsl.runtime.densities import von_mises_fisher_log_prob, von_mises_log_prob
from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.densities_sphere import angle_integrals
from sgdsl.runtime.domains import on_sphere
from sgdsl.runtime.draws_sphere import polar_slope
from sgdsl.runtime.facts import NodeInfo
from sgdsl.runtime.sweep import legal_again
from tests.runtime.families import draws

MANY = 40_000
CONCENTRATIONS = (1e-4, 0.3, 2.0, 30.0, 1e4)


def wide(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def polar(n: int, k: float, points: int = 400_000) -> tuple[Tensor, Tensor]:
    """Angles to loc, and the mass at each, by midpoints: ∝ exp(κ cos t) sin(t)ⁿ⁻²."""
    t = math.pi * (torch.arange(points, dtype=torch.float64) + 0.5) / points
    mass = (k * (t.cos() - 1) + (n - 2) * t.sin().log()).softmax(0)
    return t, mass


@pytest.mark.parametrize("k", CONCENTRATIONS)
def test_the_density_has_its_closed_forms(k: float) -> None:
    """Protects the normaliser: κ / (4π sinh κ) in three dimensions, a VonMises in two, value and slope by κ to 1e-9."""
    leaf, axis = torch.tensor(k, dtype=torch.float64, requires_grad=True), wide(0.0, 0.6, 0.8)
    value = on_sphere(wide(0.3, 1.0, 0.2))
    found = von_mises_fisher_log_prob(value, axis, leaf)
    wanted = leaf * (value @ axis - 1) + leaf.log() - math.log(2 * math.pi) - (-torch.expm1(-2 * leaf)).log()
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*(torch.autograd.grad(f, leaf)[0] for f in (found, wanted)), rtol=1e-6, atol=1e-8)
    a, b = wide(1.2), wide(-0.7)
    circle = von_mises_fisher_log_prob(torch.cat((a.cos(), a.sin())), torch.cat((b.cos(), b.sin())), wide(k)[0])
    torch.testing.assert_close(circle, von_mises_log_prob(a, b, wide(k))[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 5, 40])
@pytest.mark.parametrize("k", CONCENTRATIONS)
def test_the_integrals_by_midpoints(n: int, k: float) -> None:
    """Protects every dimension without a closed form: the normaliser and the mean of 1 − cos, to 1e-7."""
    t, mass = polar(n, k)
    log_z, short = angle_integrals(wide(k), n)
    weights = k * (t.cos() - 1) + (n - 2) * t.sin().log()
    torch.testing.assert_close(log_z[0], weights.logsumexp(0) + math.log(math.pi / len(t)), rtol=0, atol=1e-7)
    torch.testing.assert_close(short[0], mass @ (1 - t.cos()), rtol=1e-7, atol=0)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("k", CONCENTRATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_have_the_moments_of_the_density(n: int, k: float, dtype: torch.dtype) -> None:
    """Protects the sampler: E cos and E cos² of 40,000 angles to loc, and E of what is across it, within 4 standard errors."""
    loc = on_sphere(torch.linspace(-1, 2, n, dtype=dtype))
    drawn = draws(2).von_mises_fisher((MANY, n), loc, torch.tensor(k, dtype=dtype))
    assert drawn.dtype == dtype
    torch.testing.assert_close(drawn.norm(dim=-1), torch.ones(MANY, dtype=dtype))
    t, mass = polar(n, k)
    short = 0.5 * (drawn.double() - loc.double()).square().sum(-1)  # 1 − cos, with its digits
    for found, values in ((short, 1 - t.cos()), (short.square(), (1 - t.cos()).square())):
        mean = mass @ values
        spread = (mass @ values.square() - mean.square()).clamp(min=0).sqrt()
        assert abs(float(found.mean() - mean)) < 4 * float(spread) / math.sqrt(MANY) + 1e-6 * float(mean) + 1e-9
    across = drawn.double() - (drawn @ loc).double()[:, None] * loc.double()
    assert (across.mean(0).abs() < 4 * across.std(0) / math.sqrt(MANY) + 1e-8).all()


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("k", CONCENTRATIONS)
def test_slopes_are_those_of_the_distribution_function(n: int, k: float) -> None:
    """Protects the implicit gradient of the angle: −(∂F/∂κ) / f by differences, in the middle and in both tails."""

    def below(x: float, k: float) -> float:
        s = x * (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
        weights = k * (s.cos() - 1) + (n - 2) * s.sin().log() - angle_integrals(wide(k), n)[0]
        return float(weights.exp().mean() * x)

    t, mass = polar(n, k)
    for share in (0.02, 0.4, 0.98):
        x, step = float(t[int((mass.cumsum(0) < share).sum())]), 1e-4 * k
        density = math.exp(
            k * (math.cos(x) - 1) + (n - 2) * math.log(math.sin(x)) - float(angle_integrals(wide(k), n)[0])
        )
        wanted = -(below(x, k + step) - below(x, k - step)) / (2 * step) / density
        assert float(polar_slope(wide(x), wide(k), n)) == pytest.approx(wanted, rel=1e-4, abs=3e-7)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize(
    "function", [lambda x: x[:, 0], lambda x: x[:, 0] * x[:, -1], lambda x: (x[:, 1] - x[:, 0]).exp()]
)
def test_gradients_of_expectations(n: int, function: Callable[[Tensor], Tensor]) -> None:
    """Protects reparam: slopes of E g(draw) by κ and the raw direction, against the score function's, Σ g ∂ log f, at other
    draws: within 4 standard errors of the difference (40 parts)."""
    raw, k = torch.linspace(1, -0.4, n, dtype=torch.float64).requires_grad_(), wide(2.5)[0].requires_grad_()

    def parts(score: bool) -> Tensor:
        loc = on_sphere(raw)
        drawn = draws(11 + score).von_mises_fisher((MANY, n), loc, k)
        if score:
            drawn = drawn.detach()
            values = (function(drawn) - function(drawn).mean()) * von_mises_fisher_log_prob(drawn, loc, k)
        else:
            values = function(drawn)
        slopes = [torch.autograd.grad(p.mean(), (raw, k), retain_graph=True) for p in values.chunk(40)]
        return torch.stack([torch.cat((a, b[None])) for a, b in slopes])

    path, score = parts(False), parts(True)
    error = ((path.var(0) + score.var(0)) / 40).sqrt()
    assert ((path.mean(0) - score.mean(0)).abs() < 4 * error + 1e-9).all()


def test_beliefs_and_moved_cells_are_directions() -> None:
    """Protects predictions and sweeps: the mean of two directions lies between them, with length 1; a cell that is moved leaves
    the others their proportions."""
    info = NodeInfo("latent", "direction", (3,), (), (3,), "von_mises_fisher", "von_mises_fisher", "reparam", (), ())
    ends = torch.tensor([[[1.0, 0, 0]], [[0, 1.0, 0]]], dtype=torch.float64)
    mean, spread = mixture_belief(info, torch.full((2, 1), 0.5, dtype=torch.float64), ends, torch.zeros_like(ends))
    torch.testing.assert_close(mean[0], on_sphere(wide(1, 1, 0)))
    assert float(spread[0, 0]) == pytest.approx(math.sqrt(-2 * math.log(math.sqrt(0.5))))
    parameters = (wide(0, 0, 1), wide(4.0)[0])
    torch.testing.assert_close(mean_of("von_mises_fisher", parameters), wide(0, 0, 1))
    wanted = 1 - (1 / math.tanh(4) - 1 / 4)
    torch.testing.assert_close(variance_of("von_mises_fisher", parameters), wide(wanted, wanted, wanted))
    before = torch.tensor([[[0.6, 0.8, 0.0]]])
    moved = before.clone()
    moved[..., 2] = 0.5
    found = legal_again("direction", before, moved)
    torch.testing.assert_close(found[0, 0], torch.tensor([0.6 * math.sqrt(0.75), 0.8 * math.sqrt(0.75), 0.5]))
