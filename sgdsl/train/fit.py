"""Training from start to end: a compiled program and data come in; a run folder and a trained Run go out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from sgdsl.driver import Program
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train import checkpoint, run_folder
from sgdsl.train.composition import Schedule
from sgdsl.train.errors import Interrupted, TrainingError, run_error, training_error
from sgdsl.train.evaluate import rows_tensor
from sgdsl.train.feed import Feed
from sgdsl.train.interrupt import Stop
from sgdsl.train.loop import Events, Job, Record, train
from sgdsl.train.measure import Held
from sgdsl.train.meter import Meter
from sgdsl.train.prepare import Prepared, build, device_of, prepare
from sgdsl.train.progress import Watch, watch
from sgdsl.train.run import Run
from sgdsl.train.run_folder import Folder
from sgdsl.train.schedule import Average, make_optimizer
from sgdsl.train.settings import Settings, overrides_of, settings_of
from sgdsl.train.state import State, export, restore

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
    on with, to the bit. `seed` replaces train.seed; `arguments`: the command line, for run.json.
    Raises DataError, TrainingError, RunError, Interrupted.
    """
    settings = settings_of(program, seed)
    with _reproducible(settings):
        model = build(program.text, program.model.name).to(device_of(settings.train.device))
        ready = prepare(program, model, settings, data, test)
        model.alpha = ready.composition.alpha  # type: ignore[assignment]
        job = _job(program, ready, settings)
        state = _state(model, settings, ready)
        folder = _open(program, ready, settings, out, resume, force, arguments, seed)
        if resume is not None:
            _restore(state, folder, ready)
        weights = _run(state, job, folder, ready, quiet)
        model.load_state_dict(weights)
    return Run(folder.path, program.model.name, model.eval(), run_folder.read_json(folder.config), ready, program)


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


def _job(program: Program, ready: Prepared, settings: Settings) -> Job:
    device = device_of(settings.train.device)
    rows, made = ready.split, ready.composition
    granted = {name: torch.from_numpy(mask).to(device) for name, mask in rows.granted.items()}
    known = {name: ready.table.columns[name].known for name in granted}
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
    )


def _fabric(device: torch.device, bf16: bool) -> Fabric:
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    devices = [device.index] if device.type == "cuda" else 1
    fabric = Fabric(accelerator=device.type, devices=devices, precision="bf16-mixed" if bf16 else "32-true")
    fabric.launch()
    return fabric


def _state(model: Queries, settings: Settings, ready: Prepared) -> State:
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
    return State(model, optimizer, average, Draws(draws), noise, Meter(torch.zeros(2, device=device)))


def _open(
    program: Program,
    ready: Prepared,
    settings: Settings,
    out: Path | None,
    resume: Path | None,
    force: bool,
    arguments: Sequence[str],
    seed: int | None,
) -> Folder:
    """The folder of the run, with everything in it that is known before the first step."""
    config = {"name": program.model.name, "settings": settings.as_dict(), **ready.config()}
    facts = {
        "model": program.model.name,
        "file": program.source.name,
        "arguments": list(arguments),
        "overrides": list(overrides_of(program, seed)),
        "seed": settings.train.seed,
        "data": ready.dataset.fingerprint,
    }
    if resume is None:
        folder = run_folder.make_folder(program.model.name, out, force)
        run_folder.begin(folder, program, config, facts)
        return folder
    if out is not None and out.resolve() != resume.resolve():
        raise run_error("E0660", "--resume goes on in its own folder", hint="leave --out away")
    folder = run_folder.find_folder(resume)
    _same_data(folder, facts["data"])
    run_folder.resume(folder, config, facts)
    return folder


def _same_data(folder: Folder, fingerprint: object) -> None:
    if run_folder.read_json(folder.run).get("data") != fingerprint:
        raise training_error(
            "E0652", f"`{folder.path}` was trained on other rows", hint="resume with the data of the run"
        )


def _restore(state: State, folder: Folder, ready: Prepared) -> None:
    """The last checkpoint. Raises TrainingError: E0652 where model or step are not those of the run."""
    if not folder.checkpoint.exists():
        raise training_error(
            "E0652", f"`{folder.path}` has no checkpoint to go on from", hint="start again with --force"
        )
    tensors, info = checkpoint.load(folder.checkpoint)
    made = ready.config()
    if info.get("step_rows") != made["step"] or info.get("rows") != made["rows"]:
        hint = "batch, labelled, labels, validation and α must stay as they were; epochs and lr may change"
        raise training_error("E0652", f"`{folder.path}` was trained with other rows a step", hint=hint)
    try:
        restore(state, tensors, info["state"])
    except (RuntimeError, KeyError, ValueError) as error:
        message = f"the checkpoint of `{folder.path}` is of another model: {str(error).splitlines()[0]}"
        raise training_error("E0652", message) from None
    run_folder.cut_metrics(folder, state.step)


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
        made = self.ready.config()
        facts = {"state": info, "step_rows": made["step"], "rows": made["rows"]}
        checkpoint.save(self.folder.checkpoint, tensors, facts)
        checkpoint.save(self.folder.weights, state.weights(), {"step": state.step})


def _run(state: State, job: Job, folder: Folder, ready: Prepared, quiet: bool) -> dict[str, torch.Tensor]:
    """Trains; writes how it ended into run.json. Returns the weights to evaluate with."""
    watcher = watch(job.settings.epochs, job.steps, state.step, quiet)
    recorder = Recorder(watcher, folder, ready, state.step)
    events = Events(recorder.tick, recorder.epoch, recorder.save)
    try:
        with Stop() as stop, watcher:
            for note in ready.notes:
                watcher.note(note)
            done = train(state, job, events, stop)
        if not done:
            run_folder.finish(folder, "interrupted", 130, step=state.step)
            raise Interrupted(folder.path, state.step)
    except TrainingError as error:
        error.folder = folder.path
        run_folder.finish(folder, "failed", 4, step=state.step, error=str(error))
        raise
    except OSError as error:
        raise run_error("E0661", f"cannot write to `{folder.path}`: {error.strerror or error}") from None
    run_folder.finish(folder, "done", 0, step=state.step, seconds=round(state.seconds, 1))
    return state.weights()
