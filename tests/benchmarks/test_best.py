"""python -m benchmarks best: seeds one after another, what is there already is kept, what was cut goes on."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks import best

SMALL = """model small
observed   x : unit[1, 4, 4]
supervised y : class(10)
p(y)     = Categorical
p(x | y) = Bernoulli(table)
q(y | x) = Categorical(linear)
data mnist
"""
ROWS = 240  # the last sixth is held out
SETTINGS = ("train.epochs=2", "train.batch=50", "data.labels=20", "train.precision=highest")


def idx(path: Path, values: np.ndarray) -> None:
    """A file of bytes as MNIST's."""
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten kinds of patches, each with a bright cell of its own."""
    y = np.arange(ROWS) % 10
    x = np.random.default_rng(0).integers(0, 90, (ROWS, 16))
    x[np.arange(ROWS), y] = 255
    folder = tmp_path / "digits"
    folder.mkdir()
    idx(folder / "train-images-idx3-ubyte.gz", x.reshape(-1, 4, 4))
    idx(folder / "train-labels-idx1-ubyte.gz", y)
    return folder


def test_the_same_command_again_does_what_is_left(root: Path, tmp_path: Path) -> None:
    """A run without a result goes on from its checkpoint, to the same error; a finished one is left untouched."""
    model, out, file = tmp_path / "small.sgm", tmp_path / "runs", tmp_path / "best.json"
    model.write_text(SMALL)
    words = ["--root", str(root), "--model", str(model), "--out", str(out), "--json", str(file), "--seeds", "1"]
    words += [w for setting in SETTINGS for w in ("--set", setting)]
    best.main(words)
    first, started = json.loads(file.read_text())["seeds"][0], began(out)
    assert (first["rows"], first["labels"]) == (ROWS // 6, 20)
    (out / "seed-0" / "result.json").unlink()
    best.main(words)
    again = json.loads(file.read_text())["seeds"][0]
    assert began(out) == started
    assert again["error"] == first["error"]
    assert again["CPU seconds"] > first["CPU seconds"]
    kept = (out / "seed-0" / "result.json").stat().st_mtime_ns
    best.main(words)
    assert (out / "seed-0" / "result.json").stat().st_mtime_ns == kept


def test_a_seed_of_the_results_needs_no_run(root: Path, tmp_path: Path) -> None:
    """Where the folders are gone, seeds measured under the same settings stay; other settings measure anew."""
    model, file = tmp_path / "small.sgm", tmp_path / "best.json"
    model.write_text(SMALL)
    words = ["--root", str(root), "--model", str(model), "--json", str(file), "--seeds", "1"]
    words += [w for setting in SETTINGS for w in ("--set", setting)]
    best.main([*words, "--out", str(tmp_path / "first")])
    before = json.loads(file.read_text())["seeds"]
    best.main([*words, "--out", str(tmp_path / "second")])
    assert json.loads(file.read_text())["seeds"] == before
    assert not (tmp_path / "second" / "seed-0").exists()
    best.main([*words, "--out", str(tmp_path / "third"), "--set", "train.lr=0.01"])
    assert (tmp_path / "third" / "seed-0").exists()


def began(out: Path) -> str:
    return str(json.loads((out / "seed-0" / "run.json").read_text())["started"])


def test_the_mean_is_over_what_is_there() -> None:
    """One seed has no deviation; two have that of a sample."""
    seeds = [{"error": 0.02, "labels alone": 0.3}, {"error": 0.04, "labels alone": 0.2}]
    assert best.summary(seeds[:1])["sd"]["error"] is None
    both = best.summary(seeds)
    assert both["mean"]["error"] == pytest.approx(0.03)
    assert both["sd"]["error"] == pytest.approx(0.02 / 2**0.5)
