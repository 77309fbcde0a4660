"""The gallery's best model of few labels: a folder of idx files comes in; its test error over label seeds goes out.

    python -m benchmarks best --root ../shared/data/mnist [--seeds 5] [--out runs/best] [--json benchmarks/best.json]

One run of the command line after another, each a folder of its own. A seed that is finished, or that the results hold for the
same model and settings, is not trained again, and one that was cut goes on where it was saved: the same command is given again
until all are there. Results are written after every seed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.trainers import MODELS, machine
from sgdsl.library import load
from sgdsl.train.feed import read
from sgdsl.train.run_folder import Folder

MODEL = MODELS / "pose.sgm"
LABELS, ROWS = 100, 50_000
SETTINGS = {
    "data.labels": str(LABELS),
    "objective.alpha": str(2 * ROWS // LABELS),
    "train.epochs": "120",
    "train.precision": "bf16",
}
SHOWN = 16  # digits of the picture
INK = 4  # what the model takes off the pasted logits
Found = dict[str, Any]


def command(run: Folder, model: Path, root: Path, seed: int, more: list[str]) -> list[str]:
    """Starts the run of a seed, or goes on with it."""
    words = [sys.executable, "-m", "sgdsl", "run"]
    if run.checkpoint.exists():
        return [*words, "--resume", str(run.path), *(w for s in more for w in ("--set", s))]
    settings = {"data.root": f'"{root}"', **SETTINGS, "data.seed": str(seed), "train.seed": str(seed)}
    chosen = [*(f"{name}={value}" for name, value in settings.items()), *more]
    return [*words, str(model), "--out", str(run.path), "--force", *(w for s in chosen for w in ("--set", s))]


def train(run: Folder, words: list[str]) -> None:
    """To the end, and CPU seconds added up beside the folder, those of a run that is cut short too."""
    spent, before = run.path.with_suffix(".seconds"), _spent()
    try:
        subprocess.run(words, check=True)
    finally:
        past = float(spent.read_text()) if spent.exists() and "--resume" in words else 0.0
        spent.write_text(f"{past + _spent() - before:.0f}")


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def finding(run: Folder, seed: int) -> Found:
    """What a finished run came to."""
    result = json.loads(run.result.read_text())
    return {
        "seed": seed,
        "error": result["scores"]["y"]["value"],
        "labels alone": result["baseline"]["y"]["value"],
        "bound": result["bound"],
        "rows": result["rows"],
        "labels": result["labels"]["y"],
        "training seconds": round(result["seconds"]),
        "CPU seconds": int(run.path.with_suffix(".seconds").read_text()),
    }


def kept(file: Path | None, about: Found) -> dict[int, Found]:
    """Seeds that the results hold, where model and settings are those asked for."""
    past = json.loads(file.read_text()) if file and file.exists() else {"seeds": []}
    same = all(past.get(key) == about[key] for key in ("model", "settings"))
    return {row["seed"]: row for row in past["seeds"]} if same else {}


def poses(run: Folder, file: Path) -> None:
    """Held-out digits: the image, cropped at the mean of its pose, the patch that p makes of its code, and it put back."""
    loaded = load(str(run.path))
    dataset, table = loaded.rows()
    rows = torch.from_numpy(np.asarray(dataset.test[:SHOWN]))
    model: Any = loaded.module
    x = read(table.columns["x"], rows, None)[None]
    with torch.no_grad():
        at = model.parameters_q("at", {"x": x})[0]
        seen = model.let_seen(x, at)
        patch = model.let_patch(model.parameters_q("z", {"x": x, "at": at})[0])
        back = model.decode_x(patch, at).sigmoid()
    tiles = torch.cat([x, seen, (patch - INK).sigmoid(), back], 0)[:, :, 0]
    sheet = torch.nn.functional.pad(tiles, (1, 1, 1, 1), value=0.4).permute(0, 2, 1, 3).reshape(4 * 30, -1)
    Image.fromarray((255 * (1 - sheet)).byte().numpy()).resize((60 * SHOWN, 240)).save(file)


def summary(found: list[Found]) -> Found:
    """Mean and standard deviation over the seeds that are there."""
    errors = {key: [f[key] for f in found] for key in ("error", "labels alone")}
    means = {key: statistics.mean(values) for key, values in errors.items()}
    spread = {key: statistics.stdev(values) if len(values) > 1 else None for key, values in errors.items()}
    return {"mean": means, "sd": spread, "seeds": found}


def main(words: list[str]) -> None:
    """Trains what is not there, writes what is."""
    parser = argparse.ArgumentParser("python -m benchmarks best", description=__doc__)
    parser.add_argument(
        "--root", type=Path, required=True, help="idx files; without t10k files the last sixth is held out"
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="another model, to compare")
    parser.add_argument("--seeds", type=int, default=5, help="label seeds 0, 1, …")
    parser.add_argument("--out", type=Path, default=Path("runs/best"), help="a folder for the runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="digits of seed 0 with and without their pose")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="as in sgdsl run")
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = [*(f"{n}={v}" for n, v in SETTINGS.items()), *options.set]
    about = {**machine(), "model": options.model.name, "settings": settings}
    found = kept(options.json, about)
    for seed in range(options.seeds):
        run = Folder(options.out / f"seed-{seed}")
        if not run.result.exists() and (run.path.exists() or seed not in found):
            train(run, command(run, options.model, options.root.resolve(), seed, options.set))
        if run.result.exists():
            found[seed] = finding(run, seed)
        print(json.dumps(found[seed]), flush=True)
        if options.json:
            options.json.write_text(json.dumps({**about, **summary(list(found.values()))}, indent=2) + "\n")
    if options.picture:
        poses(Folder(options.out / "seed-0"), options.picture)
