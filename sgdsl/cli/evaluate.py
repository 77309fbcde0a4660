"""`sgdsl eval`: a trained model on held-out rows."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk


@click.command("eval")
@options.run_folder
@options.data
@click.option("--samples", type=click.IntRange(min=1), default=50, show_default=True, help="Draws a row for the bound.")
@options.as_json
@options.talking
@options.pass_talk
def command(talk: Talk, run: Path, data: Path | None, samples: int) -> None:
    """Evaluate a run folder on held-out rows, their labels hidden."""
    from rich.console import Console

    from sgdsl.train.report import table
    from sgdsl.train.run import Run

    evaluation = Run.load(run, data).evaluate(samples=samples)
    if talk.json:
        talk.document({"ok": True, "folder": str(run), "result": evaluation.as_dict()})
    else:
        Console(highlight=False).print(table(evaluation))
