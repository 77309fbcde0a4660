"""`sgdsl data make`: files in published formats, for a machine without the published ones."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk

KINDS = ("svhn-like", "yale-like", "multi-mnist")  # without importing what makes them


@click.command("make")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Another seed, other files.")
@click.option("--rows", type=click.IntRange(1), help="Training rows of svhn-like (20,000) and multi-mnist (10,000).")
@click.option("--people", type=click.IntRange(1, 38), help="People of yale-like (38), 64 pictures each.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@options.talking
@options.pass_talk
def command(
    talk: Talk, kind: str, out: Path, seed: int, rows: int | None, people: int | None, force: bool
) -> None:  # fmt: skip
    """Make synthetic data: `sgdsl data make svhn-like -o data/svhn`, `sgdsl data make yale-like -o data`."""
    from sgdsl.train.makers.made import MAKERS

    maker = MAKERS[kind]
    named = {"training rows": ("--rows", rows), "people": ("--people", people)}
    option, size = named.pop(maker.what)
    for other, value in named.values():
        if value is not None:
            raise click.UsageError(f"{kind} has no {other}: {option} says how many {maker.what}")
    if size is not None and size > maker.most:
        raise click.UsageError(f"{option} goes up to {maker.most:,}")
    if (out / maker.first).exists() and not force:
        raise click.UsageError(f"{out / maker.first} is there; --force writes over it")
    try:
        talk.result(maker.write(out, seed, size or maker.size))
    except OSError as error:
        raise click.UsageError(f"cannot write {error.filename or out}: {error.strerror}") from None
