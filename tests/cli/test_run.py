"""run, eval and sample on a small data set: what they print, what they leave, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sgdsl.cli.entry import run
from sgdsl.train import fit as training
from sgdsl.train.errors import Interrupted

TEXT = """model tiny "patterns of 4 x 4"
observed x : binary[1, 4, 4]
supervised y : class(3)
latent z : real[2]
p(y) = Categorical
p(z) = Normal
p(x | y, z) = Bernoulli(mlp(8))
q(y | x) = Categorical(mlp(8))
q(z | x, y) = Normal(mlp(8))
data npz(file = "FILE", labels = 30)
train { epochs = 2, batch = 50 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.sgm and tiny.npz: 300 rows, 100 held out."""
    home = tmp_path_factory.mktemp("cli")
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 400)
    x = (random.random((400, 1, 4, 4)) < 0.2 + 0.3 * y[:, None, None, None]).astype(np.uint8)
    np.savez(home / "tiny.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    (home / "tiny.sgm").write_text(TEXT.replace("FILE", str(home / "tiny.npz")))
    assert run(["run", str(home / "tiny.sgm"), "--out", str(home / "run"), "-q", "--seed", "1"]) == 0
    return home


def test_run_leaves_a_folder(folder: Path) -> None:
    """Model, text, weights, metrics, graph."""
    names = {p.name for p in (folder / "run").iterdir()}
    assert {"run.json", "model.sgm", "model.py", "config.json", "metrics.jsonl", "checkpoints", "model.svg"} <= names
    assert "sgdsl" not in (folder / "run" / "model.svg").read_text()


def test_run_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document on standard output, nothing else there."""
    assert run(["run", str(folder / "tiny.sgm"), "--out", str(folder / "json"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["format"], made["ok"], made["folder"]) == (1, True, str(folder / "json"))
    assert made["result"]


def test_a_run_folder_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong use, 2, until --force."""
    call = ["run", str(folder / "tiny.sgm"), "--out", str(folder / "json2"), "-q"]
    assert run(call) == 0
    assert run(call) == 2
    assert "--force" in capsys.readouterr().err
    assert run([*call, "--force"]) == 0


def test_eval_and_sample(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a run folder can be asked from the command line."""
    assert run(["eval", str(folder / "run"), "--json", "--samples", "5"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run(["eval", str(folder / "run"), "--samples", "5"]) == 0
    assert capsys.readouterr().out.strip()
    assert run(["sample", str(folder / "run"), "y=2", "-n", "4"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.parent == folder / "run" / "samples"
    arrays = folder / "drawn.npz"
    assert run(["sample", str(folder / "run"), "y=2", "-n", "4", "-o", str(arrays)]) == 0
    with np.load(arrays) as drawn:
        assert drawn["x"].shape == (4, 1, 4, 4)
        assert (drawn["y"] == 2).all()


def test_resume_goes_on(folder: Path) -> None:
    """MODEL may be left out: the folder knows it."""
    out = folder / "resumed"
    assert run(["run", str(folder / "tiny.sgm"), "--out", str(out), "-q"]) == 0
    assert run(["run", "--resume", str(out), "--set", "train.epochs=3", "-q"]) == 0


def test_a_dry_run_says_what_memory_it_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parts in MiB, or bytes as JSON; nothing is written; an old run cannot be looked at so."""
    out = folder / "dry"
    assert run(["run", str(folder / "tiny.sgm"), "--out", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert all(part in said for part in ("weights", "optimiser (adam)", "data", "activations", "training, at most"))
    assert run(["run", str(folder / "tiny.sgm"), "--out", str(out), "--dry-run", "--json"]) == 0
    forecast = json.loads(capsys.readouterr().out)["forecast"]
    assert forecast["memory"]["rows"] > 300 * 16
    assert not out.exists()
    assert run(["run", "--resume", str(folder / "run"), "--dry-run"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "tiny.sgm", "--data", "no.npz", "--out", "a"], 3),
        (["run", "tiny.sgm", "--set", "data.labels=100000", "--out", "b"], 3),
        (["run", "tiny.sgm", "--set", "train.lr=1e30", "--set", "train.epochs=20", "--out", "c"], 4),
        (["eval", "no-run"], 2),
        (["sample", "run", "w=3"], 2),
        (["sample", "run", "y=7"], 3),
        (["run", "--resume", "no-run"], 2),
    ],
)
def test_exit_codes(arguments: list[str], code: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 data, 4 training, 2 wrong use."""
    monkeypatch.chdir(folder)
    assert run([*arguments, "-q"]) == code


def test_interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in training is 130, and says how to go on."""

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted(Path("runs/x"), 7)

    monkeypatch.setattr(training, "fit", stopped)
    assert run(["run", str(folder / "tiny.sgm"), "--out", str(folder / "d"), "-q"]) == 130
    assert "--resume runs/x" in capsys.readouterr().err
