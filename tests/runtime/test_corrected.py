"""Beliefs by importance weights on hand-written models whose posterior under p is known by enumeration or in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from sgdsl.runtime.corrected import corrected, effective_size
from tests.runtime.tables import P_CHAIN, P_ROOTS, Q_LABEL_FIRST, Q_LABEL_LAST, Graph, Tables, draws, marginal
from tests.runtime.test_ask import Gaussian, X, tables_data


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("p", [P_CHAIN, P_ROOTS], ids=["label below", "label root"])
@pytest.mark.parametrize("q", [Q_LABEL_LAST, Q_LABEL_FIRST], ids=["label last", "label first"])
@pytest.mark.parametrize("known", [False, True])
def test_beliefs_are_those_of_p(p: Graph, q: Graph, known: bool) -> None:
    """Protects the correction: p(y | x) and p(z | x, labels) by enumeration, which q does not have, within 0.03 (4 standard
    errors of a weighted share at 20,000 draws); a known label is certain."""
    model = Tables(p, q)
    values, masks = tables_data(2, 1, known)
    exact = model.joint("p", {"x": 2, **({"y": 1} if known else {})})
    for node in ("y", "z"):
        found = corrected(model, values, masks, node, draws(), 20_000)
        assert isinstance(found.belief, torch.Tensor)
        torch.testing.assert_close(found.belief[0].double(), marginal(exact, node), rtol=0, atol=0.03)
    if known:
        assert torch.equal(
            corrected(model, values, masks, "y", draws(), 5).belief[0].double(), torch.eye(3).double()[1]
        )  # type: ignore[union-attr]


def test_no_value_is_missed_that_q_never_draws() -> None:
    """Protects the values that are tried one by one: q puts e^-50 on the truth, and few draws find it all the same."""
    model = Tables(P_ROOTS, Q_LABEL_FIRST)
    model.tables["q", "y"] = torch.tensor([[50.0, 0.0, 0.0]] * 4, dtype=torch.float64)
    values, masks = tables_data(2, 1, False)
    belief = corrected(model, values, masks, "y", draws(), 4000).belief
    assert isinstance(belief, torch.Tensor)
    torch.testing.assert_close(belief[0].double(), marginal(model.joint("p", {"x": 2}), "y"), rtol=0, atol=0.05)


def test_moments_of_a_real_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects mean and standard deviation by weights: the closed posterior N(8 Σx / 33, 1/33) from a proposal twice as wide,
    within 2 % of a standard deviation (4 standard errors at 40,000 draws), where q's own deviation is 100 % off."""
    monkeypatch.setattr(Gaussian, "WIDER", 2.0)
    found = corrected(Gaussian(), {"x": X}, {}, "z", draws(), 40_000)
    scale = 1 / math.sqrt(33)
    mean, deviation = found.belief
    torch.testing.assert_close(mean, 8 * X[0].sum(-1) / 33, rtol=0, atol=0.03 * scale)
    torch.testing.assert_close(deviation, torch.full_like(mean, scale), rtol=0.03, atol=0)
    # E w² / (E w)² of N(0, 1) under N(0, 2²) is 4 / sqrt(7): the share of draws that count is its inverse
    share = effective_size(found.log_weights) / 40_000
    torch.testing.assert_close(share, torch.full_like(share, math.sqrt(7) / 4), rtol=0.02, atol=0)


def test_effective_size_has_its_bounds() -> None:
    """All draws alike: S; one with all the weight: 1; no weight at all: 0, not NaN."""
    rows = torch.stack(
        (torch.full((8,), -3.0), torch.tensor([0.0] + [-torch.inf] * 7), torch.full((8,), -torch.inf)), 1
    )
    torch.testing.assert_close(effective_size(rows), torch.tensor([8.0, 1.0, 0.0]))
