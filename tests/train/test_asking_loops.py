"""Questions about models with loops: predictions, edits, sweeps, filled gaps and the page of a run, with a line, column or
dimension for each copy."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import sgdsl
from sgdsl.cli.entry import run as cli
from sgdsl.train.answers import write_csv
from sgdsl.train.impute import write_imputed
from sgdsl.train.run import Run

TEXT = """model rooms "Readings in rooms, some missing; a kind of each; pictures a room."
for c in 1..2 {
    latent   room[c] : real[2]
    observed view[c] : unit[1, 4, 4]
    p(room[c])           = Normal
    p(view[c] | room[c]) = Bernoulli(mlp(4))
    q(room[c] | view[c]) = Normal(mlp(8))
    for i in 1..3 {
        observed   x[c, i] : real[2] partial
        supervised y[c, i] : class(3)
        p(y[c, i])           = Categorical(learned)
        p(x[c, i] | y[c, i], room[c]) = Normal(mlp(8))
        q(y[c, i] | x[c, i]) = Categorical(mlp(8))
    }
}
train { epochs = 60, batch = 30, lr = 3e-2 }
"""
ROWS = 60


def rows(count: int, seed: int) -> dict[str, np.ndarray]:
    """Readings around y, a tenth of them missing."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, (count, 2, 3))
    x = 2.0 * y[..., None] + 0.3 * random.normal(size=(*y.shape, 2))
    x[random.random(x.shape) < 0.1] = np.nan
    return {"x": x, "y": y, "view": random.random((count, 2, 1, 4, 4))}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("rooms") / "run"
    torch.manual_seed(0)
    return sgdsl.fit(TEXT, rows(ROWS, 0), test=rows(20, 1), out=out, labels=0.5, quiet=True)


def test_predictions_have_a_column_for_each_copy(run: Run, tmp_path: Path) -> None:
    """Protects `predict`: y of every copy, by its places, against labels that were hidden; learned, so far better than one in
    three."""
    new = rows(40, 2)
    found = sgdsl.predict(run, new, samples=8)
    assert found.answers["y"].q.shape == (40, 2, 3, 3)  # type: ignore[union-attr]
    assert found.answers["y"].score(found.answers["y"].q) < 0.2  # type: ignore[operator]
    assert found.answers["y"].score(found.answers["y"].p) < 0.2  # type: ignore[arg-type,operator]
    table = list(csv.DictReader(write_csv(found, tmp_path / "y.csv").open()))
    assert [int(line["y[2,3].label"]) for line in table] == new["y"][:, 1, 2].tolist()
    assert [int(line["y[1,2].q"]) for line in table] == found.answers["y"].q.argmax(-1)[:, 0, 1].tolist()  # type: ignore[union-attr]
    assert {"y[2,3].p.2", "y.ess"} < table[0].keys()
    assert "room[2][1].q.mean" in next(
        csv.reader(write_csv(sgdsl.predict(run, new, nodes=["room"]), tmp_path / "r").open())
    )


def test_missing_cells_of_copies_are_filled(run: Run, tmp_path: Path) -> None:
    """Protects `impute`: a gap is filled by what its own copy says, the reading beside it, within 1 of the mean of its class on
    average; what is there stays."""
    new = rows(40, 3)
    found = sgdsl.impute(run, new, samples=200)
    gaps = np.isnan(new["x"])
    assert np.array_equal(found.missing["x"], gaps)
    np.testing.assert_allclose(found.values["x"][~gaps], new["x"][~gaps], rtol=1e-6)
    beside = gaps & ~gaps[..., ::-1]
    truth = np.broadcast_to(2.0 * new["y"][..., None], gaps.shape)
    assert np.abs(found.values["x"][beside] - truth[beside]).mean() < 0.6
    heads = next(csv.reader(write_imputed(found, tmp_path / "x.csv").open()))
    assert "x[2,3][1].sure" in heads


def test_a_cell_of_one_copy_is_swept_and_moves_that_copy_alone(run: Run) -> None:
    """Protects `traverse`: cell 2 of room is room[2][0]; what is seen in room 1 stays, what is seen in room 2 moves."""
    swept = sgdsl.traverse(run, "room", cells=[2], row=0, steps=3)
    view = swept.values["view"]
    assert view.shape == (1, 3, 2, 1, 4, 4)
    assert np.ptp(view[0, :, 0], 0).max() == 0 < np.ptp(view[0, :, 1], 0).max()
    swept = sgdsl.traverse(run, "y", cells=[5], steps=3)
    assert swept.points.tolist() == [[0, 1, 2]]
    assert np.ptp(swept.values["x"][0, :, 1, 2], 0).min() > 0.5
    assert np.ptp(swept.values["x"][0, :, 0], 0).max() == 0


def test_an_edit_of_all_copies(run: Run) -> None:
    """Protects `edit`: the values set, and the means of what follows."""
    values = np.tile(np.array([[0, 1, 2], [2, 1, 0]]), (5, 1, 1))
    found = sgdsl.edit(run, rows(5, 4), set={"y": values})
    assert np.array_equal(found.after["y"], values)
    assert np.abs(found.after["x"].mean(-1) - 2 * values).mean() < 0.5


def test_the_page_of_a_run_with_loops(run: Run) -> None:
    """Protects the report: sliders of copies by their places, pictures of copies side by side."""
    assert cli(["report", str(run.folder), "-q"]) == 0
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "room[2][1]" in text
    assert 'data-node="view"' in text
