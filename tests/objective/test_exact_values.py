"""The exact values of docs/objective.md, section 7: two small models whose every number is known, as .sgm files."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import Batch, make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

MODELS = Path(__file__).parent / "models"
SEEDS = {"p_x": 1, "p_y": 2, "p_z": 3, "q_y": 101, "q_z": 102}
DRAWN = ("q(z | x)    = Categorical(table)", "q(z | x)    = Categorical(table) by score")


class Replay(Draws):
    """Gives back draws that were fixed beforehand, [S, rows]."""

    def __init__(self, outcomes: Tensor) -> None:
        super().__init__(torch.Generator())
        self.outcomes = outcomes

    def categorical(self, size: tuple[int, ...], logits: Tensor) -> Tensor:
        assert size == tuple(self.outcomes.shape)
        return self.outcomes


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def model_of(name: str, *overrides: str, by_score: bool = False) -> Any:
    text = (MODELS / f"{name}.sgm").read_text()
    if by_score:
        assert DRAWN[0] in text
        text = text.replace(*DRAWN)
    model = load(driver.compile_source(Source(f"{name}.sgm", text), overrides).text, f"exact_{name}").Model().double()
    state = model.state_dict()
    for key, value in state.items():
        index = torch.arange(1, value.numel() + 1, dtype=torch.float64)
        state[key] = (2 * torch.sin(12.9898 * index + 78.233 * SEEDS[key[:3]])).reshape(value.shape)
    model.load_state_dict(state)
    model.alpha = 0.5
    return model


def rows(model: Any, count: int, known: bool) -> Batch:
    """`count` rows with x = 2 and the label 1, known or not."""
    values = {"x": torch.full((count,), 2), "y": torch.ones(count, dtype=torch.int64)}
    return make_batch(model, values, {"y": torch.full((count,), known)})


@pytest.mark.parametrize(
    ("name", "known", "log_q", "bound", "clamped"),
    [
        ("label_first", False, 0.0, -2.345308351, -2.345308351),
        ("label_first", True, -1.154984836, -4.709659641, -4.709659641),
        ("label_last", False, 0.0, -3.180895595, -3.180895595),
        ("label_last", True, -1.227530876, -3.340166705, -3.312165785),
    ],
)
def test_values_with_every_latent_enumerated(
    name: str, known: bool, log_q: float, bound: float, clamped: float
) -> None:
    """L and log q(label | x) are exact where nothing is drawn: a label before and after the latent, known and not."""
    model = model_of(name)
    step = model(rows(model, 1, known), Draws(torch.Generator()))
    assert step.bound.item() == pytest.approx(bound, abs=1e-9)
    assert step.log_w.item() == pytest.approx(log_q, abs=1e-9)
    model = model_of(name, "objective.bound=clamped")
    assert model(rows(model, 1, known), Draws(torch.Generator())).bound.item() == pytest.approx(clamped, abs=1e-9)


def every_outcome(model: Any, samples: int) -> tuple[Tensor, Tensor]:
    """All joint draws of z, [S, outcomes], and their log-probabilities under q(z | x = 2)."""
    outcomes = torch.tensor(list(itertools.product(range(5), repeat=samples))).T
    log_q = model.q_z.table.logits[2].log_softmax(-1)
    return outcomes, log_q[outcomes].sum(0)


ESTIMATORS = {
    "snis": ("objective.bound=snis",),
    "jensen": ("objective.marginal=jensen",),
    "iw": ("objective.bound=iw",),
    "clamped": ("objective.bound=clamped",),
}
EXPECTED = {
    ("snis", 2): -3.325745555, ("jensen", 2): -3.331423462, ("iw", 2): -3.290391460, ("clamped", 2): -3.312165785,
    ("snis", 6): -3.335310279, ("jensen", 6): -3.344951351, ("iw", 6): -3.278991028, ("clamped", 6): -3.312165785,
}  # fmt: skip


@pytest.mark.parametrize(("bound", "samples"), EXPECTED)
def test_expectations_over_all_draws(bound: str, samples: int) -> None:
    """Each estimator's expectation at S = 2 and 6, by running the emitted step on every outcome of its draws."""
    model = model_of("label_last", *ESTIMATORS[bound], by_score=True)
    model.samples = samples
    outcomes, log_prob = every_outcome(model, samples)
    step = model(rows(model, outcomes.shape[1], True), Replay(outcomes))
    expectation = (log_prob.exp() * step.bound).sum().item()
    assert expectation == pytest.approx(EXPECTED[bound, samples], abs=1e-9)


@pytest.mark.parametrize("bound", ESTIMATORS)
@pytest.mark.parametrize("samples", [2, 3])
@pytest.mark.parametrize("known", [True, False])
def test_the_score_gradient_is_exactly_unbiased(bound: str, samples: int, known: bool) -> None:
    """E[∇ objective] over all draws is the gradient of E[bound], for every bound, to 1e-10: the leave-one-out surrogate."""
    model = model_of("label_last", *ESTIMATORS[bound], by_score=True)
    model.samples = samples
    outcomes, log_prob = every_outcome(model, samples)
    step = model(rows(model, outcomes.shape[1], known), Replay(outcomes))
    weights = list(model.parameters())
    expected = torch.autograd.grad((log_prob.exp() * step.bound).sum(), weights, retain_graph=True)
    found = torch.autograd.grad((log_prob.exp().detach() * step.objective).sum(), weights)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-10, rtol=0)


def test_bounds_are_ordered_draw_by_draw_and_below_the_target() -> None:
    """jensen ≤ snis ≤ iw for every draw, and in expectation below log p(x, y) + α log q(y | x)."""
    found = {}
    for bound, overrides in ESTIMATORS.items():
        model = model_of("label_last", *overrides, by_score=True)
        model.samples = 3
        outcomes, log_prob = every_outcome(model, 3)
        found[bound] = model(rows(model, outcomes.shape[1], True), Replay(outcomes)).bound
        ceiling = -2.660277514 + 0.5 * -1.227530876
        assert (log_prob.exp() * found[bound]).sum().item() < ceiling
    assert (found["jensen"] <= found["snis"] + 1e-12).all()
    assert (found["snis"] <= found["iw"] + 1e-12).all()


def test_an_unknown_label_has_no_influence_to_the_bit() -> None:
    """What stands where a label is missing is replaced before anything reads it."""
    model = model_of("label_last")
    bounds = []
    for dummy in (0, 2):
        values = {"x": torch.tensor([2]), "y": torch.tensor([dummy])}
        batch = make_batch(model, values, {"y": torch.tensor([False])})
        bounds.append(model(batch, Draws(torch.Generator())).bound)
    assert torch.equal(*bounds)
    assert math.isfinite(bounds[0].item())


def test_a_row_pays_for_the_values_it_does_not_know() -> None:
    """One entry a known label, as many as it has values where unknown: no branch, no mask over classes."""
    model = model_of("label_first")
    batch = make_batch(
        model,
        {"x": torch.tensor([2, 1, 0]), "y": torch.tensor([1, 0, 2])},
        {"y": torch.tensor([True, False, True])},
    )
    assert batch.levels["y"].entries == 1 + 3 + 1
    assert batch.levels["y z"].entries == 5 * (1 + 3 + 1)
