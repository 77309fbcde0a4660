"""Missing cells filled in, on a linear Gaussian model whose conditional distributions are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from sgdsl.runtime.fill import fill
from tests.runtime.tables import draws
from tests.runtime.test_ask import Gaussian


class Gaps(Gaussian):
    """z ~ N(0, 1), x_i | z ~ N(2 z, 0.5) twice, each cell may be missing; q(z | x) is wider than any posterior."""

    NODES = {**Gaussian.NODES, "x": replace(Gaussian.NODES["x"], partial=True)}  # noqa: RUF012

    def parameters_q(self, node: str, v: object) -> tuple[object, ...]:  # type: ignore[override]
        return (v["z"], 0.1) if node == "u" else (0.0, 1.5)  # type: ignore[index]


def test_conditional_of_a_missing_cell() -> None:
    """Protects weights, means and total variance: x₂ | x₁ = 1 is N(4 / 4.25, 4.25 − 16 / 4.25), a row without gaps keeps its own,
    one without any cell has the prior's N(0, 4.25); within 4 standard errors at 100,000 draws."""
    x = torch.tensor([[[1.0, math.nan], [0.3, 0.9], [math.nan, math.nan]]], dtype=torch.float64)
    with torch.no_grad():
        found = fill(Gaps(), {"x": x}, {}, draws(), 100_000)
    mean, deviation = found.beliefs["x"]
    assert found.present["x"].tolist() == [[True, False], [True, True], [False, False]]
    assert float(mean[0, 1]) == pytest.approx(4 / 4.25, abs=0.02)
    assert float(deviation[0, 1]) == pytest.approx(math.sqrt(4.25 - 16 / 4.25), abs=0.02)
    assert float(mean[2, 0]) == pytest.approx(0, abs=0.03)
    assert float(deviation[2, 1]) == pytest.approx(math.sqrt(4.25), abs=0.03)
