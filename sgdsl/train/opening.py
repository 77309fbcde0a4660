"""How a run begins: a new folder that says what is run, or an old one with the state of its last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdsl.driver import Program
from sgdsl.train import checkpoint, run_folder
from sgdsl.train.errors import run_error, training_error
from sgdsl.train.prepare import Prepared
from sgdsl.train.run_folder import Folder
from sgdsl.train.settings import Settings, overrides_of
from sgdsl.train.state import State, restore


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a run folder says before the first step. `config`: of config.json, `run`: of run.json."""

    program: Program
    ready: Prepared
    config: dict[str, Any]
    run: dict[str, Any]


def describe(
    program: Program, ready: Prepared, settings: Settings, arguments: Sequence[str], seed: int | None
) -> Facts:
    """`arguments`: the command line; `seed`: given instead of train.seed."""
    config = {"name": program.model.name, "settings": settings.as_dict(), **ready.config()}
    run = {
        "model": program.model.name,
        "file": program.source.name,
        "arguments": list(arguments),
        "overrides": list(overrides_of(program, seed)),
        "seed": settings.train.seed,
        "data": ready.dataset.fingerprint,
    }
    return Facts(program, ready, config, run)


def new(facts: Facts, out: Path | None, force: bool) -> Folder:
    """A folder of its own. Raises RunError: E0660, E0661."""
    folder = run_folder.make_folder(facts.program.model.name, out, force)
    run_folder.begin(folder, facts.program, facts.config, facts.run)
    return folder


def resumed(facts: Facts, path: Path, out: Path | None, state: State) -> Folder:
    """The folder of a run that goes on, its last checkpoint in `state`; nothing in it is changed before that is sure.
    Raises RunError: E0660, E0662, E0663; TrainingError: E0652 where model, rows or steps are not those of the run."""
    if out is not None and out.resolve() != path.resolve():
        raise run_error("E0660", "--resume goes on in its own folder", hint="leave --out away")
    folder = run_folder.find_folder(path)
    if run_folder.read_json(folder.run).get("data") != facts.run["data"]:
        message = f"`{path}` was trained on other rows"
        raise training_error("E0652", message, hint="resume with the data of the run")
    if not folder.checkpoint.exists():
        message = f"`{path}` has no checkpoint to go on from: it was stopped before the first one"
        raise training_error("E0652", message, hint=f"start again: sgdsl run {folder.model} --out {path} --force")
    _restore(state, folder, facts.ready)
    run_folder.cut_metrics(folder, state.step)
    run_folder.resume(folder, facts.program, facts.config, facts.run)
    return folder


def facts_of_checkpoint(ready: Prepared) -> dict[str, Any]:
    """What must be the same when a run goes on: the rows, and how a step is made of them."""
    made = ready.config()
    return {"step_rows": made["step"], "rows": made["rows"]}


def _restore(state: State, folder: Folder, ready: Prepared) -> None:
    tensors, info = checkpoint.load(folder.checkpoint)
    if any(info.get(name) != value for name, value in facts_of_checkpoint(ready).items()):
        hint = "batch, labelled, labels, validation and α must stay as they were; epochs and lr may change"
        raise training_error("E0652", f"`{folder.path}` was trained with other rows a step", hint=hint)
    try:
        restore(state, tensors, info["state"])
    except (RuntimeError, KeyError, ValueError) as error:
        message = f"the checkpoint of `{folder.path}` is of another model: {str(error).splitlines()[0]}"
        raise training_error("E0652", message) from None
