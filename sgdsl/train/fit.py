"""Training from start to end: a compiled program and data come in; a run folder and a trained Run go out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric

from sgdsl.driver import Program
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train import checkpoint, run_folder
from sgdsl.train.composition import Schedule
from sgdsl.train.diagnose import diagnose
from sgdsl.train.errors import Interrupted, TrainingError, run_error
from sgdsl.train.evaluate import rows_tensor
from sgdsl.train.feed import Feed
from sgdsl.train.interrupt import Stop
from sgdsl.train.loop import Events, Job, Record, train
from sgdsl.train.measure import Held
from sgdsl.train.meter import Meter
from sgdsl.train.opening import describe, facts_of_checkpoint, new, resumed
from sgdsl.train.patterns import find_patterns
from sgdsl.train.prepare import Prepared, build, device_of, prepare
from sgdsl.train.progress import Watch, watch
from sgdsl.train.run import Run
from sgdsl.train.run_folder import Folder
from sgdsl.train.schedule import Average, make_optimizer
from sgdsl.train.settings import Settings, settings_of
from sgdsl.train.sources import path_of
from sgdsl.train.state import State, Weights, export

MEASURED = 500  # labelled rows whose error is measured after each epoch
SEEDS = 2**63 - 1
NOISE, DRAWS = 1, 2  # added to the seed, so that no two generators run alike


def fit(
    program: Program,
    data: object = None,
    *,
    test: object = None,
    out: Path | None = None,
    seed: int | None = None,
    resume: Path | None = None,
    force: bool = False,
    quiet: bool = False,
    arguments: Sequence[str] = (),
) -> Run:
    """Trains a program to the end of its epochs and returns the run, with the weights to evaluate with.

    `data`: None for the file's own line; a path of a .npz file or a folder of idx files; a mapping or object of arrays,
    `test` its held-out rows. `out`: the run folder, else runs/NAME-N; `force` replaces one. `resume`: a run folder to go
    on with, to the bit, on the run's own data file where none is given. `seed` replaces train.seed; `arguments`: the
    command line, for run.json.
    Raises DataError, TrainingError, RunError, Interrupted.
    """
    settings = settings_of(program, seed)
    if resume is not None and data is None and program.model.data is None:
        data = path_of(run_folder.read_json(run_folder.find_folder(resume).config)["origin"])
    with _reproducible(settings):
        model = build(program.text, program.model.name).to(device_of(settings.train.device))
        ready = prepare(program, model, settings, data, test)
        model.alpha = ready.composition.alpha  # type: ignore[assignment]
        job = _job(program, model, ready, settings)
        state = _state(model, settings, job)
        facts = describe(program, ready, settings, arguments, seed)
        folder = new(facts, out, force) if resume is None else resumed(facts, resume, out, state)
        weights = _run(state, job, folder, ready, quiet)
        model.load_state_dict(weights)
    _diagnose(job, ready, settings, model.eval(), folder)
    return Run(folder.path, program.model.name, model, run_folder.read_json(folder.config), ready, program)


# --- before the first step ------------------------------------------------------------------------------------


@contextmanager
def _reproducible(settings: Settings) -> Iterator[None]:
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
        _fabric(device, settings.train.precision == "bf16"),
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
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    devices = [device.index] if device.type == "cuda" else 1
    fabric = Fabric(accelerator=device.type, devices=devices, precision="bf16-mixed" if bf16 else "32-true")
    fabric.launch()
    return fabric


def _state(model: Queries, settings: Settings, job: Job) -> State:
    parameters = list(model.parameters())
    if not parameters:
        hint = "give a factor a network or `learned`"
        raise run_error("E0664", "the model has no weights: there is nothing to train", hint=hint)
    device = parameters[0].device
    noise, draws = (
        torch.Generator(device).manual_seed((settings.train.seed + SEEDS // 3 * i) % SEEDS) for i in (NOISE, DRAWS)
    )
    average = Average(parameters, settings.train.average) if settings.train.average else None
    optimizer = make_optimizer(parameters, settings.train)
    weighed = settings.objective.bound != "clamped"
    meter = Meter(torch.zeros(2, device=device), job.patterns, cast(int, model.samples), weighed)
    return State(model, optimizer, average, Draws(draws), noise, meter)


# --- the run --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Recorder:
    """Tells the watcher and the folder what happens. `begun`: steps done before this session."""

    watcher: Watch
    folder: Folder
    ready: Prepared
    begun: int

    def tick(self, state: State, job: Job) -> None:
        self.watcher.tick(state.step, (state.step - self.begun) * job.composition.rows)

    def epoch(self, record: Record) -> None:
        run_folder.append_record(self.folder, record)
        self.watcher.epoch(record)

    def save(self, state: State) -> None:
        tensors, info = export(state)
        checkpoint.save(self.folder.checkpoint, tensors, {"state": info, **facts_of_checkpoint(self.ready)})
        checkpoint.save(self.folder.weights, state.weights(), {"step": state.step})


def _run(state: State, job: Job, folder: Folder, ready: Prepared, quiet: bool) -> Weights:
    """Trains; writes how it ended into run.json. Returns the weights to evaluate with."""
    watcher = watch(job.settings.epochs, job.steps, state.step, quiet)
    recorder = Recorder(watcher, folder, ready, state.step)
    events = Events(recorder.tick, recorder.epoch, recorder.save)
    end = ("crashed", 1)
    try:
        with Stop() as stop, watcher:
            for note in ready.notes:
                watcher.note(note)
            done = train(state, job, events, stop)
        end = ("done", 0) if done else ("interrupted", 130)
    except TrainingError as error:
        end, error.folder = ("failed", 4), folder.path
        raise
    except KeyboardInterrupt:
        end = ("interrupted", 130)
        raise
    except OSError as error:
        raise run_error("E0661", f"cannot write to `{folder.path}`: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            run_folder.finish(folder, *end, step=state.step, seconds=round(state.seconds, 1))
    if not done:
        raise Interrupted(folder.path, state.step)
    return state.weights()


def _diagnose(job: Job, ready: Prepared, settings: Settings, model: Queries, folder: Folder) -> None:
    """Writes diagnosis.json."""
    found = diagnose(job, ready, settings, model, run_folder.read_records(folder))
    try:
        checkpoint.write_json(folder.diagnosis, found.as_dict())
    except OSError as error:
        raise run_error("E0661", f"cannot write to `{folder.path}`: {error.strerror or error}") from None
