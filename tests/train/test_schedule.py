"""The learning rate over a run and the average of the weights."""

from __future__ import annotations

import itertools

import pytest
import torch

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
