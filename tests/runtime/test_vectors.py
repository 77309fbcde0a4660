"""Densities of vectors, Dirichlet and MultivariateNormal: against torch.distributions and quadrature; draws and their slopes."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributions as td
from torch import Tensor

from sgdsl.runtime.densities import dirichlet_log_prob, multivariate_normal_log_prob
from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.domains import lower, triangle
from sgdsl.runtime.sweep import legal_again
from tests.runtime.families import DTYPES, draws, made

MANY = 40_000
CONCENTRATIONS = ([0.4, 2.0, 7.0], [1.0, 1.0, 1.0], [0.05, 0.1, 30.0])
SHAPES = [((1, 5), (4, 5)), ((4, 5), (1, 5)), ((4, 5), (1, 1)), ((1, 5), (1, 5))]


def covariance(lead: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return triangle(made("real", (*lead, 6), dtype, 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("values", "parameters"), SHAPES)
@pytest.mark.parametrize("event", [1, 2])
def test_densities_are_torch_s(
    values: tuple[int, ...], parameters: tuple[int, ...], event: int, dtype: torch.dtype
) -> None:
    """Protects value and gradients, samples × rows on either side, one triangle for all, and several vectors in an event."""
    inner = (2,) * (event - 1)
    shares = made("real", (*values, *inner, 3), torch.float64, 1).softmax(-1).to(dtype)
    ours = made("positive", (*parameters, *inner, 3), dtype, 2).requires_grad_()
    place = made("real", (*values, *inner, 3), dtype, 1)
    loc, scale = made("real", (*parameters, *inner, 3), dtype, 4), covariance((*parameters, *inner), dtype)
    cases = (
        (dirichlet_log_prob(shares, ours, event=event), lambda c: td.Dirichlet(c).log_prob(shares.double()), (ours,)),
        (
            multivariate_normal_log_prob(place, loc.requires_grad_(), scale.requires_grad_(), event=event),
            lambda m, t: td.MultivariateNormal(m, scale_tril=t, validate_args=False).log_prob(place.double()),
            (loc, scale),
        ),
    )
    for found, reference, leaves in cases:
        theirs = [leaf.detach().double().requires_grad_() for leaf in leaves]
        expected = reference(*theirs)
        expected = expected.sum(-1) if event == 2 else expected
        torch.testing.assert_close(found.double(), expected, rtol=5 * DTYPES[dtype], atol=5 * DTYPES[dtype])
        for a, b in zip(
            torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(expected.sum(), theirs), strict=True
        ):
            b = b.tril() if a.shape[-1] == a.shape[-2] == 3 and a.dim() == 4 + event - 1 else b
            torch.testing.assert_close(a.double(), b, rtol=50 * DTYPES[dtype], atol=50 * DTYPES[dtype])


@pytest.mark.parametrize("concentration", [[1.5, 2.0, 1.2], [3.0, 8.0, 2.0]])
def test_a_dirichlet_integrates_to_one(concentration: list[float]) -> None:
    """Protects the normaliser without a reference: midpoints of a grid on the triangle, error of the rule below 1e-3."""
    n = 1200
    a, b = torch.meshgrid(*[(torch.arange(n, dtype=torch.float64) + 0.5) / n] * 2, indexing="ij")
    inside = a + b < 1
    value = torch.stack((a[inside], b[inside], 1 - a[inside] - b[inside]), -1)
    density = dirichlet_log_prob(value, torch.tensor(concentration, dtype=torch.float64), event=1).exp()
    assert float(density.sum()) / n**2 == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("c", CONCENTRATIONS)
def test_shares_have_their_moments(c: list[float], dtype: torch.dtype) -> None:
    """Protects the sampler, small concentrations among them: 40,000 draws sum to 1, means within 4 standard errors, variances
    within 10 %; never 0."""
    concentration = torch.tensor(c, dtype=dtype)
    drawn = draws().dirichlet((MANY, 3), concentration)
    assert drawn.dtype == dtype
    assert (drawn > 0).all()
    torch.testing.assert_close(drawn.sum(-1), torch.ones(MANY, dtype=dtype))
    mean, variance = (m("dirichlet", (concentration.double(),)) for m in (mean_of, variance_of))
    reference = td.Dirichlet(concentration.double())
    torch.testing.assert_close(mean, reference.mean)
    torch.testing.assert_close(variance, reference.variance)
    assert ((drawn.double().mean(0) - mean).abs() < 4 * (variance / MANY).sqrt()).all()
    torch.testing.assert_close(drawn.double().var(0), variance, rtol=0.1, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vectors_have_their_covariance(dtype: torch.dtype) -> None:
    """Protects L against L transposed: the covariance of 40,000 draws is L Lᵀ within 4 standard errors of each entry."""
    scale = torch.tensor([[1.0, 0, 0], [0.8, 0.5, 0], [-2.0, 0.3, 0.1]], dtype=dtype)
    loc = torch.tensor([1.0, -3.0, 0.0], dtype=dtype)
    drawn = draws().multivariate_normal((MANY, 3), loc, scale).double()
    wanted = (scale @ scale.mT).double()
    error = ((wanted.square() + wanted.diagonal()[:, None] * wanted.diagonal()) / MANY).sqrt()
    assert ((drawn.t().cov() - wanted).abs() < 4 * error).all()
    assert ((drawn.mean(0) - loc).abs() < 4 * (wanted.diagonal() / MANY).sqrt()).all()
    torch.testing.assert_close(variance_of("multivariate_normal", (loc, scale)).double(), wanted.diagonal())


@pytest.mark.parametrize("c", CONCENTRATIONS[:2])
def test_gradients_through_shares(c: list[float]) -> None:
    """Protects implicit gradients: d/dc of E[(1, 2, −3) · share + share₁²] against the moments' own, within 4 standard errors (40
    parts)."""
    leaf = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    mean, variance = mean_of("dirichlet", (leaf,)), variance_of("dirichlet", (leaf,))
    wanted = torch.autograd.grad(mean @ weight + variance[0] + mean[0].square(), leaf)[0]
    drawn = draws(3).dirichlet((MANY, 3), leaf)
    parts = (drawn @ weight + drawn[:, 0].square()).chunk(40)
    found = torch.stack([torch.autograd.grad(p.mean(), leaf, retain_graph=True)[0] for p in parts])
    assert ((found.mean(0) - wanted).abs() < 4 * found.std(0) / math.sqrt(40)).all()


def test_gradients_through_vectors() -> None:
    """Protects reparam: with the same noise, d/dL of the mean of a quadratic is that by differences to 1e-6."""
    raw = torch.tensor([0.2, -0.4, 1.0, 0.3, 0.1, -0.5], dtype=torch.float64, requires_grad=True)

    def total(entries: Tensor) -> Tensor:
        drawn = draws(5).multivariate_normal((200, 3), torch.zeros(3, dtype=torch.float64), triangle(entries))
        return (drawn[:, 0] * drawn[:, 2] + drawn[:, 1].square()).mean()

    assert torch.autograd.gradcheck(total, raw)


def test_triangles() -> None:
    """Protects the domain: entries row by row, a positive diagonal with its floor, nothing above; of a value likewise."""
    found = triangle(torch.tensor([-80.0, 5.0, -80.0, 6.0, 7.0, 0.0]), 0.01)
    assert found.tril().equal(found)
    torch.testing.assert_close(found.diagonal(), torch.tensor([0.01, 0.01, math.log(2) + 0.01]))
    assert (found[1, 0], found[2, 0], found[2, 1]) == (5, 6, 7)
    given = lower(torch.tensor([[1.0, 9.0], [2.0, -3.0]]))
    torch.testing.assert_close(given, torch.tensor([[1.0, 0.0], [2.0, 1e-4]]))


def test_a_share_that_is_moved_leaves_the_rest() -> None:
    """Protects sweeps of a simplex: the others keep their proportions, and all sum to 1, also where they had nothing."""
    before = torch.tensor([[[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]])
    moved = before.clone()
    moved[..., 0] = 0.6
    found = legal_again("simplex", before, moved)
    torch.testing.assert_close(found, torch.tensor([[[0.6, 0.15, 0.25], [0.6, 0.2, 0.2]]]))
    assert legal_again("real", before, moved) is moved
