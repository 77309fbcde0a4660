"""Counting digits on canvases: the model of one digit is trained, then the counting model that uses it; count accuracy goes out.

    python -m benchmarks counts [--epochs 2] [--json benchmarks/counts.json] [--picture docs/pictures/counts.png]

Both are trained by the command line, in a folder of their own; beside them what the ink alone tells, fitted on as many labels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.trainers import machine
from sgdsl.library import load
from sgdsl.runtime.means import Means
from sgdsl.train.multi_mnist import SEED, canvases, counts_by_ink

MODELS = Path(__file__).parents[1] / "models"
SETTINGS = {
    "objective.alpha": "500", "objective.samples": "2", "train.batch": "64", "train.labelled": "40",
    "train.schedule": "cosine", "train.average": "0.98",
}  # fmt: skip
SHOWN = 8  # canvases of the picture


def train(folder: Path, model: Path, out: str, settings: dict[str, str]) -> float:
    """A run by the command line; seconds."""
    start = time.perf_counter()
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "sgdsl", "run", str(model), "--out", out, *options]
    subprocess.run(command, cwd=folder, check=True)
    return time.perf_counter() - start


def ink(labels: int) -> float:
    """The accuracy of counts told by the sum of the pixels."""
    seen, unseen = canvases(10_000, SEED)
    found = counts_by_ink(seen.x[:labels], seen.k[:labels], unseen.x)
    return float((found == unseen.k).mean())


def accuracy(folder: Path) -> float:
    """The share of held-out canvases whose count q(k | x) tells, each pixel on with its grey level as probability."""
    model = load(str(folder)).module
    unseen = canvases(10_000, SEED)[1]
    grey = torch.from_numpy(np.asarray(unseen.x)).float() / 255
    drawn = (torch.rand(grey.shape, generator=torch.Generator().manual_seed(SEED)) < grey).float()
    with torch.no_grad():
        told = model.parameters_q("k", {"x": drawn[None]})[0].argmax(-1)[0] + 1
    return float((told.numpy() == unseen.k).mean())


def decompositions(folder: Path, picture: Path) -> None:
    """Held-out canvases, what p makes of them, and each of the things that it is made of; dead copies are blank."""
    run = load(str(folder))
    model = run.module
    unseen = canvases(10_000, SEED)[1]
    x = torch.from_numpy(np.asarray(unseen.x[:SHOWN])).float() / 255
    drawn = model.draw_q({"x": x[None]}, {}, Means(torch.Generator()), 1).values
    k = drawn["k"][0]
    with torch.no_grad():
        flat = {n: drawn[n].reshape(1, -1, *drawn[n].shape[3:]) for n in ("y", "z", "at")}
        shown = model.let_shown(flat["y"], flat["z"], flat["at"])[0].reshape(SHOWN, -1, 50, 50)
    live = torch.arange(1, shown.shape[1] + 1) <= k[:, None]
    shown = shown * live[..., None, None]
    columns = torch.cat([x, shown.sum(1, keepdim=True).clamp(0, 1), shown], 1)
    tiles = torch.nn.functional.pad(columns, (1, 1, 1, 1), value=0.4)
    sheet = tiles.permute(1, 2, 0, 3).reshape(-1, SHOWN * 52)
    Image.fromarray((255 * (1 - sheet)).byte().numpy()).resize((SHOWN * 104, 52 * 2 * tiles.shape[1])).save(picture)


def main(words: list[str]) -> None:
    """Trains, evaluates, writes."""
    parser = argparse.ArgumentParser("python -m benchmarks counts", description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the runs go; else a temporary folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        digit = train(folder, MODELS / "mnist.sgm", "runs/mnist", {"data.labels": "1.0", "train.epochs": "60"})
        settings = SETTINGS | {"train.epochs": str(options.epochs)}
        seconds = train(folder, MODELS / "loops" / "multi_mnist.sgm", "runs/counts", settings)
        result = json.loads((folder / "runs" / "counts" / "result.json").read_text())
        found = {
            "accuracy": accuracy(folder / "runs" / "counts"),
            "ink alone": ink(1000),
            "accuracy on grey levels": 1 - result["scores"]["k"]["value"],
            "canvases": result["scores"]["k"]["rows"],
            "labels": 1000,
            "seconds of the digit": round(digit),
            "seconds": round(seconds),
        }
        print(json.dumps(found, indent=2))
        if options.json:
            options.json.write_text(json.dumps({**machine(), "settings": settings, **found}, indent=2) + "\n")
        if options.picture:
            decompositions(folder / "runs" / "counts", options.picture)
