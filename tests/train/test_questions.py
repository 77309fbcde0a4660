"""Careless questions to a run, and data that a new user would give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsl.train.errors import DataError, RunError
from tests.train.small import Fit, codes
from tests.train.test_run import FINITE


def binary_rows(rows: int) -> dict[str, np.ndarray]:
    """Rows for FINITE, every label known."""
    rng = np.random.default_rng(0)
    return {"x": rng.integers(0, 2, (rows, 8)).astype(np.float32), "y": np.arange(rows) % 3}


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_numbers_of_draws_are_checked(fitted: Fit, wrong: Any) -> None:
    """A diagnostic instead of a RuntimeError of torch."""
    run = fitted(binary_rows(30), text=FINITE)
    for ask in (lambda: run.sample(wrong), lambda: run.posterior(binary_rows(3)["x"], samples=wrong)):
        with pytest.raises(RunError) as error:
            ask()
        assert codes(error) == ["E0665"]


def test_a_mapping_asks_like_keywords_and_a_run_is_short(fitted: Fit) -> None:
    """What `fit` takes, `posterior` and `log_prob` take too; a run shows its folder, not its data."""
    run = fitted(binary_rows(30), text=FINITE)
    x = binary_rows(5)["x"]
    assert np.array_equal(run.posterior({"x": x})["y"], run.posterior(x)["y"])
    assert run.log_prob({"x": x}).shape == (5,)
    assert len(repr(run)) < 300


def test_nodes_may_be_called_like_arguments(fitted: Fit) -> None:
    """The language's own example has a node n."""
    text = FINITE.replace("y :", "n :").replace("(y", "(n").replace("| y)", "| n)")
    data = binary_rows(30)
    run = fitted({"x": data["x"], "n": data["y"]}, text=text)
    assert (run.sample(4, {"n": 2})["n"] == 2).all()
    assert (run.sample(4, n=1)["n"] == 1).all()


def test_a_mask_under_another_name_is_refused(fitted: Fit) -> None:
    """`y_mask` beside `y` would silently leave every label known."""
    data = binary_rows(30)
    with pytest.raises(DataError) as error:
        fitted({**data, "y_mask": np.arange(30) < 10}, text=FINITE)
    assert codes(error) == ["E0628"]


def test_resume_finds_its_own_file(fitted: Fit, tmp_path: Path) -> None:
    """A run trained on a path goes on without being told the path again; one trained on arrays says what to give."""
    np.savez(tmp_path / "rows.npz", **binary_rows(30))
    first = fitted(tmp_path / "rows.npz", "train.epochs=1", text=FINITE)
    again = fitted(None, "train.epochs=2", text=FINITE, resume=first.folder)
    assert again.folder == first.folder
    arrays = fitted(binary_rows(30), "train.epochs=1", text=FINITE)
    with pytest.raises(DataError) as error:
        fitted(None, "train.epochs=2", text=FINITE, resume=arrays.folder)
    assert codes(error) == ["E0634"]
