"""`sgdsl explain`: an error's page, or how a model will be trained and why."""

from __future__ import annotations

import re
from pathlib import Path

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.compiled import checked
from sgdsl.cli.talk import Talk

_CODE = re.compile(r"[EWN]\d{2,4}", re.IGNORECASE)


@click.command()
@click.argument("what", metavar="CODE|MODEL")
@options.overrides
@options.talking
@options.pass_talk
def command(talk: Talk, what: str, overrides: tuple[str, ...]) -> None:
    """Explain an error's code, or a model: what is drawn, enumerated or weighed, and why."""
    if _CODE.fullmatch(what) and not Path(what).exists():
        talk.result(_page(what.upper()))
    else:
        talk.result(driver.explained(checked(talk, Path(what), overrides, aloud=True)).rstrip("\n"))


def _page(code: str) -> str:
    """A wrong program and its cure. Raises UsageError for a code that there is not."""
    from difflib import get_close_matches

    from sgdsl.catalog.errors import ERRORS

    if code not in ERRORS:
        near = get_close_matches(code, ERRORS, 1)
        raise click.UsageError(f"there is no code {code}." + (f" Did you mean {near[0]}?" if near else ""))
    page = ERRORS[code]
    parts = (f"{page.code}: {page.title}", page.text, "Wrong:", _indented(page.wrong), "Right:", _indented(page.right))
    return "\n\n".join(part.strip("\n") for part in parts)


def _indented(program: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in program.strip("\n").split("\n"))
