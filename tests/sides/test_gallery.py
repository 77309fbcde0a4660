"""models/vade.sgm and models/mvae.sgm: short, and they train on arrays with missing cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sgdsl
from sgdsl.train.data import mnist
from tests.train.small import records

MODELS = Path(__file__).parents[2] / "models"
ROWS = 400


def digits() -> dict[str, Any]:
    fields = mnist().fields
    return {"x": fields["x"].values[:ROWS], "y": fields["y"].values[:ROWS]}


def half_missing() -> dict[str, Any]:
    """A third of the images and a third of the digits missing, and the upper half of some images."""
    data, random = digits(), np.random.default_rng(11)
    image, digit = data["x"].astype(float), data["y"].astype(float)
    image[random.random(ROWS) < 0.33] = np.nan
    digit[random.random(ROWS) < 0.33] = np.nan
    image[::10, :14] = np.nan
    return {"x": image, "y": digit}


@pytest.mark.parametrize("name", ["vade", "mvae"])
def test_at_most_twenty_lines(name: str) -> None:
    """The bar of the language: the paper's model on one screen."""
    assert len((MODELS / f"{name}.sgm").read_text().splitlines()) <= 20


@pytest.mark.parametrize(("name", "data"), [("vade", digits), ("mvae", half_missing)])
def test_training_improves_the_bound(name: str, data: Any, tmp_path: Path) -> None:
    """Five epochs of 400 digits: the bound rises by more than 100 nats a row, and every number on the way is finite."""
    run = sgdsl.fit(MODELS / f"{name}.sgm", data(), out=tmp_path / "run", epochs=5, batch=40)
    bounds = [r["bound"]["unlabelled"] for r in records(run)]
    assert np.isfinite(bounds).all()
    assert bounds[-1] > bounds[0] + 100


def test_one_modality_from_the_other(tmp_path: Path) -> None:
    """After training with missing modalities, a digit alone gives a belief about the code, another digit another one; two
    experts and the prior are surer than one and the prior, in the mean over rows."""
    data = half_missing()
    run = sgdsl.fit(MODELS / "mvae.sgm", data, out=tmp_path / "run", epochs=5, batch=40)
    mean = run.posterior(digit=np.array([3, 8]))["z"][0]
    assert not np.allclose(mean[0], mean[1], atol=1e-3)
    both = run.posterior(image=digits()["x"][:50], digit=digits()["y"][:50])["z"][1]
    alone = run.posterior(digit=digits()["y"][:50])["z"][1]
    assert both.mean() < alone.mean() < 1
