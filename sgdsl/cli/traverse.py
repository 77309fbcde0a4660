"""`sgdsl traverse`: a latent's dimensions swept one at a time, as a sheet of pictures and as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk


@click.command()
@options.run_folder
@click.option("--node", required=True, help="The node whose cells are moved.")
@click.option(
    "--row", type=click.IntRange(min=0), help="Start from a held-out row, or a row of --data; else from p's means."
)
@options.data
@options.values
@click.option("--cell", "cells", type=click.IntRange(min=0), multiple=True, help="Move these alone; else the first 24.")
@click.option("--steps", type=click.IntRange(2, 100), default=9, show_default=True, help="Values of a cell.")
@click.option(
    "--span",
    type=click.FloatRange(0, min_open=True),
    default=2.5,
    show_default=True,
    help="Standard deviations to both sides.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.png; FILE.npz comes beside it."
)
@options.talking
@options.pass_talk
def command(
    talk: Talk,
    run: Path,
    node: str,
    row: int | None,
    data: Path | None,
    values: tuple[tuple[str, Any], ...],
    cells: tuple[int, ...],
    steps: int,
    span: float,
    out: Path | None,
) -> None:
    """Sweep a node: `sgdsl traverse runs/m2-1 --node z --set y=3`."""
    import torch

    from sgdsl.train.run import Run
    from sgdsl.train.traverse import traverse, write_traversal

    path = options.ending(out or run / "samples" / f"traverse-{node}.png", ".png", ".npz")
    loaded = Run.load(run)
    torch.manual_seed(0)
    found = traverse(loaded, node, data=data, row=row, set=dict(values), cells=cells or None, steps=steps, span=span)
    written: list[Path] = []
    options.writing(path, lambda: written.extend(write_traversal(loaded, found, path)))
    for file in written:
        talk.result(str(file))
