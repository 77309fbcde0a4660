"""What is trained: a cell's program and a budget of CPU seconds come in; a model that can be judged goes out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from sgdsl import driver
from sgdsl.driver import Program
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.assemble import assemble, learned, reproducible
from sgdsl.train.fit import fit
from sgdsl.train.loop import Job, advance
from sgdsl.train.prepare import Prepared, build, prepare
from sgdsl.train.settings import settings_of
from sgdsl.train.state import State
from sgdsl.train.used import load_used

WARM, TIMED = 2, 4  # steps before, and of, the measurement of a step
ROWS, STEPS, RATE = 64, 1000, 1e-3  # of the classifier that sees labels alone: the most steps


@dataclass(frozen=True, slots=True)
class Trained:
    """`epochs` None: of the classifier, which has steps."""

    model: Queries
    ready: Prepared
    seconds: float
    epochs: int | None
    steps: int


def compiled(path: Path, settings: tuple[str, ...]) -> Program:
    return driver.compile_source(driver.read(path), settings)


def started(program: Program) -> tuple[Queries, State, Job, Prepared]:
    """A training before its first step."""
    settings = settings_of(program)
    model = build(program.text, program.model.name)
    load_used(model, program)
    ready = prepare(program, model, settings, None, None)
    return model, *assemble(program, model, ready, settings), ready


def whole(path: Path, settings: tuple[str, ...], budget: float, out: Path) -> Trained:
    """The model, by as many epochs as the budget has room for, one at least: a step is timed first."""
    program = compiled(path, settings)
    with reproducible(settings_of(program)):
        _, state, job, _ = started(program)
        rows = job.schedule.epoch(0)
        state.module.train()
        for i in range(WARM):
            advance(state, job, rows[i % len(rows)])
        before = time.process_time()
        for i in range(TIMED):
            advance(state, job, rows[(WARM + i) % len(rows)])
        step = (time.process_time() - before) / TIMED
    epochs = max(1, math.floor(budget / (step * job.composition.steps)))
    before = time.process_time()
    run = fit(compiled(path, (*settings, f"train.epochs={epochs}")), out=out, force=True, quiet=True)
    assert run.prepared is not None
    seconds = time.process_time() - before
    return Trained(run.module, run.prepared, seconds, epochs, epochs * job.composition.steps)


def by_labels_alone(path: Path, settings: tuple[str, ...], nodes: tuple[str, ...], budget: float) -> Trained:
    """The recognition networks of the model, trained to predict the labels of the labelled rows and nothing else: Adam, 64 rows
    a step, until the budget or 1,000 steps are over."""
    program = compiled(path, settings)
    with reproducible(settings_of(program)):
        model, state, job, ready = started(program)
        model.train().samples = 1
        labelled = torch.from_numpy(ready.split.labelled)
        optimiser = torch.optim.Adam(learned(model), lr=RATE)
        draws = Draws(torch.Generator().manual_seed(settings_of(program).train.seed))
        begun, steps = time.process_time(), 0
        while steps < STEPS and time.process_time() - begun < budget:
            index = labelled[torch.randint(len(labelled), (min(ROWS, len(labelled)),))]
            values, known = job.feed.rows(index, state.noise)
            optimiser.zero_grad()
            _label_loss(model, values, known, nodes, draws).backward()
            optimiser.step()
            steps += 1
    return Trained(model.eval(), ready, time.process_time() - begun, None, steps)


def _label_loss(
    model: Queries,
    values: dict[str, torch.Tensor],
    known: dict[str, torch.Tensor],
    nodes: tuple[str, ...],
    draws: Draws,
) -> torch.Tensor:
    """−log q of the labels, averaged over rows, the log weight of one sample; latents above them are drawn."""
    if model.RANGES:  # the count alone, which reads the canvas
        (node,) = nodes
        given = {n: v[None] for n, v in values.items() if n in nodes or model.NODES[n].role in ("observed", "given")}
        logits = model.parameters_q(node, given)[0]
        assert isinstance(logits, torch.Tensor)
        return F.cross_entropy(logits[0], values[node] - model.NODES[node].first)
    log_w: torch.Tensor = model(make_batch(model, values, known), draws).log_w
    return -log_w.mean()
