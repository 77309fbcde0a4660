"""A trained model on held-out rows: a run comes in, errors and the test bound go out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.examine import beliefs, disentanglement, likelihoods
from sgdsl.train.generation import generation
from sgdsl.train.measure import Held, Score, scores

FOR_LABELS = 32  # draws a row when labels are inferred
FOR_BOUND = 50  # draws a row for the bound


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`source`: the data; `rows`: held-out rows; `scores` by supervised node; `bound`: the mean importance-sampled log p of
    what is observed (nats a row; a lower bound that rises with `samples`), with its standard error over the rows.
    `details`: `likelihood` (how far the weights behind the bound can be trusted), `beliefs` by supervised node,
    `disentanglement`, `generation`, as plain values (docs/asking.md)."""

    model: str
    source: str
    rows: int
    scores: Mapping[str, Score]
    bound: float | None
    bound_error: float | None
    samples: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "source": self.source,
            "rows": self.rows,
            "scores": {name: score.as_dict() for name, score in self.scores.items()},
            "bound": self.bound,
            "bound_error": self.bound_error,
            "samples": self.samples,
            **finite(self.details),
        }


def evaluate(
    model: Queries,
    name: str,
    source: str,
    table: Table,
    rows: Tensor,
    samples: int = FOR_BOUND,
    training: Tensor | None = None,
) -> Evaluation:
    """Every held-out row once, labels hidden. `samples`: draws a row for the bound. `training`: other rows, whose labels may be
    known to the judge of what is generated."""
    if not len(rows):
        return Evaluation(name, source, 0, {}, None, None, samples)
    truth = supervised(model, table)
    held = Held(rows, truth, FOR_LABELS)
    found = scores(model, table, held)
    likely = likelihoods(model, table, Held(rows, truth, samples))
    values = likely.log_p.double()
    spread = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    held = Held(rows, {n: mask for n, mask in truth.items() if not model.NODES[n].loops}, FOR_LABELS)
    details = {
        "likelihood": likely.as_dict(samples),
        "beliefs": beliefs(model, table, held),
        "disentanglement": disentanglement(model, table, held),
        "generation": {} if training is None else generation(model, table, held, training),
    }
    return Evaluation(name, source, len(rows), found, float(values.mean()), spread, samples, details)


def supervised(model: Queries, table: Table) -> dict[str, Tensor]:
    """Where the data knows the answer, of each supervised node, bool [all rows]."""
    names = [n for n, info in model.NODES.items() if info.role == "supervised" and n in table.columns]
    return {name: table.columns[name].known for name in names}


def rows_tensor(rows: Any, device: torch.device) -> Tensor:
    """Row numbers on the device of the data."""
    return torch.as_tensor(rows, dtype=torch.int64, device=device)


def finite(values: Any) -> Any:
    """Plain values with null for numbers that are none, as JSON has no name for them."""
    match values:
        case Mapping():
            return {name: finite(value) for name, value in values.items()}
        case list():
            return [finite(value) for value in values]
        case float() if not math.isfinite(values):
            return None
        case _:
            return values
