"""Angles through training and questions: scores in degrees, beliefs that go round, sweeps, and data that are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.calibration import measures_of
from sgdsl.train.errors import DataError
from sgdsl.train.scored import constant, degrees_apart
from sgdsl.train.traverse import traverse
from tests.train.small import Fit

HEADINGS = """model headings "A heading t, known in some rows, and a phase behind readings of both."

observed   x : real[4]
observed   w : angle partial
supervised t : angle
latent     a : angle

p(t)        = VonMises
p(a)        = VonMises
p(x | t, a) = Normal(mlp(16))
p(w | t)    = VonMises(loc = t, concentration = learned)

train { epochs = 30, batch = 32, lr = 1e-2 }
"""
ANGLE = NodeInfo("supervised", "angle", (), (), (), "von_mises", "von_mises", "reparam", (), ())
DIRECTION = NodeInfo("given", "direction", (3,), (), (3,), "", "", "", (), ())


def headings(rows: int, labels: int, seed: int = 0) -> dict[str, Any]:
    """Readings of (cos, sin) of both, labels NaN behind the first ones, and half of w missing."""
    random = np.random.default_rng(seed)
    t, a = (random.uniform(-np.pi, np.pi, rows) for _ in range(2))
    x = np.stack([np.cos(t), np.sin(t), np.cos(a), np.sin(a)], 1) + random.normal(0, 0.1, (rows, 4))
    w = np.where(random.random(rows) < 0.5, np.nan, np.angle(np.exp(1j * (t + random.normal(0, 0.3, rows)))))
    known = np.where(np.arange(rows) < labels, t, np.nan)
    return {"x": x.astype(np.float32), "w": w, "t": known}


def test_a_heading_is_learned_from_few_labels(fitted: Fit) -> None:
    """Protects an angle in every pattern: labels of 40 rows of 256 put held-out headings within 15 degrees, where guessing is 90
    off; beliefs, samples and sweeps stay in (−π, π]."""
    run = fitted(headings(256, 40), text=HEADINGS, test=headings(120, 120, 1))
    score = run.evaluate(samples=2).scores["t"]
    assert score.kind == "degrees"
    assert score.value < 15
    rows = headings(64, 64, 2)
    mean, spread = run.posterior({"x": rows["x"], "w": rows["w"]})["t"]
    assert (np.abs(mean) <= np.pi + 1e-6).all()
    assert (spread > 0).all()
    assert np.degrees(np.abs(np.angle(np.exp(1j * (mean - rows["t"]))))).mean() < 15
    assert (np.abs(run.sample(50)["t"]) <= np.pi + 1e-6).all()
    points = traverse(run, "t", steps=8).points
    assert points.shape == (1, 8)
    assert np.allclose(np.diff(points[0]), np.pi / 4)
    assert points[0, -1] == pytest.approx(np.pi)
    assert run.diagnosis.nodes["t"].active == 1


LIGHTS = """model lights "Where the light comes from, known in some rows; q is made."
observed   x : real[4]
supervised l : direction(3)
latent     u : direction(2)
p(l)        = VonMisesFisher(learned)
p(u)        = VonMisesFisher([1, 0], 0.1)
p(x | l, u) = Normal(mlp(16))
q auto(mlp(16))
train { epochs = 30, batch = 32, lr = 1e-2 }
"""


def test_a_direction_is_learned_from_few_labels(fitted: Fit) -> None:
    """Protects directions in every pattern, with a made q: labels of 100 rows of 256 put held-out ones within 30 degrees, where
    guessing is 90 off; beliefs, samples and sweeps have length 1."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(3, 4))

    def rows(count: int, labels: int) -> dict[str, Any]:
        light = random.normal(size=(count, 3))
        light /= np.linalg.norm(light, axis=1, keepdims=True)
        x = light @ mix + random.normal(0, 0.1, (count, 4))
        return {"x": x.astype(np.float32), "l": np.where(np.arange(count)[:, None] < labels, light, np.nan)}

    held = rows(120, 120)
    run = fitted(rows(256, 100), text=LIGHTS, test=held)
    score = run.evaluate(samples=2).scores["l"]
    assert score.kind == "degrees"
    assert score.value < 30
    for found in (run.posterior({"x": held["x"]})["l"][0], run.sample(50)["l"], traverse(run, "l").values["l"]):
        assert np.allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(("turn", "hint"), [(np.degrees, "numpy.deg2rad"), (lambda t: t + 4, "numpy.angle")])
def test_what_is_no_angle_is_refused_with_a_way_out(fitted: Fit, turn: Any, hint: str) -> None:
    """Protects degrees and angles in [0, 2π) from being read as radians around 0."""
    data = headings(64, 64)
    with pytest.raises(DataError) as error:
        fitted({**data, "t": turn(data["t"])}, text=HEADINGS)
    (found,) = error.value.diagnostics
    assert found.code == "E0626"
    assert hint in found.hint


def test_degrees_apart_go_the_short_way() -> None:
    """Protects the measure: across ±π, opposite, and between vectors of any length."""
    guess, truth = torch.tensor([3.1, 0.0, 1.0]), torch.tensor([-3.1, math.pi, 1.0])
    wanted = torch.tensor([math.degrees(2 * (math.pi - 3.1)), 180.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(degrees_apart(ANGLE, guess, truth), wanted, atol=1e-4, rtol=0)
    vectors = torch.tensor([[2.0, 0, 0], [0, 0, 0.1]]), torch.tensor([[0, 1.0, 0], [0, 0, 1.0]])
    torch.testing.assert_close(degrees_apart(DIRECTION, *vectors), torch.tensor([90.0, 0.0], dtype=torch.float64))
    best = constant(ANGLE, torch.tensor([3.0, -3.0]))
    assert abs(float(best)) == pytest.approx(math.pi)


def test_coverage_of_an_angle() -> None:
    """Protects `within_0.5` and `within_0.9` of angles: errors of N(0, 0.3²) across ±π, said rightly, within 0.02."""
    random = np.random.default_rng(0)
    truth = np.angle(np.exp(1j * (3.1 + random.normal(0, 0.3, 10_000))))
    found = measures_of(ANGLE, (np.full(10_000, 3.1), np.full(10_000, 0.3)), truth)
    assert found["degrees"] == pytest.approx(math.degrees(0.3 * math.sqrt(2 / math.pi)), rel=0.02)
    assert found["within_0.5"] == pytest.approx(0.5, abs=0.02)
    assert found["within_0.9"] == pytest.approx(0.9, abs=0.02)
