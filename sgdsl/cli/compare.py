"""`sgdsl compare`: the results of several runs, and the settings in which they differ, as a table."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.as_json
@options.talking
@options.pass_talk
def command(talk: Talk, runs: tuple[Path, ...]) -> None:
    """Compare run folders: `sgdsl compare runs/m2-1 runs/m2-2`."""
    from rich.console import Console

    from sgdsl.train.compare import compare, comparison_table

    found = compare(runs)
    if talk.json:
        talk.document({"ok": True, **found.as_dict()})
    else:
        Console(highlight=False).print(comparison_table(found))
