"""The Pareto diagnosis on samples whose tail is known."""

from __future__ import annotations

import math

import pytest
import torch

from sgdsl.runtime.pareto import fit_shape, pareto_k, trusted


def generalised_pareto(k: float, rows: int, n: int, seed: int = 0) -> torch.Tensor:
    """Sorted samples [rows, n] of shape k and scale 1, by inversion."""
    u = torch.rand(rows, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (((1 - u) ** -k - 1) / k).sort(1).values


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.5, 0.9, 1.5])
def test_shape_of_pareto_samples(k: float) -> None:
    """Protects the fit: the mean of 200 fits to 2,000 samples of a known shape, within 0.02 (the standard error of one fit is
    about (1 + k)/√n, of the mean under 0.005; its prior moves it by 10/2,010 of the way to 1/2)."""
    found = fit_shape(generalised_pareto(k, 200, 2000))
    assert float(found.mean()) == pytest.approx(k, abs=0.02)


@pytest.mark.parametrize("k", [0.3, 0.8])
def test_shape_of_weights(k: float) -> None:
    """Protects the choice of the tail and its scale: weights u^-k have a tail of shape k, whatever factor stands before them."""
    u = torch.rand(20_000, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = pareto_k(-k * u.log() - 700.0)
    assert float(found.mean()) == pytest.approx(k, abs=0.03)


def test_gaussian_weights_have_the_shape_of_theory() -> None:
    """Protects what the number says: p = N(0, 1) by draws of N(0, s²) has weights with finite moments up to
    1 / (1 − s²): k tends to 1 − s² slowly (a log factor), so that a too narrow q is told from a too wide one."""
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(4000, 50, generator=generator, dtype=torch.float64)

    def k_of(scale: float) -> float:
        return float(pareto_k(-((scale * z) ** 2) / 2 + z**2 / 2).mean())

    assert k_of(0.5) == pytest.approx(0.75, abs=0.15)
    assert k_of(2.0) < 0.2 < k_of(0.6)


def test_edges() -> None:
    """Too few draws, no weight at all, equal weights: numbers that say so, never NaN."""
    assert torch.isinf(pareto_k(torch.zeros(20, 3))).all()
    rows = torch.stack((torch.full((100,), -torch.inf), torch.zeros(100)), 1)
    found = pareto_k(rows)
    assert math.isinf(float(found[0]))
    assert float(found[1]) < 0.2
    assert trusted(1_000_000) == 0.7
    assert trusted(100) == pytest.approx(0.5)
