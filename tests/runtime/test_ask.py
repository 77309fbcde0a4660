"""Beliefs and log-probabilities on hand-written models whose exact answers are known by enumeration or in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.queries import Parameters, Queries, Values
from tests.runtime.tables import P_CHAIN, Q_LABEL_FIRST, Q_LABEL_LAST, SIZES, Graph, Tables, draws, marginal


def tables_data(x: int, y: int, known: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    values = {"x": torch.tensor([[x]]), "y": torch.tensor([[y + Tables.FIRST]])}
    return values, {"y": torch.tensor([known])}


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield


# --- posterior -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [Q_LABEL_LAST, Q_LABEL_FIRST], ids=["label last", "label first"])
@pytest.mark.parametrize("known", [False, True])
def test_posterior_is_q_given_the_labels(q: Graph, known: bool) -> None:
    """Protects beliefs: with 40,000 draws q(· | x, labels) by enumeration within 0.02 (4 standard errors of a weighted
    share), also of a latent that the label follows, whose draws the weights depend on."""
    model = Tables(P_CHAIN, q)
    values, masks = tables_data(2, 1, known)
    found = ask.posterior(model, values, masks, draws(), 40_000)
    exact = model.joint("q", {"x": 2, **({"y": 1} if known else {})})
    for node in ("y", "z"):
        belief = found[node]
        assert isinstance(belief, Tensor)
        assert belief.shape == (1, SIZES[node])
        torch.testing.assert_close(belief[0], marginal(exact, node), rtol=0, atol=0.02)
    if known:
        assert torch.equal(found["y"], torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64))


def test_posterior_without_drawn_parents_is_exact() -> None:
    """Protects the label of M2: one draw gives q(y | x) itself, not a one-hot."""
    model = Tables(P_CHAIN, Q_LABEL_FIRST)
    found = ask.posterior(model, *tables_data(3, 0, False), draws(), 1)
    torch.testing.assert_close(found["y"], model.tables["q", "y"][3].softmax(-1)[None])


def test_rows_are_apart() -> None:
    """Protects rows with and without a label in one question from each other."""
    model = Tables(P_CHAIN, Q_LABEL_LAST)
    values = {"x": torch.tensor([[2, 2, 0]]), "y": torch.tensor([[3, 3, 4]])}
    found = ask.posterior(model, values, {"y": torch.tensor([True, False, True])}, draws(), 40_000)
    for row, held in enumerate(({"x": 2, "y": 1}, {"x": 2}, {"x": 0, "y": 2})):
        for node in ("y", "z"):
            belief = found[node]
            assert isinstance(belief, Tensor)
            torch.testing.assert_close(belief[row], marginal(model.joint("q", held), node), rtol=0, atol=0.02)


class Gaussian(Queries):
    """z ~ N(0, 1), x | z ~ N(2 z, 0.5) twice; q(z | x) exact, or wider; u | z ~ N(z, 0.1) in q, its copy in p."""

    WIDER = 1.0
    NODES: ClassVar[Mapping[str, NodeInfo]] = {
        "z": NodeInfo("latent", "real", (), (), (), "normal", "normal", "reparam", (), ("x",)),
        "u": NodeInfo("latent", "real", (), (), (), "normal", "normal", "reparam", ("z",), ("z",)),
        "x": NodeInfo("observed", "real", (), (2,), (2,), "normal", "", "", ("z",), ()),
    }
    ORDER_P = ("z", "u", "x")
    ORDER_Q = ("z", "u")

    def parameters_p(self, node: str, v: Values) -> Parameters:
        return {"z": (0.0, 1.0), "u": (v.get("z", 0.0), 0.1), "x": (2 * v["z"][..., None] if "z" in v else 0.0, 0.5)}[
            node
        ]

    def parameters_q(self, node: str, v: Values) -> Parameters:
        if node == "u":
            return v["z"], 0.1
        precision = 1 + 2 * 4 / 0.25
        return 2 / 0.25 * v["x"].sum(-1) / precision, self.WIDER / math.sqrt(precision)


X = torch.tensor([[[0.3, 0.9], [-2.0, -2.2]]], dtype=torch.float64)


def test_posterior_moments_by_total_variance() -> None:
    """Protects mean and standard deviation: exact from one draw where the parents are not drawn; below a draw the two
    variances add up, within 2 % at 40,000 draws."""
    model = Gaussian()
    one = ask.posterior(model, {"x": X}, {}, draws(), 1)
    loc, scale = 8 * X[0].sum(-1) / 33, 1 / math.sqrt(33)
    torch.testing.assert_close(one["z"], (loc, torch.full_like(loc, scale)))
    mean, deviation = ask.posterior(model, {"x": X}, {}, draws(), 40_000)["u"]
    torch.testing.assert_close(mean, loc, rtol=0, atol=4 * scale / 200)
    torch.testing.assert_close(deviation, torch.full_like(loc, math.sqrt(scale**2 + 0.01)), rtol=0.02, atol=0)


# --- log_prob --------------------------------------------------------------------------------------------------


def gaussian_log_prob(x: Tensor) -> Tensor:
    covariance = 4 * torch.ones(2, 2, dtype=x.dtype) + 0.25 * torch.eye(2, dtype=x.dtype)
    return torch.distributions.MultivariateNormal(torch.zeros(2, dtype=x.dtype), covariance).log_prob(x)


def test_log_prob_of_the_exact_proposal_is_exact() -> None:
    """Protects log p − log r: with q the true posterior one draw gives log p(x), a closed form, to 1e-10."""
    torch.testing.assert_close(ask.log_prob(Gaussian(), {"x": X}, {}, draws(), 1), gaussian_log_prob(X[0]))


def test_log_prob_converges_and_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the estimator with a wider proposal: below the exact value in the mean, within 0.02 at 20,000 draws, also
    when draws are made some at a time."""
    monkeypatch.setattr(Gaussian, "WIDER", 2.0)
    exact = gaussian_log_prob(X[0])
    few = torch.stack([ask.log_prob(Gaussian(), {"x": X}, {}, draws(s), 2) for s in range(200)]).mean(0)
    assert (few < exact).all()
    torch.testing.assert_close(ask.log_prob(Gaussian(), {"x": X}, {}, draws(), 20_000), exact, rtol=0, atol=0.02)
    monkeypatch.setattr(ask, "ENTRIES", 2 * 300)
    torch.testing.assert_close(ask.log_prob(Gaussian(), {"x": X}, {}, draws(), 20_000), exact, rtol=0, atol=0.02)


@pytest.mark.parametrize("q", [Q_LABEL_LAST, Q_LABEL_FIRST], ids=["label last", "label first"])
@pytest.mark.parametrize("known", [False, True])
def test_log_prob_of_tables(q: Graph, known: bool) -> None:
    """Protects labels among the data: log p(x) or log p(x, y) by enumeration, within 4 standard errors at 20,000 draws
    (the error by enumeration too: 0.02 to 0.05)."""
    model, n = Tables(P_CHAIN, q), 20_000
    joint = model.joint("p", {"x": 2, **({"y": 1} if known else {})})
    exact = sum(joint.values())
    drawn = ("z",) if known else ("z", "y")
    second = sum(p**2 / model.mass("q", dict(zip(SIZES, full, strict=True)), drawn) for full, p in joint.items())
    error = math.sqrt((second - exact**2) / n) / exact
    assert error < 0.05
    found = ask.log_prob(model, *tables_data(2, 1, known), draws(), n)
    assert float(found) == pytest.approx(math.log(exact), abs=4 * error)
