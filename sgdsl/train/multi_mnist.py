"""The data set `multi_mnist`: a seed and the embedded digits come in; canvases and what is on them go out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgdsl.train.data import DIGITS, HELD_OUT, npz
from sgdsl.train.dataset import Array, Dataset, held_out_share, make_dataset
from sgdsl.train.errors import data_error
from sgdsl.train.makers.canvases import Canvases, compose

ROWS, SEED, SHARE = 10_000, 0, 5  # training canvases; there is a held-out one for every five
FILE = "multi_mnist.npz"
FIELDS = ("x", "k", "y", "at")
COUNTED = {"y": "k", "at": "k"}
TRAIN, TEST = 0, 1  # streams of the seed
STEPS, CURVE = 200, 1e-9  # Newton's method for the counts by ink: the most steps, and what keeps the curvature above 0


def multi_mnist(root: str = "") -> Dataset:
    """x [rows, 1, 50, 50] bytes, k 1 … 3, y [rows, 3] and at [rows, 3, 3] as in Canvases: 10,000 to train on and 2,000 held
    out; with `root`, those of the file multi_mnist.npz of a folder. Raises DataError: E0620, E0622."""
    if root:
        return _of_file(Path(root))
    train, test = canvases(ROWS, SEED)
    parts = [(fields(train), "multi_mnist: `{}`"), (fields(test), "multi_mnist, held out: `{}`")]
    return make_dataset(source_of(SEED), parts, counted=COUNTED)


def source_of(seed: int) -> str:
    """What reports call canvases made here."""
    return f"multi-MNIST, synthetic, of MNIST, first 10,000; seed {seed}"


def _of_file(folder: Path) -> Dataset:
    path = folder / FILE
    if not path.exists():
        hint = f"sgdsl data make multi-mnist -o {folder}"
        raise data_error("E0622", f"there is no `{FILE}` in `{folder}`", hint=hint)
    found = npz(str(path))
    lacking = [name for name in FIELDS if name not in found.fields]
    if lacking or not len(found.test):
        what = f"no `{lacking[0]}_train`" if lacking else "no held-out canvases"
        hint = "it holds x, k, y and at of both parts: x_train, x_test, …"
        raise data_error("E0622", f"`{path}` has {what}", hint=hint)
    return replace(found, counted=COUNTED)


def canvases(rows: int, seed: int) -> tuple[Canvases, Canvases]:
    """`rows` canvases of the 8,000 embedded digits that `data mnist` trains on, and a fifth as many of its 2,000 held-out ones:
    no digit is in both."""
    with np.load(DIGITS, allow_pickle=False) as file:
        images, labels = file["x"], file["y"]
    test = held_out_share(labels, len(labels), HELD_OUT)
    train = np.setdiff1d(np.arange(len(labels)), test)
    return compose(images, labels, train, rows, seed, TRAIN), compose(
        images, labels, test, max(rows // SHARE, 1), seed, TEST
    )


def fields(made: Canvases) -> dict[str, Array]:
    """What a data set has of them."""
    return {name: getattr(made, name) for name in FIELDS}


# --- what ink alone tells -------------------------------------------------------------------------------------


def counts_by_ink(x: Array, k: Array, unseen: Array) -> NDArray[np.int64]:
    """The counts [m] of canvases `unseen`, told by the sum of their pixels alone: multinomial logistic regression on that sum
    and its square, fitted to the canvases x [n, …] with their counts k [n]. What a model that counts must beat."""
    ink, other = (a.reshape(len(a), -1).sum(1, dtype=np.float64) for a in (x, unseen))
    middle, spread = ink.mean(), ink.std() or 1.0
    seen, asked = (
        np.stack([np.ones_like(s), s, s**2], 1) for s in ((ink - middle) / spread, (other - middle) / spread)
    )
    values, targets = np.unique(k, return_inverse=True)
    weights = _regression(seen, np.eye(len(values))[targets])
    found: NDArray[np.int64] = values[(asked @ weights).argmax(1)].astype(np.int64)
    return found


def _regression(inputs: Array, targets: Array) -> Array:
    """Weights [inputs, classes] of the best log-likelihood, by Newton's method with a bound on the curvature that never
    overshoots, (1 − 1/C)/2 · XᵀX (Böhning, 1992)."""
    classes = targets.shape[1]
    curvature = 0.5 * (1 - 1 / classes) * inputs.T @ inputs + CURVE * np.eye(inputs.shape[1])
    weights = np.zeros((inputs.shape[1], classes))
    for _ in range(STEPS):
        scores = inputs @ weights
        p = np.exp(scores - scores.max(1, keepdims=True))
        step = np.linalg.solve(curvature, inputs.T @ (targets - p / p.sum(1, keepdims=True)))
        weights += step
    return weights
