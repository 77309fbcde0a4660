"""How good it is on held-out rows: a trained model, or labelled rows alone, come in; errors and angles go out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC

from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.measure import SEED, hidden, portions
from sgdsl.train.multi_mnist import counts_by_ink
from sgdsl.train.prepare import Prepared

Array = NDArray[np.float64]
Found = dict[str, float]
DRAWS = 8  # a row
PENALTY, RIDGE = 10.0, 1e-2  # of the support vector machine and of kernel ridge regression


def by_model(model: Queries, ready: Prepared, nodes: tuple[str, ...], drawn: bool) -> Found:
    """By q, labels hidden."""
    told = _told(model, ready.table, torch.from_numpy(ready.dataset.test), nodes, drawn)
    return {
        k: v for node in nodes for k, v in _compared(node, told[node], _truth(ready, node, ready.dataset.test)).items()
    }


@torch.no_grad()
def _told(model: Queries, table: Table, rows: torch.Tensor, nodes: tuple[str, ...], drawn: bool) -> dict[str, Array]:
    """The likeliest class, or the mean, of each node, [rows, …]."""
    noise = torch.Generator().manual_seed(SEED) if drawn else None
    draws, parts = Draws(torch.Generator().manual_seed(SEED)), []
    for index in portions(rows, DRAWS):
        seen = hidden(model, table, index, noise)
        if model.RANGES:
            beliefs: dict[str, ask.Belief] = {n: model.parameters_q(n, seen)[0][0] for n in nodes}
        else:
            beliefs = ask.posterior(model, seen, {}, draws, DRAWS)
        parts.append({n: _best(model, n, beliefs[n]) for n in nodes})
    return {n: np.concatenate([p[n] for p in parts]) for n in nodes}


def _best(model: Queries, node: str, belief: ask.Belief) -> Array:
    found = belief[0] if isinstance(belief, tuple) else belief.argmax(-1) + model.NODES[node].first
    return np.asarray(found.numpy(), np.float64)


def _truth(ready: Prepared, node: str, rows: NDArray[np.int64]) -> Array:
    return np.asarray(ready.table.columns[node].values[torch.from_numpy(rows)].numpy(), np.float64)


def _compared(node: str, told: Array, truth: Array) -> Found:
    """The share of wrong classes; of a direction, the mean angle in degrees."""
    if truth.ndim == 1:
        return {f"{node}: error": float((told != truth).mean())}
    return {f"{node}: angle": float(angles(told, truth).mean())}


def angles(told: Array, truth: Array) -> Array:
    """Degrees between directions [rows, 3]."""
    lengths = np.linalg.norm(told, axis=1) * np.linalg.norm(truth, axis=1)
    cosines = (told * truth).sum(1) / np.maximum(lengths, 1e-12)
    found: Array = np.rad2deg(np.arccos(np.clip(cosines, -1, 1)))
    return found


# --- without a model ------------------------------------------------------------------------------------------


def by_pixels(method: str, ready: Prepared, nodes: tuple[str, ...]) -> Found:
    """Support vectors (RBF; of a direction kernel ridge regression), or the nearest labelled row, on pixels from 0 to 1."""
    seen, unseen = _pixels(ready, ready.split.labelled), _pixels(ready, ready.dataset.test)
    found: Found = {}
    for node in nodes:
        labels, truth = (_truth(ready, node, rows) for rows in (ready.split.labelled, ready.dataset.test))
        found |= _compared(node, _predicted(method, seen, labels, unseen), truth)
    return found


def _predicted(method: str, seen: Array, labels: Array, unseen: Array) -> Array:
    if method == "1-NN":
        nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(seen).kneighbors(unseen, return_distance=False)
        return labels[nearest[:, 0]]
    scale = 1 / (seen.shape[1] * float(seen.var()))
    machine = SVC(C=PENALTY, gamma=scale) if labels.ndim == 1 else KernelRidge(kernel="rbf", gamma=scale, alpha=RIDGE)
    return np.asarray(machine.fit(seen, labels).predict(unseen), np.float64)


def _pixels(ready: Prepared, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    values = ready.table.columns["x"].values[torch.from_numpy(rows)].numpy()
    return values.reshape(len(rows), -1).astype(np.float32) / 255


def by_ink(ready: Prepared) -> Found:
    """Counts by the sum of the pixels (logistic regression)."""
    rows, test = ready.split.labelled, ready.dataset.test
    told = counts_by_ink(_pixels(ready, rows), _truth(ready, "k", rows), _pixels(ready, test))
    return _compared("k", told.astype(np.float64), _truth(ready, "k", test))
