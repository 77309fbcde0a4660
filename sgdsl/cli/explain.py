"""`sgdsl explain`: an error's page, or how a model will be trained and why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk

if TYPE_CHECKING:
    from sgdsl.catalog.errors import ErrorPage

_CODE = re.compile(r"[EWN]\d{2,4}", re.IGNORECASE)


@click.command()
@click.argument("what", metavar="CODE|MODEL")
@click.option("--latex", is_flag=True, help="Print the objectives of a model as LaTeX, an align* a pattern of labels.")
@options.overrides
@options.as_json
@options.talking
@options.pass_talk
def command(talk: Talk, what: str, latex: bool, overrides: tuple[str, ...]) -> None:
    """Explain an error's code, or how a model is trained and why.

    For each pattern of labels: the objective in mathematics, what each node and each label does, how often the
    networks run; and the line of each term in the file and in `sgdsl show`.
    """
    if latex and talk.json:
        raise click.UsageError("--latex and --json exclude each other.")
    if _CODE.fullmatch(what) and not Path(what).exists():
        _explain_code(talk, what.upper(), latex)
        return
    model = checked(talk, Path(what), overrides, aloud=True)
    if talk.json:
        talk.document({"ok": True, **driver.explained_as_data(model)})
    else:
        talk.result((driver.explained_in_latex(model) if latex else driver.explained(model)).rstrip("\n"))


def _explain_code(talk: Talk, code: str, latex: bool) -> None:
    if latex:
        raise click.UsageError("--latex is for a model.")
    if talk.json:
        found = _row(code)
        page = {
            "code": found.code,
            "title": found.title,
            "text": found.text,
            "wrong": found.wrong,
            "right": found.right,
        }
        talk.document({"ok": True, **page})
    else:
        talk.result(_page(code))


def _row(code: str) -> ErrorPage:
    """The page of a code. Raises UsageError for a code that there is not."""
    from difflib import get_close_matches

    from sgdsl.catalog.errors import ERRORS

    if code not in ERRORS:
        near = get_close_matches(code, ERRORS, 1)
        raise click.UsageError(f"there is no code {code}." + (f" Did you mean {near[0]}?" if near else ""))
    return ERRORS[code]


def _page(code: str) -> str:
    """A wrong program and its cure."""
    page = _row(code)
    parts = (f"{page.code}: {page.title}", page.text, "Wrong:", _indented(page.wrong), "Right:", _indented(page.right))
    return "\n\n".join(part.strip("\n") for part in parts)


def _indented(program: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in program.strip("\n").split("\n"))
