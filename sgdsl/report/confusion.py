"""Which classes are taken for which: a run and its held-out rows come in, a matrix of counts for each finite label goes out."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sgdsl.runtime import ask
from sgdsl.train.dataset import Array
from sgdsl.train.evaluate import FOR_LABELS, rows_tensor, supervised
from sgdsl.train.feed import read
from sgdsl.train.measure import hidden, portions, seeded
from sgdsl.train.prepare import Prepared
from sgdsl.train.run import Run

MOST_CLASSES = 24


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts` [true class, believed class] over the cells of the rows whose label is known; `names` of the classes."""

    node: str
    names: tuple[str, ...]
    counts: Array


@torch.no_grad()
def confusions(run: Run, ready: Prepared) -> list[Confusion]:
    """The held-out rows with their labels hidden, believed as `sgdsl eval` believes: the same draws from the same seed, so that
    what is off the diagonal is the error of result.json."""
    model, table = run.module, ready.table
    truth = supervised(model, table)
    nodes = [n for n in truth if 2 <= model.NODES[n].classes <= MOST_CLASSES]
    rows = rows_tensor(ready.dataset.test, run.device)
    counts = {n: torch.zeros(model.NODES[n].classes ** 2, dtype=torch.int64) for n in nodes}
    draws, ink = seeded(run.device)
    for index in portions(rows, FOR_LABELS) if nodes and len(rows) else ():
        beliefs = ask.posterior(model, hidden(model, table, index, ink), {}, draws, FOR_LABELS)
        for node in nodes:
            info, belief = model.NODES[node], beliefs[node]
            assert isinstance(belief, torch.Tensor), "a finite node is believed in probabilities"
            true = read(table.columns[node], index, None).long() - info.first
            mask = truth[node].index_select(0, index)
            pairs = (true * info.classes + belief.argmax(-1))[mask].flatten()
            counts[node] += torch.bincount(pairs.cpu(), minlength=info.classes**2)
    found = [(n, model.NODES[n], c.numpy()) for n, c in counts.items() if int(c.sum())]
    return [Confusion(n, run.value_names(n), c.reshape(i.classes, i.classes)) for n, i, c in found]
