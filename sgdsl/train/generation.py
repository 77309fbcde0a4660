"""Whether what is drawn shows what was asked for: a model, training and held-out rows come in; judged shares go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.means import Means
from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.examine import spread_rows
from sgdsl.train.feed import read
from sgdsl.train.measure import SEED, Held, hidden

JUDGES = 5000  # training rows that the judge knows
DRAWN = 400  # samples, and swaps


@dataclass(frozen=True, slots=True)
class Judge:
    """The nearest of labelled real rows: it knows nothing of the model. `inputs` [rows, cells], `labels` [rows]."""

    inputs: Tensor
    labels: Tensor

    def says(self, inputs: Tensor) -> Tensor:
        """The label of the nearest row, [rows]."""
        parts = [self.labels[torch.cdist(few, self.inputs).argmin(1)] for few in inputs.split(100)]
        return torch.cat(parts)


@torch.no_grad()
def generation(model: Queries, table: Table, held: Held, training: Tensor) -> dict[str, dict[str, Any]]:
    """Of each supervised node of one finite cell, shares by a judge, the nearest labelled training row: `judge`, how often it is
    right on held-out rows, which bounds the others; `conditional`, samples of each value that show it (the GAN-test of
    Shmelkov, Schmid and Alahari, 2018); `swap`, held-out rows given another row's label, the rest of what was inferred
    kept, that show the new label, and `kept`, by other node, that still show theirs. Empty where an observed node is partial."""
    observed = [n for n, info in model.NODES.items() if info.role == "observed"]
    if any(model.NODES[n].partial for n in observed):
        return {}
    finite = [n for n in held.truth if model.NODES[n].classes and not model.NODES[n].event]
    judges, rows = {}, {}
    for name in finite:
        known = spread_rows(training[held.truth[name][training]], JUDGES)
        test = spread_rows(held.rows[held.truth[name][held.rows]], DRAWN)
        if len(known) and len(test) and len(_labels(table, name, test).unique()) > 1:
            judges[name] = Judge(_real(model, table, known, observed), _labels(table, name, known))
            rows[name] = test
    return {name: _judged(model, table, name, rows[name], judges, observed) for name in judges}


def _judged(
    model: Queries, table: Table, name: str, rows: Tensor, judges: Mapping[str, Judge], observed: list[str]
) -> dict[str, Any]:
    judge, labels = judges[name], _labels(table, name, rows)
    draws = Draws(torch.Generator(rows.device).manual_seed(SEED))
    values = hidden(model, table, rows, None)
    given = {n: v[0] for n, v in values.items() if model.NODES[n].role == "given"}
    info = model.NODES[name]
    wanted = torch.arange(len(rows), device=rows.device) % info.classes + info.first
    drawn = ask.sample(model, len(rows), {**given, name: _typed(info.integer, wanted)}, draws)
    kept = {n: v for n, v in drawn.items() if n not in observed} | given
    means = ask.sample(model, len(rows), kept, Means(draws.generator))
    other = _another(labels)
    swapped = ask.edit(model, values, {}, {name: _typed(info.integer, other)[None]}, draws, shown=observed)
    after = _flat(swapped, observed)
    still = {n: j.says(after) == _labels(table, n, rows) for n, j in judges.items() if n != name}
    return {
        "rows": len(rows),
        "judge": _share(judge.says(_real(model, table, rows, observed)) == labels),
        "conditional": _share(judge.says(_flat(means, observed)) == wanted),
        "swap": _share(judge.says(after) == other),
        "kept": {n: _share(right) for n, right in still.items()},
    }


def _another(labels: Tensor) -> Tensor:
    """For each row the label of another row, a different one: that of the next in a fixed order."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED)).to(labels.device)
    found = labels[order].clone()
    for i in torch.nonzero(found == labels).flatten().tolist():
        different = torch.nonzero(labels != labels[i]).flatten()
        found[i] = labels[different[i % len(different)]]
    return found


def _labels(table: Table, name: str, rows: Tensor) -> Tensor:
    return read(table.columns[name], rows, None).long()


def _real(model: Queries, table: Table, rows: Tensor, observed: list[str]) -> Tensor:
    return _flat({n: v[0] for n, v in hidden(model, table, rows, None).items()}, observed)


def _flat(values: Mapping[str, Tensor], observed: list[str]) -> Tensor:
    return torch.cat([values[n].float().reshape(len(values[n]), -1) for n in observed], 1)


def _typed(integer: bool, values: Tensor) -> Tensor:
    return values if integer else values.to(torch.get_default_dtype())


def _share(right: Tensor) -> float:
    return float(right.double().mean())
