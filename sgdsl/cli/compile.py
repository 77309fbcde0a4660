"""`sgdsl compile`: a model as one Python file that needs torch alone."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk, write


@click.command()
@options.model
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file; else standard output.")
@options.overrides
@options.talking
@options.pass_talk
def command(talk: Talk, model: Path, out: Path | None, overrides: tuple[str, ...]) -> None:
    """Compile a model to one Python file that needs torch alone."""
    if out is not None and (out.suffix == ".sgm" or (out.exists() and out.samefile(model))):
        raise click.UsageError(
            f"{out} would be overwritten: a model's Python goes into a file of its own, such as {out.stem}.py"
        )
    text = driver.compile_alone(driver.emit(checked(talk, model, overrides, aloud=True)))
    if out is None:
        talk.result(text.rstrip("\n"))
        return
    write(out, text)
    talk.say(f"wrote {out}")
