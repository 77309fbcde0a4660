"""`sgdsl run`: trains a model and shows what it learned."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk, write

if TYPE_CHECKING:
    from sgdsl.train.result import Result
    from sgdsl.train.run import Run


@click.command("run")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@options.data
@options.overrides
@options.binding
@options.seed
@click.option("--out", type=click.Path(path_type=Path), help="The run folder; else runs/MODEL-N.")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with this run folder; MODEL is then its own.")
@click.option("--force", is_flag=True, help="Replace a run folder that is there.")
@click.option("--dry-run", is_flag=True, help="Check model and data, and say what memory the run will take.")
@options.as_json
@options.talking
@options.pass_talk
def command(
    talk: Talk,
    model: Path | None,
    data: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    out: Path | None,
    resume: Path | None,
    force: bool,
    dry_run: bool,
) -> None:
    """Train a model; print its table, and leave a run folder with weights and pictures."""
    if dry_run and resume is not None:
        raise click.UsageError("--dry-run is about a new run; leave --resume away.")
    model, overrides = _which(model, overrides, resume)
    found = checked(talk, model, overrides, aloud=not talk.json)
    program = driver.emit(found)
    talk.say(f"{model}: ok; loading torch")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as torch loads: spinning threads starve a busy machine

    if dry_run:
        _forecast(talk, program, data, seed)
        return

    from sgdsl.report.write import write_report
    from sgdsl.train.conclude import conclude
    from sgdsl.train.fit import fit

    quiet = talk.quiet or talk.json
    words = tuple(sys.argv[1:])
    run = fit(program, data, out=out, seed=seed, resume=resume, force=force, quiet=quiet, arguments=words)
    _draw(talk, found, run.folder)
    result = conclude(run, quiet=quiet)
    report = write_report(run)
    if talk.json:
        talk.document({"ok": True, "folder": str(run.folder), "report": str(report), "result": result.as_dict()})
        return
    _table(result)
    _warn(talk, program, run)
    talk.say(f"run folder: {run.folder}; to look at: {report}")


def _forecast(talk: Talk, program: driver.Program, data: Path | None, seed: int | None) -> None:
    """What the run would be, on standard output."""
    from rich.console import Console

    from sgdsl.train.diagnosis import as_diagnostic
    from sgdsl.train.dry_run import dry_run, table

    forecast = dry_run(program, data, seed=seed)
    if talk.json:
        talk.document({"ok": True, "forecast": forecast.as_dict()})
        return
    for note in forecast.ready.notes:
        talk.say(f"note: {note}")
    talk.diagnostics(as_diagnostic(found, program) for found in forecast.ready.warnings)
    talk.result(forecast.words)
    Console(highlight=False).print(table(forecast))


def _which(model: Path | None, overrides: tuple[str, ...], resume: Path | None) -> tuple[Path, tuple[str, ...]]:
    """The file and the settings: those of the run to go on with come first. Raises UsageError for neither."""
    if resume is None:
        if model is None:
            raise click.UsageError("Missing argument 'MODEL' (or --resume RUN).")
        return model, overrides
    from sgdsl.train.run_folder import saved

    path, before = saved(resume)
    return model or path, (*before, *overrides)


def _draw(talk: Talk, found: driver.Checked, folder: Path) -> None:
    """The model's graph; a run is not lost because Graphviz fails."""
    from sgdsl.backend.dot import dot
    from sgdsl.backend.draw import DrawError, draw

    try:
        write(folder / "model.svg", draw(dot(found.model), "svg"))
    except DrawError as error:
        talk.say(f"the graph could not be drawn: {error}")


def _table(result: Result) -> None:
    """The result on standard output, coloured on a terminal only."""
    from rich.console import Console

    from sgdsl.train.report import table

    Console(highlight=False).print(table(result))


def _warn(talk: Talk, program: driver.Program, run: Run) -> None:
    """What training warns of, at the lines of the file."""
    from sgdsl.train.diagnosis import as_diagnostic

    talk.diagnostics(as_diagnostic(found, program) for found in run.warnings_of_training)
