"""`sgdsl edit`: rows of data with some nodes set or drawn anew, as a sheet of pictures and as arrays."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk

NUMBERS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
MOST_LINES = 24  # of a sheet


@click.command()
@options.run_folder
@click.argument("rows", required=False)
@options.data
@options.values
@click.option("--keep", multiple=True, metavar="NODE,…", help="What follows a change in p, and is to stay as inferred.")
@click.option("--redraw", multiple=True, metavar="NODE,…", help="What is drawn anew along p.")
@click.option("--given", multiple=True, metavar="NODE,…", help="Supervised nodes whose labels may be seen.")
@click.option(
    "-n", "count", type=click.IntRange(1, 100), default=1, show_default=True, help="Columns of redrawn values."
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.png; FILE.npz comes beside it."
)
@options.seed
@options.talking
@options.pass_talk
def command(
    talk: Talk,
    run: Path,
    rows: str | None,
    data: Path | None,
    values: tuple[tuple[str, Any], ...],
    keep: tuple[str, ...],
    redraw: tuple[str, ...],
    given: tuple[str, ...],
    count: int,
    out: Path | None,
    seed: int | None,
) -> None:
    """Edit rows: `sgdsl edit runs/m2-1 0-9 --set y=7`.

    ROWS: numbers of held-out rows, or of the rows of --data, such as 0,5,10-19; or a file as for --data. A node set
    several times makes a column for each value. What follows a changed node in p changes with it, unless it is in --keep.
    """
    import torch

    from sgdsl.train.edit import edit
    from sgdsl.train.edit_sheet import write_edits
    from sgdsl.train.run import Run

    path = options.ending(out or run / "samples" / "edit.png", ".png", ".npz")
    chosen = _numbers(rows) if rows and NUMBERS.fullmatch(rows) else None
    source = Path(rows) if rows and chosen is None else data
    if source is None and chosen is None:
        chosen = list(range(8))
    loaded = Run.load(run)
    torch.manual_seed(seed or 0)
    wishes = {"keep": options.names(keep), "redraw": options.names(redraw), "given": options.names(given)}
    changes = [change for change in _columns(values) for _ in range(count)]
    columns = [edit(loaded, source, chosen, set=change, **wishes) for change in changes]
    heads = [", ".join(f"{n}={v}" for n, v in change.items()) for change in changes]
    written: list[Path] = []
    options.writing(path, lambda: written.extend(write_edits(loaded, columns, heads, path, MOST_LINES)))
    for file in written:
        talk.result(str(file))


def _columns(values: tuple[tuple[str, Any], ...]) -> list[dict[str, Any]]:
    """Every combination of the values that each node was set to."""
    named: dict[str, list[Any]] = {}
    for name, value in values:
        named.setdefault(name, []).append(value)
    return [dict(zip(named, row, strict=True)) for row in itertools.product(*named.values())]


def _numbers(text: str) -> list[int]:
    """`0,5,10-19`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) - int(first) >= 100_000:
            raise click.UsageError(f"{part}: too many rows")
        found += range(int(first), int(last or first) + 1)
    return found
