"""`sgdsl check`: are these models right? Every mistake of each file, without torch."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl import checked
from sgdsl.base.diagnostics import Diagnostic, DiagnosticError
from sgdsl.base.render import as_dict
from sgdsl.base.source import Source
from sgdsl.cli import options
from sgdsl.cli.codes import WRONG
from sgdsl.cli.talk import Talk


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.overrides
@options.as_json
@options.talking
@options.pass_talk
def command(talk: Talk, models: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Check models: names, types, shapes, graphs, settings."""
    wrong, found = False, []
    for path in models:
        source, right, diagnostics = _check(path, overrides)
        wrong |= not right
        found += [as_dict(d, source) for d in diagnostics]
        if not talk.json:
            talk.source = source
            talk.diagnostics(diagnostics)
            if right:
                talk.result(f"{path}: ok")
    if talk.json:
        talk.document({"ok": not wrong, "diagnostics": found})
    if wrong:
        click.get_current_context().exit(WRONG)


def _check(path: Path, overrides: tuple[str, ...]) -> tuple[Source | None, bool, tuple[Diagnostic, ...]]:
    """The source, whether it is right, and what there is to say."""
    source = None
    try:
        source = checked.read(path)
        found = checked.check(source, overrides)
        return source, True, (*found.notes, *checked.remarks(found))
    except DiagnosticError as error:
        return source, False, error.diagnostics
