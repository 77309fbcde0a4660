"""`python -m benchmarks paper`: cells are measured once, methods are judged on the same rows, the page shows what was kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra `bench`")

from benchmarks.paper import judging
from benchmarks.paper.cells import EXPERIMENTS, Kept, cells
from benchmarks.paper.tables import markdown, values
from benchmarks.paper.training import by_labels_alone, compiled, started, whole

ROOT = Path(__file__).parents[2]
MODEL = """model bars
observed   x : unit[1, 6, 6]
supervised y : class(3)
supervised light : real[3]
latent     z : real[2]
p(y)     = Categorical
p(light) = Normal
p(z)     = Normal
p(x | y, light, z) = Normal(loc = mlp(32), scale = 0.1)
q(z | x)    = Normal(mlp(32))
q(y | x, z) = Categorical(mlp(32))
q(light | x, z) = Normal(mlp(32))
data npz(file = "bars.npz", labels = 60)
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three patterns, each as bright as its light says: told apart by anything that works."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(400) % 3
    light = rng.normal([0, 0, 2], 1, (400, 3))
    light /= np.linalg.norm(light, axis=1, keepdims=True)
    x = rng.normal(60, 8, (400, 1, 6, 6))
    x[:, 0, 0, :3] += 60 * light
    for row, kind in zip(x, y, strict=True):
        row[0, 2 * kind : 2 * kind + 2, 3:] += 100
    np.savez("bars.npz", x=np.clip(x, 0, 255).astype(np.uint8), y=y, light=light)
    (tmp_path / "bars.sgm").write_text(MODEL)
    return tmp_path / "bars.sgm"


def test_every_method_is_judged_on_the_held_out_rows(path: Path, tmp_path: Path) -> None:
    """80 held-out rows of three clear classes: wrong in two of three by guessing; a light is some 30° from the camera's
    axis."""
    nodes = ("y", "light")
    settings = ("train.lr=1e-2", "train.batch=32")
    trained = whole(path, settings, 4.0, tmp_path / "run")
    assert trained.epochs is not None
    assert trained.steps >= trained.epochs >= 1
    alone = by_labels_alone(path, settings, nodes, 4.0)
    assert 0 < alone.steps <= 1000
    ready = started(compiled(path, settings))[-1]
    for found in (
        judging.by_model(alone.model, alone.ready, nodes, False),
        judging.by_pixels("SVM", ready, nodes),
        judging.by_pixels("1-NN", ready, nodes),
    ):
        assert set(found) == {"y: error", "light: angle"}
        assert found["y: error"] < 0.1
        assert found["light: angle"] < 25
    assert set(judging.by_model(trained.model, trained.ready, nodes, False)) == {"y: error", "light: angle"}


def test_angles_are_those_between_directions() -> None:
    told = np.array([[0, 0, 2.0], [1, 0, 0], [1, 1, 0]])
    truth = np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]])
    assert np.allclose(judging.angles(told, truth), [0, 90, 45])


def test_cells_are_kept_for_their_data_and_model_and_replaced_in_place(tmp_path: Path) -> None:
    """A cell is finished for its data and its model; another measurement takes its place and names its own machine."""
    mnist = EXPERIMENTS["mnist"]
    digits, others = (list(cells(mnist, 2, source)) for source in ("digits", "others"))
    assert len(set(digits)) == len(digits) == 2 * (5 * 4 + 5 * 2)
    kept = Kept.read(tmp_path / "a.json")
    for i, cell in enumerate(digits):
        kept.keep(cell, {"y: error": i / 100}, {"processor": "p"})
    again = Kept.read(tmp_path / "a.json")
    assert again.found == kept.found
    assert again.machines == {"p": {"processor": "p"}}
    assert not again.found.keys() & set(others)
    again.keep(
        next(c for c in others if (c.labels, c.method) == ("100", "model")), {"y: error": 0.5}, {"processor": "q"}
    )
    assert len(again.found) == len(digits)
    assert values(again.found, "y: error", "100", "model")[-1] == 50
    assert set(again.machines) == {"p", "q"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_page_shows_what_was_kept(name: str) -> None:
    """docs/experiments.md has the tables of benchmarks/paper/NAME.json, nothing else."""
    kept = Kept.read(ROOT / "benchmarks" / "paper" / f"{name}.json")
    assert kept.found
    assert markdown(name, kept) in (ROOT / "docs" / "experiments.md").read_text()
