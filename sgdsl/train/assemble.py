"""The parts of a run put together: a program, its module and checked rows come in; what changes while it is trained and what
does not go out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from sgdsl.driver import Program
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.arithmetic import in_bf16
from sgdsl.train.composition import Schedule
from sgdsl.train.errors import run_error
from sgdsl.train.evaluate import rows_tensor
from sgdsl.train.feed import Feed
from sgdsl.train.loop import Job
from sgdsl.train.measure import Held
from sgdsl.train.meter import Meter
from sgdsl.train.patterns import find_patterns
from sgdsl.train.prepare import Prepared, device_of
from sgdsl.train.schedule import Average, make_optimizer
from sgdsl.train.settings import Settings
from sgdsl.train.state import State

MEASURED = 500  # labelled rows whose error is measured after each epoch
SEEDS = 2**63 - 1
NOISE, DRAWS = 1, 2  # added to the seed, so that no two generators run alike


def assemble(program: Program, model: Queries, ready: Prepared, settings: Settings) -> tuple[State, Job]:
    """The state before the first step and the job. The module's α becomes that of the rows. Raises RunError: E0664, E0667."""
    model.alpha = ready.composition.alpha  # type: ignore[assignment]
    job = _job(program, model, ready, settings)
    return _state(model, settings, job), job


@contextmanager
def reproducible(settings: Settings) -> Iterator[None]:
    """Everything drawn inside comes from the seed; what the caller's program draws later is as if nothing had happened."""
    precision = torch.get_float32_matmul_precision()
    device = device_of(settings.train.device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(settings.train.seed % SEEDS)
        torch.set_float32_matmul_precision("medium" if settings.train.precision == "medium" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)


def _job(program: Program, model: Queries, ready: Prepared, settings: Settings) -> Job:
    device = device_of(settings.train.device)
    rows, made = ready.split, ready.composition
    granted = {name: torch.from_numpy(mask).to(device) for name, mask in rows.granted.items()}
    known = {name: ready.table.columns[name].known for name in granted}
    supervised = [name for name, info in model.NODES.items() if info.role == "supervised"]
    return Job(
        program,
        ready.dataset,
        _fabric(device, in_bf16(settings.train, device)),
        settings.train,
        made,
        Schedule(made, rows.unlabelled, rows.labelled, settings.train.seed),
        Feed(ready.table, granted),
        made.weights(device),
        made.means(device),
        Held(rows_tensor(rows.labelled[:: max(1, len(rows.labelled) // MEASURED)], device), granted),
        Held(rows_tensor(rows.validation, device), known),
        find_patterns(supervised, rows.granted, np.concatenate([rows.unlabelled, rows.labelled])),
    )


def _fabric(device: torch.device, bf16: bool) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    devices = [device.index] if device.type == "cuda" else 1
    fabric = Fabric(accelerator=device.type, devices=devices, precision="bf16-mixed" if bf16 else "32-true")
    fabric.launch()
    return fabric


def learned(model: Queries) -> list[nn.Parameter]:
    """The weights that are trained: those of frozen models are not. Raises RunError: E0664 where there are none."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        hint = "give a factor a network or `learned`"
        raise run_error("E0664", "the model has no weights: there is nothing to train", hint=hint)
    return parameters


def _state(model: Queries, settings: Settings, job: Job) -> State:
    parameters = learned(model)
    device = parameters[0].device
    noise, draws = (
        torch.Generator(device).manual_seed((settings.train.seed + SEEDS // 3 * i) % SEEDS) for i in (NOISE, DRAWS)
    )
    average = Average(parameters, settings.train.average) if settings.train.average else None
    optimizer = make_optimizer(parameters, settings.train)
    weighed = settings.objective.bound != "clamped"
    meter = Meter(torch.zeros(2, device=device), job.patterns, cast(int, model.samples), weighed)
    return State(model, optimizer, average, Draws(draws), noise, meter)
