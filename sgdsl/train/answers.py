"""Predictions as a table: a Prediction comes in; a .csv file with a row for each row of the data goes out."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sgdsl.train.copies import cells_of
from sgdsl.train.dataset import Array
from sgdsl.train.predict import Answer, Beliefs, Prediction


def write_csv(prediction: Prediction, path: Path) -> Path:
    """Columns `part` (where there are two), `row`; then of each node, or cell `node[i,j]`: `.label` from the data, empty where
    unknown; `.q` the likeliest value and `.q.VALUE` probabilities, values by name where the training data name them, or `.q.mean`
    and `.q.sd`; the same as `.p`; and `node.ess`. Raises OSError."""
    parts = any(part for part, _ in prediction.places)
    columns: list[tuple[str, Any]] = [("part", [part for part, _ in prediction.places])] if parts else []
    columns.append(("row", [row for _, row in prediction.places]))
    for name, answer in prediction.answers.items():
        columns += columns_of(name, answer)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([head for head, _ in columns])
        writer.writerows(zip(*(values for _, values in columns), strict=True))
    return path


def columns_of(name: str, answer: Answer) -> Iterator[tuple[str, list[Any]]]:
    """Heads and values of one node's columns."""
    for head, cell in cells_of(name, answer.info.event, answer.loops):
        at: tuple[Any, ...] = (slice(None), *cell)
        if answer.label is not None and answer.known is not None:
            label = answer.label[at]
            own: tuple[Any, ...] = (slice(None), *cell[: len(answer.loops)])
            known = answer.known[own]
            pairs = zip(label.tolist(), known.tolist(), strict=True)
            yield f"{head}.label", [_said(answer, value) if there else "" for value, there in pairs]
        for by, belief in (("q", answer.q), ("p", answer.p)):
            if belief is not None:
                yield from _belief(f"{head}.{by}", answer, belief, cell)
    if answer.ess is not None:
        yield f"{name}.ess", _rounded(answer.ess)


def _belief(head: str, answer: Answer, belief: Beliefs, cell: tuple[int, ...]) -> Iterator[tuple[str, list[Any]]]:
    at: tuple[Any, ...] = (slice(None), *cell)
    if isinstance(belief, tuple):
        yield f"{head}.mean", _rounded(belief[0][at])
        yield f"{head}.sd", _rounded(belief[1][at])
        return
    yield head, [_said(answer, value) for value in answer.likeliest(belief)[at].tolist()]
    for i, name in enumerate(answer.names):
        yield f"{head}.{name}", _rounded(belief[(*at, i)])


def _said(answer: Answer, value: float) -> str | float:
    """A class by its name, or number."""
    return answer.names[int(value) - answer.info.first] if answer.info.classes else value


def _rounded(values: Array) -> list[float]:
    """Six digits: what single precision carries."""
    return [float(f"{value:.6g}") for value in values.tolist()]
