"""The learning rate over a run, the average of the weights, and what an epoch's record says."""

from __future__ import annotations

import itertools

import pytest
import torch

from sgdsl.runtime.batch import Step, Term
from sgdsl.train.meter import Meter, divergences, is_look, patterns
from sgdsl.train.schedule import Average, factor, make_optimizer
from sgdsl.train.settings import Train, settings_of
from tests.train.small import TINY, program


def train(*overrides: str) -> Train:
    return settings_of(program(TINY, *overrides)).train


def test_warm_up_then_constant_then_a_line_to_one_percent() -> None:
    """The schedule of the quick start: rise over 50 steps, constant, fall over the last 40 %."""
    setting = train("train.schedule=linear", "train.warmup=50", "train.decay=0.4")
    rates = [factor(step, 1000, setting) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50)
    assert rates[49:600] == [pytest.approx(1)] * 551
    assert rates[799] == pytest.approx((1 + 0.01) / 2)
    assert rates[999] == pytest.approx(0.01)
    assert all(a > b for a, b in itertools.pairwise(rates[600:]))


def test_cosine_and_constant() -> None:
    cosine = train("train.schedule=cosine")
    assert factor(499, 1000, cosine) == pytest.approx(0.505)
    assert factor(999, 1000, cosine) == pytest.approx(0.01)
    assert [factor(s, 10, train("train.decay=0.5")) for s in range(10)] == [1.0] * 10


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimisers_take_their_settings(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    setting = train(f"train.optimizer={name}", "train.lr=0.1", "train.weight_decay=0.5")
    optimizer = make_optimizer([weight], setting)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.param_groups[0]["weight_decay"] == 0.5
    assert optimizer.param_groups[0]["fused"]
    weight.grad = torch.ones(3)
    optimizer.step()
    assert (weight < 1).all()


def test_the_average_forgets_the_initial_weights_and_ends_at_its_decay() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    average = Average([weight], 0.9)
    weight.data.fill_(1.0)
    expected = 0.0
    for step in range(200):
        average.update(step)
        expected += (1 - min(0.9, (1 + step) / (10 + step))) * (1 - expected)
        assert average.weights[0].item() == pytest.approx(expected, abs=1e-5)
    assert average.weights[0].item() > 0.999


def test_patterns_of_known_labels() -> None:
    known = {"a": torch.tensor([1, 0, 1, 0], dtype=torch.bool), "b": torch.tensor([1, 0, 0, 0], dtype=torch.bool)}
    assert {name: mask.tolist() for name, mask in patterns(known)} == {
        "none": [False, True, False, True], "a": [False, False, True, False], "a, b": [True, False, False, False],
    }  # fmt: skip


def test_the_labelled_bound_is_shown_without_the_extra_weight_of_the_labels() -> None:
    """bound + α log q(labels | x) goes into the objective; the record takes α log q off again."""
    log_w = torch.tensor([[0.0, -2.0]])
    step = Step(torch.tensor([-5.0, -7.0 + 3 * -2.0]), torch.zeros(2), log_w, {})
    meter = Meter(torch.zeros(2))
    meter.add(step, torch.eye(2), 3.0)
    assert meter.summary(True, True)["bound"] == {"unlabelled": -5.0, "labelled": -7.0}


def test_effective_sample_sizes_are_kept_by_pattern() -> None:
    log_w = torch.tensor([[0.0, 0.0], [0.0, -50.0]])
    step = Step(torch.zeros(2), torch.zeros(2), log_w, {"p(x | z)": Term(torch.tensor([[-1.0, -3.0]]), None, None)})
    meter = Meter(torch.zeros(2))

    class Rows:
        known = {"y": torch.tensor([False, True])}  # noqa: RUF012
        rows = 2

    meter.look(step, Rows())  # type: ignore[arg-type]
    found = meter.summary(True, True)
    assert found["ess"] == {"none": pytest.approx(2), "y": pytest.approx(1)}
    assert found["terms"] == {"p(x | z)": -2.0}


def test_divergences_are_log_q_minus_log_p() -> None:
    assert divergences({"p(z)": -3.0, "q(z | x)": -1.0, "p(x | z)": -9.0}) == {"z": 2.0}


def test_a_few_steps_of_an_epoch_are_looked_at_the_last_among_them() -> None:
    for steps in (1, 3, 4, 40, 41):
        looks = [s for s in range(steps) if is_look(s, steps)]
        assert 1 <= len(looks) <= 4
        assert looks[-1] == steps - 1
