"""The training loop, plain and on one device: a job and a state come in, the state is advanced to the end of training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sgdsl.driver import Program
from sgdsl.runtime.batch import Batch, Step, make_batch
from sgdsl.train.composition import Composition, Schedule
from sgdsl.train.dataset import Dataset
from sgdsl.train.errors import run_error
from sgdsl.train.failure import gradient_failure, gradient_norm, value_failure
from sgdsl.train.feed import Feed
from sgdsl.train.interrupt import Stop
from sgdsl.train.measure import Held, held_out_bound, label_errors
from sgdsl.train.meter import is_look
from sgdsl.train.patterns import Patterns
from sgdsl.train.schedule import factor, set_rate
from sgdsl.train.settings import Train
from sgdsl.train.state import State

Record = dict[str, Any]
SAVE_EVERY = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Job:
    """What does not change: `weights` [rows of a step] and `means` [2, rows] as in Composition; `labelled`: rows with
    granted labels that the label error is measured on; `validation`: rows for early stopping; `patterns`: of known labels among
    the training rows."""

    program: Program
    dataset: Dataset
    fabric: Fabric
    settings: Train
    composition: Composition
    schedule: Schedule
    feed: Feed
    weights: Tensor
    means: Tensor
    labelled: Held
    validation: Held
    patterns: Patterns

    @property
    def steps(self) -> int:
        return self.composition.steps * self.settings.epochs


@dataclass(frozen=True, slots=True)
class Events:
    """Who is told: `tick` after every step, `epoch` with its record, `save` when a checkpoint is due."""

    tick: Callable[[State, Job], None]
    epoch: Callable[[Record], None]
    save: Callable[[State], None]


def train(state: State, job: Job, events: Events, stop: Stop) -> bool:
    """Trains to the last step, or until early stopping. Returns False where `stop` was asked for first; then the state is
    saved. Raises TrainingError before the optimiser has seen a value that is not finite."""
    state.module.train()
    per_epoch = job.composition.steps
    saved, begun = time.monotonic(), time.monotonic()
    while state.step < job.steps and not state.stopped:
        rows = job.schedule.epoch(state.step // per_epoch).to(job.fabric.device)
        for i in range(state.step % per_epoch, per_epoch):
            advance(state, job, rows[i])
            now = time.monotonic()
            state.seconds, begun = state.seconds + now - begun, now
            events.tick(state, job)
            if i == per_epoch - 1:
                events.epoch(finish_epoch(state, job))
            if stop.asked or now - saved > SAVE_EVERY:
                events.save(state)
                saved = time.monotonic()
            if stop.asked:
                return False
    events.save(state)
    return True


def advance(state: State, job: Job, index: Tensor) -> None:
    """One step on the rows `index`: bound, gradient, optimiser, average."""
    state.optimizer.zero_grad(
        set_to_none=True
    )  # before the forward pass: its activations then take the place of gradients
    values, known = job.feed.rows(index, state.noise)
    batch = make_batch(state.module, values, known)
    before = state.draws.state()
    step = forward(state, job, batch)
    loss = -(job.weights @ step.objective)
    if not math.isfinite(loss.item()):
        raise value_failure(step, index, state.module, job.program, job.dataset, state.step)
    if not loss.requires_grad:
        raise run_error("E0664", "the bound depends on no weight: there is nothing to train")
    job.fabric.backward(loss)
    norm = gradient_norm(state.module.parameters()).item()
    if not math.isfinite(norm):
        _gradient_failed(state, job, batch, before, index)
    clip(state, job.settings.clip, norm)
    set_rate(state.optimizer, job.settings.lr * factor(state.step, job.steps, job.settings))
    state.optimizer.step()
    if state.average is not None:
        state.average.update(state.step)
    state.meter.add(step, job.means, job.composition.alpha)
    if is_look(state.step, job.composition.steps):
        state.meter.look(step, batch)
    state.step += 1


def forward(state: State, job: Job, batch: Batch) -> Step:
    """The emitted step, its networks in bfloat16 where the precision says so."""
    with job.fabric.autocast():
        step: Step = state.module(batch, state.draws)
    return step


def clip(state: State, limit: float | None, norm: float) -> None:
    """Scale all gradients together to a norm of at most `limit`."""
    if limit is not None and norm > limit:
        torch._foreach_mul_([p.grad for p in state.module.parameters() if p.grad is not None], limit / norm)


def _gradient_failed(state: State, job: Job, batch: Batch, before: Tensor, index: Tensor) -> NoReturn:
    """Evaluates the step again, with the same draws, to find the rows."""
    state.draws.restore(before)
    step = forward(state, job, batch)
    raise gradient_failure(step, index, state.module, job.program, job.dataset, state.step)


def finish_epoch(state: State, job: Job) -> Record:
    """The record of the epoch that has just ended; early stopping is decided here."""
    made, settings = job.composition, job.settings
    record: Record = {"epoch": state.step // made.steps, "step": state.step}
    record |= state.meter.summary(bool(made.labelled), bool(made.unlabelled))
    state.meter.clear()
    with state.averaged():
        record["error"] = label_errors(state.module, job.feed.table, job.labelled)
        if len(job.validation.rows):
            record["validation_bound"] = held_out_bound(state.module, job.feed.table, job.validation)
    if settings.patience:
        watch_patience(state, record["validation_bound"], settings.patience)
    record["lr"] = settings.lr * factor(state.step - 1, job.steps, settings)
    record["rows_per_second"] = round(state.step * made.rows / max(state.seconds, 1e-9), 1)
    record["seconds"] = round(state.seconds, 3)
    return record


def watch_patience(state: State, bound: float, patience: int) -> None:
    """Keep the weights of the best bound; after `patience` epochs without a better one the run is over."""
    if bound > state.best_bound:
        state.best = {}
        state.best_bound, state.best, state.stale = bound, state.weights(), 0
    else:
        state.stale += 1
        state.stopped = state.stale >= patience
