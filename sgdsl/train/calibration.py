"""How right beliefs are, and how sure: probabilities or moments and true values come in; error, calibration, confusion go out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.dataset import Array
from sgdsl.train.scored import degrees_apart, kind_of

BINS = 15
MOST_CLASSES = 100  # of a confusion that is written down
TINY = 1e-12
WITHIN = (0.5, 0.9)


def measures_of(info: NodeInfo, belief: Any, truth: Array) -> dict[str, Any]:
    """Of a finite node, `belief` probabilities [rows, *event, values] and `truth` [rows, *event]: `error`, `log_loss` (mean −log
    probability of the truth, nats), `ece`, `reliability`, `confusion`. Of another, (mean, standard deviation): `rmse`,
    `mae`, `r2`, and `within_0.5`, `within_0.9`: the share of cells within the central intervals of a normal distribution.
    Of an angle or direction `degrees`, and of an angle the last two, with its circular standard deviation."""
    if info.classes:
        flat = np.asarray(belief, float).reshape(-1, info.classes)
        return _finite(flat, truth.reshape(-1).astype(np.int64) - info.first)
    if kind_of(info) == "degrees":
        return _turned(info, belief, truth)
    mean, deviation = (np.asarray(part, float).reshape(-1) for part in belief)
    return _real(mean, deviation, truth.reshape(-1).astype(float))


def _finite(probabilities: Array, truth: Array) -> dict[str, Any]:
    guess = probabilities.argmax(1)
    classes = probabilities.shape[1]
    found: dict[str, Any] = {
        "cells": len(truth),
        "error": float((guess != truth).mean()),
        "log_loss": float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], TINY)).mean()),
    }
    table = reliability(probabilities.max(1), guess == truth)
    found["ece"] = calibration_error(table)
    found["reliability"] = table
    if classes <= MOST_CLASSES:
        found["confusion"] = confusion(truth, guess, classes).tolist()
    return found


def confusion(truth: Array, guess: Array, classes: int) -> Array:
    """Counts [true value, likeliest value]."""
    return np.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)


def reliability(confidence: Array, right: Array, bins: int = BINS) -> list[dict[str, float]]:
    """For each of `bins` equal intervals of the greatest probability that is not empty: its bounds, how many cells, their mean
    `confidence` and `accuracy` (Guo, Pleiss, Sun and Weinberger, 2017, section 2)."""
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for i in np.unique(place):
        inside = place == i
        found.append({
            "from": float(i / bins), "to": float((i + 1) / bins), "cells": int(inside.sum()),
            "confidence": float(confidence[inside].mean()), "accuracy": float(right[inside].mean()),
        })  # fmt: skip
    return found


def calibration_error(table: list[dict[str, float]]) -> float:
    """The expected calibration error: Σ_b n_b / n · |accuracy_b − confidence_b| (Naeini, Cooper and Hauskrecht, 2015; Guo et
    al., 2017, equation 3)."""
    cells = sum(row["cells"] for row in table)
    return float(sum(row["cells"] / cells * abs(row["accuracy"] - row["confidence"]) for row in table))


def _turned(info: NodeInfo, belief: Any, truth: Array) -> dict[str, Any]:
    off = degrees_apart(info, *(torch.as_tensor(np.asarray(v, float)) for v in (belief[0], truth))).numpy()
    found: dict[str, Any] = {"cells": off.size, "degrees": float(off.mean())}
    if info.support == "angle":
        found |= _within(np.radians(off), np.asarray(belief[1], float))
    return found


def _within(off: Array, deviation: Array) -> dict[str, float]:
    """The share of cells in the central intervals of a normal distribution."""
    reaches = (0.6744897501960817, 1.6448536269514722)
    return {f"within_{s}": float((np.abs(off) <= r * deviation).mean()) for s, r in zip(WITHIN, reaches, strict=True)}


def _real(mean: Array, deviation: Array, truth: Array) -> dict[str, Any]:
    off = mean - truth
    spread = float(((truth - truth.mean()) ** 2).mean())
    found = {
        "cells": len(truth),
        "rmse": float(np.sqrt((off**2).mean())),
        "mae": float(np.abs(off).mean()),
        "r2": 1 - float((off**2).mean()) / spread if spread > 0 else None,
    }
    return {**found, **_within(off, deviation)}
