"""`sgdsl report`: a run folder as one web page."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk


@click.command()
@options.run_folder
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.html; else report.html in RUN."
)
@options.talking
@options.pass_talk
def command(talk: Talk, run: Path, out: Path | None) -> None:
    """Write a run as one web page that opens offline; `sgdsl run` ends with it."""
    if out is not None and out.suffix not in (".html", ".htm"):
        raise click.UsageError(f"cannot write {out}: its name does not end in .html")

    from sgdsl.report.write import write_report
    from sgdsl.train.run import Run

    talk.result(str(write_report(Run.load(run), out)))
