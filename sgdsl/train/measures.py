"""The kinds of measures in words: a kind and its value come in, text goes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["error", "rmse", "degrees"]
WORDS: Mapping[str, str] = {
    "error": "error",
    "rmse": "root-mean-square error",
    "degrees": "mean angle to the truth",
}


def total(kind: Kind, loss: float) -> float:
    """The measure of a mean loss."""
    return math.sqrt(loss) if kind == "rmse" else loss


def named(kind: str, node: str) -> str:
    """`root-mean-square error of y`."""
    return f"{WORDS.get(kind, kind)} of {node}"


def shown(kind: str, value: float, places: int = 2) -> str:
    """`6.25 %`, `0.5123`, `12.3°`."""
    if kind == "error":
        return f"{100 * value:.{places}f} %"
    return f"{value:.{places + 2}g}{'°' if kind == 'degrees' else ''}"


def of_belief(measures: Mapping[str, Any]) -> tuple[Kind, float]:
    """The measure among those of a belief (calibration.measures_of)."""
    kinds: tuple[Kind, ...] = ("error", "degrees", "rmse")
    kind = next(k for k in kinds if k in measures)
    return kind, measures[kind]
