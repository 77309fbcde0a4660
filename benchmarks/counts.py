"""Counting digits on canvases: the model of one digit is trained, then the counting model that uses it; count accuracy, how well
canvases are taken apart, and a picture of it go out.

    python -m benchmarks counts [--epochs 6] [--json benchmarks/counts.json] [--picture docs/pictures/counts.png]

Both are trained by the command line, in a folder of their own, or taken from `--folder` where they are done; beside them what
the ink alone tells, fitted on as many labels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.trainers import machine
from sgdsl.library import load
from sgdsl.runtime.means import Means
from sgdsl.runtime.queries import Queries
from sgdsl.train.dataset import Array
from sgdsl.train.multi_mnist import SEED, canvases, counts_by_ink

MODELS = Path(__file__).parents[1] / "models"
SETTINGS = {
    "objective.alpha": "100", "objective.supervision_rate": "0.5", "train.batch": "32", "train.labelled": "16",
    "train.clip": "300", "train.schedule": "cosine",
}  # fmt: skip
SHOWN = 12  # canvases of the picture
MEASURED = 1000  # canvases that are taken apart
NEAR = 4.0  # pixels: a digit is found where its middle is painted this near
SIDE = 50  # of a canvas


def train(folder: Path, model: Path, out: str, settings: dict[str, str]) -> float:
    """A run by the command line, unless one is there that was trained to its end; the seconds that training took."""
    record = folder / out / "run.json"
    if not record.exists() or json.loads(record.read_text())["status"] != "done":
        options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "sgdsl", "run", str(model), "--out", out, *options]
        subprocess.run(command, cwd=folder, check=True)
    seconds: float = json.loads(record.read_text())["seconds"]
    return seconds


def ink(labels: int) -> float:
    """The accuracy of counts told by the sum of the pixels."""
    seen, unseen = canvases(10_000, SEED)
    found = counts_by_ink(seen.x[:labels], seen.k[:labels], unseen.x)
    return float((found == unseen.k).mean())


def binary(x: Array) -> Tensor:
    """Canvases as they are trained on: each pixel on with its grey level as probability."""
    grey = torch.from_numpy(np.asarray(x)).float() / 255
    return (torch.rand(grey.shape, generator=torch.Generator().manual_seed(SEED)) < grey).float()


@torch.no_grad()
def accuracy(model: Queries, x: Tensor, k: Array) -> float:
    """The share of canvases whose count q(k | x) tells."""
    told = model.parameters_q("k", {"x": x[None]})[0].argmax(-1)[0] + 1
    return float((told.numpy() == k).mean())


def measured(model: Queries) -> dict[str, float]:
    """On held-out canvases."""
    unseen = canvases(10_000, SEED)[1]
    return {
        "accuracy": accuracy(model, binary(unseen.x), unseen.k),
        "accuracy on grey levels": accuracy(model, torch.from_numpy(np.asarray(unseen.x)).float() / 255, unseen.k),
        "ink alone": ink(1000),
        **found(model),
        "canvases": len(unseen.k),
    }


@dataclass(frozen=True, slots=True)
class Parts:
    """Canvases x [n, 1, 50, 50] taken apart, every draw its mean: `k` [n] as told, `painted` [n, 3, 50, 50] what copies paint,
    blank beyond k; `middle` [n, 3, 2] in pixels from the canvas's own, `y` [n, 3]."""

    k: Tensor
    painted: Tensor
    middle: Tensor
    y: Tensor


@torch.no_grad()
def take_apart(model: Queries, x: Tensor) -> Parts:
    """By the modes of q."""
    drawn = model.draw_q({"x": x[None]}, {}, Means(torch.Generator()), 1).values
    flat = {name: drawn[name].reshape(1, -1, *drawn[name].shape[3:]) for name in ("size", "place", "y", "z")}
    at = model.let_at(flat["size"], flat["place"])
    painted = model.let_shown(F.one_hot(flat["y"].long(), 10).float(), flat["z"], at)[0].reshape(len(x), -1, SIDE, SIDE)
    k = drawn["k"][0]
    live = torch.arange(1, painted.shape[1] + 1) <= k[:, None]
    return Parts(k, painted * live[..., None, None], SIDE / 2 * (drawn["place"][0] / 2).tanh(), drawn["y"][0])


def paired(truth: Array, painted: Array) -> tuple[list[int], Array]:
    """For each of the true middles [k, 2] a copy of its own, by the least sum of distances, and how far it is, [k]."""
    apart = np.linalg.norm(truth[:, None] - painted[None], axis=-1)
    each = range(len(truth))
    copies = min(permutations(each), key=lambda order: float(apart[each, order].sum()))
    return list(copies), apart[each, copies]


def found(model: Queries) -> dict[str, float]:
    """Of held-out canvases whose count is told rightly: the share of digits that a copy is painted on, the share that it names
    too, and the median distance in pixels."""
    unseen = canvases(10_000, SEED)[1]
    parts = take_apart(model, binary(unseen.x[:MEASURED]))
    counts, far, named = [], [], []
    for row in np.flatnonzero(parts.k.numpy() == unseen.k[:MEASURED]):
        k = unseen.k[row]
        truth = SIDE / 2 * np.tanh(unseen.at[row, :k, 1:] / 2)
        copies, apart = paired(truth, parts.middle[row, :k].numpy())
        counts += [k] * k
        far += list(apart)
        named += list(parts.y[row].numpy()[copies] == unseen.y[row, :k])
    near = np.array(far) < NEAR
    return {
        "digits found": float(near.mean()),
        **{f"digits found, of {k}": float(near[np.array(counts) == k].mean()) for k in (1, 2, 3)},
        "digits found and named": float((near & np.array(named)).mean()),
        "pixels off, median": float(np.median(far)),
    }


def draw(model: Queries, picture: Path) -> None:
    """Held-out canvases, what p makes of them, and what each copy paints."""
    unseen = canvases(10_000, SEED)[1]
    x = binary(unseen.x[:SHOWN])
    painted = take_apart(model, x).painted
    columns = torch.cat([x, painted.sum(1, keepdim=True).clamp(0, 1), painted], 1)
    tiles = F.pad(columns, (1, 1, 1, 1), value=0.4)
    sheet = tiles.permute(1, 2, 0, 3).reshape(-1, SHOWN * (SIDE + 2))
    Image.fromarray((255 * (1 - sheet)).byte().numpy()).save(picture, optimize=True)


def main(words: list[str]) -> None:
    """Trains, evaluates, writes."""
    parser = argparse.ArgumentParser("python -m benchmarks counts", description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where the runs are, or go; else a temporary folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        digit = train(folder, MODELS / "mnist.sgm", "runs/mnist", {"data.labels": "1.0", "train.epochs": "60"})
        settings = SETTINGS | {"train.epochs": str(options.epochs)}
        seconds = train(folder, MODELS / "loops" / "multi_mnist.sgm", "runs/counts", settings)
        model = load(str(folder / "runs" / "counts")).module
        told = measured(model) | {"labels": 1000, "seconds of the digit": round(digit), "seconds": round(seconds)}
        print(json.dumps(told, indent=2))
        if options.json:
            options.json.write_text(json.dumps({**machine(), "settings": settings, **told}, indent=2) + "\n")
        if options.picture:
            draw(model, options.picture)
