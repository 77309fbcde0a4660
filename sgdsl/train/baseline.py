"""The same encoder trained on labels alone: a run's labelled rows come in, its scores on held-out rows go out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch

from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.train.composition import Composition, Schedule
from sgdsl.train.evaluate import FOR_LABELS, rows_tensor, supervised
from sgdsl.train.failure import gradient_norm
from sgdsl.train.feed import Feed
from sgdsl.train.measure import Held, Score, scores
from sgdsl.train.prepare import Prepared, build, device_of
from sgdsl.train.schedule import Average, factor, make_optimizer, set_rate
from sgdsl.train.settings import Settings

ROWS = 100  # of a step
LEAST = 100  # steps, however short the run was
PASSES = 20  # over the labelled rows, but from 1,000 to 4,000 steps: fixed before any row is looked at


def labels_alone(text: str, name: str, ready: Prepared, settings: Settings) -> Mapping[str, Score]:
    """Maximises log q(labels | x) and nothing else: the log importance weight of the emitted step, with at most two draws. The
    weights start as the model's do; optimiser, learning rate, binarisation and weight average are the run's. Empty where
    there are no labels or no held-out rows, or where training it fails."""
    rows, device = ready.split, device_of(settings.train.device)
    if not len(rows.labelled) or not len(ready.dataset.test):
        return {}
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(settings.train.seed)
        model = build(text, name).to(device)
        model.samples = min(cast(int, model.samples), 2)  # type: ignore[assignment]
        optimizer = make_optimizer(model.parameters(), settings.train)
        average = Average(model.parameters(), settings.train.average) if settings.train.average else None
        noise, draws = (torch.Generator(device).manual_seed(settings.train.seed + i) for i in (1, 2))
        steps, made = _steps(ready, settings)
        order = Schedule(made, rows.unlabelled, rows.labelled, settings.train.seed)
        feed = Feed(ready.table, {n: torch.from_numpy(m).to(device) for n, m in rows.granted.items()})
        for step in range(steps):
            index = order.epoch(step)[0].to(device)
            loss = -model(make_batch(model, *feed.rows(index, noise)), Draws(draws)).log_w.mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if not math.isfinite(gradient_norm(model.parameters()).item()):
                return {}
            set_rate(optimizer, settings.train.lr * factor(step, steps, settings.train))
            optimizer.step()
            if average is not None:
                average.update(step)
    if average is not None:
        for parameter, weight in zip(average.parameters, average.weights, strict=True):
            parameter.data = weight
    test = rows_tensor(ready.dataset.test, device)
    return scores(model.eval(), ready.table, Held(test, supervised(model, ready.table), FOR_LABELS))


def _steps(ready: Prepared, settings: Settings) -> tuple[int, Composition]:
    """Passes over the labelled rows alone, one step an epoch of the schedule; no more steps than the run itself had."""
    labelled = len(ready.split.labelled)
    count = min(ROWS, labelled)
    steps = min(max(1000, PASSES * math.ceil(labelled / count)), 4000)
    longest = max(LEAST, ready.composition.steps * settings.train.epochs)
    return min(steps, longest), Composition(0, count, 1, 1.0, 0.0)
