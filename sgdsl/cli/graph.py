"""`sgdsl graph`: the picture of a model, as DOT on standard output or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk, write

VIEWS = ("both", "model", "recognition")


@click.command()
@options.model
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.svg, .png, .pdf or .dot.")
@click.option("--view", type=click.Choice(VIEWS), default="both", show_default=True)
@options.talking
@options.pass_talk
def command(talk: Talk, model: Path, out: Path | None, view: str) -> None:
    """Draw a model; without -o as DOT on standard output."""
    from sgdsl.backend.dot import View, dot
    from sgdsl.backend.draw import FORMATS, DrawError, draw

    kind = out.suffix.lstrip(".").lower() if out else "dot"
    if kind not in (*FORMATS, "dot", "gv"):
        raise click.UsageError(f"cannot draw {out}: its name ends in none of .svg, .png, .pdf, .dot")
    text = dot(checked(talk, model, aloud=True).model, next(v for v in get_args(View) if v == view))
    if out is None:
        talk.result(text.rstrip("\n"))
        return
    try:
        write(out, text if kind in ("dot", "gv") else draw(text, next(f for f in FORMATS if f == kind)))
    except DrawError as error:
        raise click.ClickException(f"Graphviz could not draw it: {error}") from None
    talk.say(f"wrote {out}")
