"""`sgdsl show`: a model as one stage of the compiler has it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk


@click.command()
@options.model
@click.option("--stage", type=click.Choice(get_args(driver.Stage)), default="python", show_default=True)
@options.overrides
@options.talking
@options.pass_talk
def command(talk: Talk, model: Path, stage: driver.Stage, overrides: tuple[str, ...]) -> None:
    """Show a model as a stage of the compiler has it."""
    talk.result(driver.show(checked(talk, model, overrides), stage).rstrip("\n"))
