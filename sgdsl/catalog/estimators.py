"""The table of estimators: how a node of q is drawn or summed, and how gradients pass through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class EstimatorOption:
    """`kind` "word": one of `choices`; "number": above 0. `default` None: it must be given."""

    name: str
    kind: Literal["word", "number"]
    default: str | float | None = None
    choices: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EstimatorRow:
    name: str
    help: str
    options: tuple[EstimatorOption, ...] = ()


_ROWS = (
    EstimatorRow("reparam", "a draw as a smooth function of the parameters"),
    EstimatorRow("enumerate", "every value of a finite node, weighed by its probability"),
    EstimatorRow(
        "score",
        "draws, with the gradient of their log-probability times a centred reward; at least two draws for baseline = loo",
        (EstimatorOption("baseline", "word", "loo", ("loo", "mean", "net")),),
    ),
    EstimatorRow(
        "sum_and_sample", "the likeliest class exactly, one of the others by sampling, each weighed by its share"
    ),
    EstimatorRow("gumbel", "relaxed draws of a finite node (biased)", (EstimatorOption("temperature", "number"),)),
    EstimatorRow("straight_through", "draws in value, the probabilities in the gradient (biased)"),
)

ESTIMATORS: dict[str, EstimatorRow] = {row.name: row for row in _ROWS}
PLANNED: tuple[str, ...] = ()
