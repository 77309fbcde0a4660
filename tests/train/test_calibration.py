"""Errors and calibration of beliefs whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.calibration import measures_of

THREE = NodeInfo("supervised", "range", (2, 4), (), (), "categorical", "categorical", "", (), ())
REAL = NodeInfo("supervised", "real", (), (2,), (2,), "normal", "normal", "", (), ())


def beliefs(confidence: float, rows: int) -> np.ndarray:
    """The first value at `confidence`, the others alike."""
    return np.tile([confidence, (1 - confidence) / 2, (1 - confidence) / 2], (rows, 1))


def test_by_hand() -> None:
    """Protects each number: 7 of 10 right at confidence 0.9 is an error of 0.3 and an ECE of 0.2; values count from 2."""
    truth = np.array([2] * 7 + [3] * 2 + [4])
    found = measures_of(THREE, beliefs(0.9, 10), truth)
    assert found["error"] == pytest.approx(0.3)
    assert found["ece"] == pytest.approx(0.2)
    assert found["log_loss"] == pytest.approx(-(0.7 * np.log(0.9) + 0.3 * np.log(0.05)))
    assert found["confusion"] == [[7, 0, 0], [2, 0, 0], [1, 0, 0]]
    (row,) = found["reliability"]
    assert (row["cells"], row["confidence"], row["accuracy"]) == (10, pytest.approx(0.9), pytest.approx(0.7))
    assert row["from"] < 0.9 <= row["to"]


def test_honest_beliefs_are_calibrated() -> None:
    """Truth drawn from the beliefs themselves: ECE under 0.02 at 20,000 rows (its bias is about √(2/π · bins · 0.16/n) = 0.01);
    the same truth against beliefs sharpened by squares is far off."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 20_000)
    truth = (rng.random((20_000, 1)) > p.cumsum(1)).sum(1) + 2
    sharp = p**2 / (p**2).sum(1, keepdims=True)
    assert measures_of(THREE, p, truth)["ece"] < 0.02
    assert measures_of(THREE, sharp, truth)["ece"] > 0.08
    assert measures_of(THREE, p, truth)["log_loss"] < measures_of(THREE, sharp, truth)["log_loss"]


def test_of_real_nodes() -> None:
    """rmse, r² and coverage in closed form: errors of N(0, 0.5²) about a truth of N(0, 1), the deviation said right, within 4
    standard errors at 40,000 cells; r² = 1 − 0.25."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20_000, 2))
    mean = truth + 0.5 * rng.normal(size=truth.shape)
    found = measures_of(REAL, (mean, np.full_like(mean, 0.5)), truth)
    assert found["rmse"] == pytest.approx(0.5, abs=0.01)
    assert found["mae"] == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.01)
    assert found["r2"] == pytest.approx(0.75, abs=0.01)
    assert found["within_0.5"] == pytest.approx(0.5, abs=0.01)
    assert found["within_0.9"] == pytest.approx(0.9, abs=0.006)
