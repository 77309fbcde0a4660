"""The gallery's best model of few labels: a folder of idx files comes in; its test error over label seeds goes out.

    python -m benchmarks best --root ../shared/data/mnist [--seeds 5] [--out runs/best] [--json benchmarks/best.json]

One run of the command line after another, each a folder of its own. A seed that is finished is not trained again, and one that was cut
goes on where it was saved, so that the same command can be given again until all are there. The file of results is written
after every seed, from all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.trainers import MODELS, machine
from sgdsl.train.prepare import device_of

MODEL = MODELS / "pose.sgm"
ROWS, LABELS = 50_000, 100
SETTINGS = {"data.labels": str(LABELS), "objective.alpha": str(2 * ROWS // LABELS)}


def started(folder: Path) -> bool:
    return (folder / "run.json").exists()


def finished(folder: Path) -> bool:
    return (folder / "result.json").exists()


def command(folder: Path, root: Path, seed: int, more: list[str]) -> list[str]:
    """Starts the run of a seed, or goes on with it."""
    run = [sys.executable, "-m", "sgdsl", "run"]
    saved = (folder / "checkpoints" / "last.safetensors").exists()
    if started(folder) and saved:
        return [*run, "--resume", str(folder)]
    settings = {"data.root": f'"{root}"', **SETTINGS, "data.seed": str(seed), "train.seed": str(seed)}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return [*run, str(MODEL), "--out", str(folder), "--force", *words, *(w for m in more for w in ("--set", m))]


def asked(folder: Path) -> dict[str, Any]:
    """The error on the held-out rows by q, and corrected by importance weights."""
    table = folder / "predictions.csv"
    words = [sys.executable, "-m", "sgdsl", "predict", str(folder), "-o", str(table), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)["nodes"]["y"]
    return found


def finding(folder: Path, seed: int) -> dict[str, Any]:
    """What a finished run came to; asked once, and kept in its folder."""
    kept = folder / "best.json"
    if not kept.exists():
        result, corrected = json.loads((folder / "result.json").read_text()), asked(folder)
        found = {
            "seed": seed,
            "error": result["scores"]["y"]["value"],
            "corrected": corrected["p"],
            "labels alone": result["baseline"]["y"]["value"],
            "bound": result["bound"],
            "rows": result["rows"],
            "labels": result["labels"]["y"],
            "training seconds": round(result["seconds"]),
        }
        kept.write_text(json.dumps(found))
    return dict(json.loads(kept.read_text()))


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds that are there."""
    errors = {key: [f[key] for f in found] for key in ("error", "corrected", "labels alone")}
    means = {key: statistics.mean(values) for key, values in errors.items()}
    spread = {key: statistics.stdev(values) if len(values) > 1 else None for key, values in errors.items()}
    return {"mean": means, "sd": spread, "seeds": found}


def main(words: list[str]) -> None:
    """Trains what is not there, writes what is."""
    parser = argparse.ArgumentParser("python -m benchmarks best", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--root", type=Path, required=True, help="idx files; the last sixth is held out where no t10k is there")
    parser.add_argument("--seeds", type=int, default=5, help="label seeds 0, 1, …")
    parser.add_argument("--out", type=Path, default=Path("runs/best"), help="a folder for the runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="as in sgdsl run")
    options = parser.parse_args(words)
    found = []
    for seed in range(options.seeds):
        folder = options.out / f"seed-{seed}"
        if not finished(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(command(folder, options.root.resolve(), seed, options.set), check=True)
        found.append(finding(folder, seed))
        print(json.dumps(found[-1]), flush=True)
        if options.json:
            options.json.write_text(json.dumps({**machine(), "model": MODEL.name, **summary(found)}, indent=2) + "\n")
