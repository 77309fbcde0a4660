"""How rows make a loss: ρ, α, the composition of a step, and that every row is read equally often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from sgdsl.train.composition import Composition, Schedule, compose
from sgdsl.train.errors import DataError
from sgdsl.train.settings import Settings, settings_of
from tests.train.small import TINY, codes, program


def settings(*overrides: str) -> Settings:
    return settings_of(program(TINY, *overrides))


def test_rho_and_alpha_follow_the_numbers_of_rows() -> None:
    """objective.md, section 1: ρ = γM/(N + γM), α = 1/ρ: the labels enter the loss as −mean log q(labels | x)."""
    made = compose(100, 7900, settings("train.batch=250"))
    assert made.rho == pytest.approx(100 / 8000)
    assert made.alpha == pytest.approx(1 / made.rho)
    assert compose(100, 7900, settings("objective.gamma=5")).rho == pytest.approx(500 / 8400)
    assert compose(100, 7900, settings("objective.supervision_rate=0.5")).rho == 0.5
    assert compose(100, 7900, settings("objective.alpha=3")).alpha == 3
    assert compose(100, 7900, settings("objective.alpha=0")).alpha == 0


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "overrides", "step"),
    [
        (100, 7900, ("train.batch=250", "train.labelled=50"), (200, 50)),
        (100, 7900, ("train.batch=256",), (253, 3)),
        (1, 7999, ("train.batch=256",), (255, 1)),
        (7000, 1000, ("train.batch=256",), (128, 128)),
        (0, 8000, ("train.batch=256", "train.labelled=50"), (256, 0)),
        (8000, 0, ("train.batch=256", "train.labelled=50"), (0, 256)),
        (3, 20, ("train.batch=256",), (20, 3)),
    ],
)
def test_a_step_is_composed_as_set_or_by_rho(
    labelled: int, unlabelled: int, overrides: tuple[str, ...], step: tuple[int, int]
) -> None:
    """Default ρ·batch, at least 1, at most half; no more rows than there are; all or none labelled need no setting."""
    made = compose(labelled, unlabelled, settings(*overrides))
    assert (made.unlabelled, made.labelled) == step


def test_all_or_none_labelled_have_rho_one_or_zero() -> None:
    everything, nothing = compose(80, 0, settings("objective.supervision_rate=0.3")), compose(0, 80, settings())
    assert (everything.rho, everything.alpha) == (1, 1)
    assert (nothing.rho, nothing.alpha) == (0, 0)
    assert everything.weights(torch.device("cpu")).sum() == pytest.approx(1)
    assert nothing.weights(torch.device("cpu")).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "overrides", [("train.batch=8", "train.labelled=8"), ("train.labelled=0",), ("train.batch=1",)]
)
def test_steps_that_never_see_a_kind_of_row_are_refused(overrides: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as error:
        compose(10, 90, settings(*overrides))
    assert codes(error) == ["E0636"]


@pytest.mark.parametrize("labelled", ["auto", "3", "9"])
def test_the_loss_is_unbiased_for_any_composition(labelled: str) -> None:
    """Over the rows of many steps, each labelled row has the weight ρ/M in the loss and each other row (1 − ρ)/N."""
    rows = np.arange(100)
    made = compose(12, 88, settings("train.batch=20", f"train.labelled={labelled}"))
    order = Schedule(made, rows[12:], rows[:12], 0)
    total, weights = torch.zeros(100), made.weights(torch.device("cpu"))
    epochs = 60
    for epoch in range(epochs):
        for index in order.epoch(epoch):
            total.index_add_(0, index, weights)
    mean = total / (epochs * made.steps)
    assert torch.allclose(mean[:12], torch.full((12,), made.rho / 12), rtol=0.05)
    assert torch.allclose(mean[12:], torch.full((88,), (1 - made.rho) / 88), rtol=0.05)


def test_each_kind_of_row_is_read_in_passes_of_its_own() -> None:
    """Rows of a kind differ by at most one in how often they were read, at any time; no step reads a row twice."""
    made = Composition(7, 3, 5, 0.1, 1.0)
    order = Schedule(made, np.arange(10, 47), np.arange(10), 3)
    counts: Counter[int] = Counter()
    for epoch in range(11):
        for index in order.epoch(epoch):
            counts.update(index.tolist())
            for kind in (range(10), range(10, 47)):
                seen = [counts[r] for r in kind]
                assert max(seen) - min(seen) <= 1
    assert next(len(set(i.tolist())) for i in order.epoch(0)) == 10


def test_unlabelled_rows_stand_first_and_the_order_is_a_function_of_the_seed() -> None:
    made = Composition(4, 2, 3, 0.5, 0.0)
    order = Schedule(made, np.arange(10, 30), np.arange(10), 3)
    index = order.epoch(5)
    assert index.shape == (3, 6)
    assert (index[:, :4] >= 10).all()
    assert (index[:, 4:] < 10).all()
    assert torch.equal(index, Schedule(made, np.arange(10, 30), np.arange(10), 3).epoch(5))
    assert not torch.equal(index, replace(order, seed=4).epoch(5))
    assert not torch.equal(index, order.epoch(6))


def test_an_epoch_is_about_one_pass_over_the_unlabelled_rows() -> None:
    assert compose(100, 7900, settings("train.batch=250", "train.labelled=50")).steps == 40
    assert compose(8000, 0, settings("train.batch=250")).steps == 32
    assert compose(0, 10, settings()).steps == 1
