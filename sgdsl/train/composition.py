"""How rows make a loss: numbers of labelled and unlabelled rows come in; weights, α and the rows of every step go out
(docs/objective.md, section 1, Rows)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sgdsl.train.dataset import Index, shuffled
from sgdsl.train.errors import data_error
from sgdsl.train.settings import Settings

UNLABELLED, LABELLED = 11, 12  # streams of the seed


@dataclass(frozen=True, slots=True)
class Composition:
    """A step has `unlabelled` rows first, then `labelled` ones; `steps` make an epoch. Loss = (1 − ρ)·mean over unlabelled
    + ρ·mean over labelled rows, `rho` = ρ; `alpha`: the extra weight α of log q(labels | x)."""

    unlabelled: int
    labelled: int
    steps: int
    rho: float
    alpha: float

    @property
    def rows(self) -> int:
        return self.unlabelled + self.labelled

    def weights(self, device: torch.device) -> Tensor:
        """The weight of each row of a step in the loss, [rows]; they sum to 1."""
        unlabelled = torch.full((self.unlabelled,), (1 - self.rho) / max(self.unlabelled, 1))
        labelled = torch.full((self.labelled,), self.rho / max(self.labelled, 1))
        return torch.cat([unlabelled, labelled]).to(device)

    def means(self, device: torch.device) -> Tensor:
        """Two rows of weights, [2, rows]: the mean over the unlabelled and over the labelled rows of a step."""
        means = torch.zeros(2, self.rows)
        means[0, : self.unlabelled] = 1 / max(self.unlabelled, 1)
        means[1, self.unlabelled :] = 1 / max(self.labelled, 1)
        return means.to(device)


def compose(labelled: int, unlabelled: int, settings: Settings) -> Composition:
    """M labelled and N unlabelled rows: ρ = γM/(N + γM) or as set, α = 1/ρ or as set. Raises DataError: E0636."""
    rate, gamma, batch = settings.objective.supervision_rate, settings.objective.gamma, settings.train.batch
    rho = gamma * labelled / (unlabelled + gamma * labelled)
    if rate is not None and labelled and unlabelled:
        rho = rate
    if not labelled:
        count = 0
    elif not unlabelled:
        count = batch
    elif settings.train.labelled is None:
        count = max(1, min(round(rho * batch), batch // 2))
    else:
        count = settings.train.labelled
        _check(count, batch, labelled)
    count, rest = min(count, labelled), min(batch - count, unlabelled)
    if labelled and unlabelled and not rest:
        message = f"`batch = {batch}` has no room for labelled and unlabelled rows"
        raise data_error("E0636", message, hint="at least 2 rows a step")
    steps = max(1, round(unlabelled / rest) if unlabelled else round(labelled / count))
    alpha = settings.objective.alpha if settings.objective.alpha is not None else (1 / rho if rho else 0.0)
    return Composition(rest, count, steps, rho, alpha)


def _check(count: int, batch: int, labelled: int) -> None:
    if count >= batch:
        message = f"`labelled = {count}` leaves no place for unlabelled rows in `batch = {batch}`"
        raise data_error("E0636", message, hint="`batch` counts all rows of a step, labelled ones among them")
    if not count:
        message = f"`labelled = 0`, but {labelled:,} rows have labels: they would never be seen"
        raise data_error("E0636", message, hint="to train without labels, set data.labels = 0")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rows of every step as a function of its number: each kind of row in shuffled passes of its own, one after the other,
    so that all rows of a kind are seen equally often. Nothing is remembered: a resumed run reads the same rows."""

    composition: Composition
    unlabelled: Index
    labelled: Index
    seed: int

    def epoch(self, number: int) -> Tensor:
        """The rows of all steps of an epoch (from 0), int64 [steps, rows of a step]."""
        made = self.composition
        parts = [
            _stream(self.unlabelled, made.unlabelled * made.steps, number, self.seed, UNLABELLED).reshape(
                made.steps, -1
            ),
            _stream(self.labelled, made.labelled * made.steps, number, self.seed, LABELLED).reshape(made.steps, -1),
        ]
        return torch.from_numpy(np.concatenate(parts, 1))


def _stream(rows: Index, length: int, number: int, seed: int, kind: int) -> Index:
    """The `number`-th piece of `length` rows of an endless sequence of shuffled passes."""
    if not length:
        return rows[:0]
    first, last = number * length, (number + 1) * length
    passes = range(first // len(rows), (last - 1) // len(rows) + 1)
    whole = np.concatenate([rows[shuffled(len(rows), seed, kind, p)] for p in passes])
    return whole[first - passes.start * len(rows) :][:length]
