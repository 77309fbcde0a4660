"""How a run ends and what its folder says: done, failed with factor and rows, crashed; folders are never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sgdsl.train.errors import RunError, TrainingError
from sgdsl.train.run_folder import saved
from tests.train.small import TINY, Fit, clusters, codes, records

REAL = """model tiny "One number."

observed x : real
latent   z : real

p(z)     = Normal
p(x | z) = Normal(LOC, 1)
q(z | x) = Normal(mlp(8)(tanh(x)))

train { epochs = 1, batch = 30 }
"""


def test_a_run_folder_says_exactly_what_was_run(fitted: Fit) -> None:
    run = fitted(clusters(), "train.lr=0.02", seed=7, arguments=("run", "tiny.sgm"))
    assert run.folder == Path("runs/tiny-1")
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["arguments"] == ["run", "tiny.sgm"]
    assert facts["overrides"] == ["train.lr=0.02", "train.seed=7"]
    assert facts["seed"] == 7
    assert (
        facts["versions"]["torch"] == torch.__version__.split("+")[0] or facts["versions"]["torch"] == torch.__version__
    )
    assert (run.folder / "model.sgm").read_text() == TINY
    assert "class Model" in (run.folder / "model.py").read_text()
    config = json.loads((run.folder / "config.json").read_text())
    assert config["settings"]["train"]["lr"] == 0.02
    assert config["rows"]["labels"] == {"y": 90}
    assert [r["epoch"] for r in records(run)] == [1, 2]
    assert saved(run.folder) == (run.folder / "model.sgm", ("train.lr=0.02", "train.seed=7"))


def test_folders_are_never_overwritten_without_force(fitted: Fit, tmp_path: Path) -> None:
    first, second = fitted(clusters()), fitted(clusters())
    assert (first.folder.name, second.folder.name) == ("tiny-1", "tiny-2")
    with pytest.raises(RunError, match="the run folder `runs/tiny-1` is there"):
        fitted(clusters(), out=first.folder)
    assert fitted(clusters(), out=first.folder, force=True).folder == first.folder
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.tex").write_text("precious")
    with pytest.raises(RunError, match="no run folder"):
        fitted(clusters(), out=other, force=True)
    assert (other / "chapter1.tex").read_text() == "precious"
    with pytest.raises(RunError) as error:
        fitted(clusters(), resume=other)
    assert codes(error) == ["E0663"]


def test_a_value_that_is_not_finite_stops_before_the_optimiser_and_is_named(fitted: Fit) -> None:
    """Factor, line, rows as the data counts them, and the exit's exception; no weight has moved."""
    x = np.linspace(-1, 1, 90)
    x[[17, 61]] = 1e30
    with pytest.raises(TrainingError) as error:
        fitted({"x": x}, "train.batch=90", text=REAL.replace("LOC", "z"))
    found = error.value
    assert codes(error) == ["E0650"]
    assert found.term == "p(x | z)"
    assert sorted(found.rows) == [17, 61]
    assert "log p(x | z) is not finite in 2 of 90 rows of step 1" in str(found)
    diagnostic = found.diagnostics[0]
    assert diagnostic.span is not None
    assert diagnostic.source is not None
    assert diagnostic.source.text[diagnostic.span.start :].startswith("p(x | z)")
    assert found.folder is not None
    facts = json.loads((found.folder / "run.json").read_text())
    assert (facts["status"], facts["exit"]) == ("failed", 4)
    assert not (found.folder / "checkpoints/last.safetensors").exists()


def test_a_gradient_that_is_not_finite_is_named_too(fitted: Fit) -> None:
    """The value is fine, its derivative is not: sqrt at 0. At most five rows are listed."""
    with pytest.raises(TrainingError) as error:
        fitted({"x": np.linspace(-1, 1, 90)}, text=REAL.replace("LOC", "sqrt(z - z)"))
    assert codes(error) == ["E0651"]
    assert error.value.term == "q(z | x)"
    assert len(error.value.rows) == 5


def test_a_model_without_weights_is_refused(fitted: Fit) -> None:
    text = REAL.replace("LOC", "z").replace("Normal(mlp(8)(tanh(x)))", "Normal(x, 1)")
    with pytest.raises(RunError) as error:
        fitted({"x": np.zeros(9)}, text=text)
    assert codes(error) == ["E0664"]


def test_a_crash_is_written_down(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own fault, or no memory: run.json must not say `running` for ever."""
    monkeypatch.setattr("sgdsl.train.loop.finish_epoch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fitted(clusters())
    facts = json.loads(Path("runs/tiny-1/run.json").read_text())
    assert (facts["status"], facts["exit"]) == ("crashed", 1)
