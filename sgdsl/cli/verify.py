"""`sgdsl verify`: is the objective that a model compiles to the right one? By exact values."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sgdsl import driver
from sgdsl.cli import options
from sgdsl.cli.codes import WRONG
from sgdsl.cli.talk import Talk


@click.command()
@options.model
@options.overrides
@options.as_json
@options.talking
@options.pass_talk
def command(talk: Talk, model: Path, overrides: tuple[str, ...]) -> None:
    """Verify a model: values and gradients of every bound and pattern of labels against exact ones; exit 1 when off."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as torch loads
    talk.source = driver.read(model)
    driver.check(talk.source, overrides)
    talk.say(f"{model}: ok; loading torch")

    from sgdsl.oracle.report import as_dict, page
    from sgdsl.oracle.verify import verify

    report = verify(talk.source, overrides)
    if talk.json:
        talk.document({"ok": report.right, **as_dict(report)})
    else:
        talk.result(page(report).rstrip("\n"))
    if not report.right:
        click.get_current_context().exit(WRONG)
