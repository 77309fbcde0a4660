"""`sgdsl data show`: what a file, a folder or a named data set holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk

if TYPE_CHECKING:
    from sgdsl.train.bind import Table
    from sgdsl.train.dataset import Dataset


@click.command("show")
@click.argument("what", metavar="FILE|NAME")
@click.argument("given", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option("--model", type=click.Path(path_type=Path), help="Count what is known for the nodes of this .sgm file.")
@options.bind
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="A contact sheet: FILE.png.")
@options.as_json
@options.talking
@options.pass_talk
def command(
    talk: Talk, what: str, given: tuple[str, ...], model: Path | None, bind: tuple[str, ...], out: Path | None
) -> None:
    """Show shapes, ranges and labels: `sgdsl data show rows.csv missing=-1`, `sgdsl data show mnist -o sheet.png`."""
    from rich.console import Console

    from sgdsl.train.census import census, tables
    from sgdsl.train.sources import look

    if out is not None and out.suffix != ".png":
        raise click.UsageError(f"cannot write {out}: its name does not end in .png")
    dataset = look(what, dict(_pair(g) for g in given))
    found = census(dataset, None if model is None else _bound(talk, dataset, model, bind))
    if not talk.json:
        for table in tables(found):
            Console(highlight=False).print(table)
        for note in found.notes:
            talk.say(f"note: {note}")
        talk.diagnostics(dataset.warnings)
    if out is not None:
        _sheet(dataset, out)
    if talk.json:
        talk.document({"ok": True, "data": found.as_dict()})
    elif out is not None:
        talk.result(str(out))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.UsageError(f"`{text}` is no OPTION=VALUE, such as missing=-1")
    return name, value


def _bound(talk: Talk, dataset: Dataset, model: Path, pairs: tuple[str, ...]) -> Table:
    """The columns of a model's nodes."""
    program = driver.emit(checked(talk, model, options.bound(pairs)))

    from sgdsl.train.bind import Rules, bind
    from sgdsl.train.prepare import build
    from sgdsl.train.settings import settings_of

    line = settings_of(program).data
    nodes = build(program.text, program.model.name).NODES
    return bind(dataset, nodes, Rules(line.names, line.binarise, greys=line.greys))


def _sheet(dataset: Dataset, out: Path) -> None:
    from sgdsl.train.contact import contact_sheet

    try:
        contact_sheet(dataset, out)
    except OSError as error:
        raise click.UsageError(f"cannot write {out}: {error.strerror}") from None
