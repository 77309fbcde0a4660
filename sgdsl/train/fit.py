"""Training from start to end: a compiled program and data come in; a run folder and a trained Run go out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sgdsl.base.render import render
from sgdsl.driver import Program
from sgdsl.runtime.queries import Queries
from sgdsl.train import checkpoint, run_folder
from sgdsl.train.assemble import assemble, reproducible
from sgdsl.train.denormals import flushed_denormals
from sgdsl.train.diagnose import diagnose
from sgdsl.train.diagnosis import as_diagnostic
from sgdsl.train.errors import Interrupted, TrainingError, run_error
from sgdsl.train.interrupt import Stop
from sgdsl.train.loop import Events, Job, Record, train
from sgdsl.train.opening import describe, facts_of_checkpoint, new, resumed
from sgdsl.train.pages import kept_pages
from sgdsl.train.prepare import Prepared, build, device_of, prepare
from sgdsl.train.progress import Watch, say, watch
from sgdsl.train.run import Run
from sgdsl.train.run_folder import Folder
from sgdsl.train.settings import Settings, settings_of
from sgdsl.train.sources import path_of
from sgdsl.train.state import State, Weights, export
from sgdsl.train.unscaled import unscaled
from sgdsl.train.used import load_used


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

    `data`: None for the file's own line; a path of a file or folder of any kind that is read; a mapping or object of arrays,
    `test` its held-out rows. `out`: the run folder, else runs/NAME-N; `force` replaces one. `resume`: a run folder to go
    on with, to the bit, on the run's own data file where none is given. `seed` replaces train.seed; `arguments`: the
    command line, for run.json.
    Raises DataError, TrainingError, RunError, Interrupted. Warnings about the rows are printed before the first step.
    """
    settings = settings_of(program, seed)
    if resume is not None and data is None and not settings.data.name:
        data = path_of(run_folder.read_json(run_folder.find_folder(resume).config)["origin"])
    with reproducible(settings):
        model = build(program.text, program.model.name).to(device_of(settings.train.device))
        if resume is None:
            load_used(model, program)
        ready = prepare(program, model, settings, data, test)
        ready = replace(ready, warnings=(*ready.warnings, *unscaled(model, ready.table, ready.dataset.train)))
        state, job = assemble(program, model, ready, settings)
        facts = describe(program, ready, settings, arguments, seed)
        folder = new(facts, out, force) if resume is None else resumed(facts, resume, out, state)
        with kept_pages(job.fabric.device), flushed_denormals(job.fabric.device):
            for found in ready.warnings:
                say(render(as_diagnostic(found, program)) + "\n", quiet)
            weights = _run(state, job, folder, ready, quiet)
        model.load_state_dict(weights)
    _diagnose(job, ready, settings, model.eval(), folder)
    return Run(folder.path, program.model.name, model, run_folder.read_json(folder.config), ready, program)


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
