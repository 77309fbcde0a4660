"""`sgdsl sample`: draws from a trained model, as a picture or as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk


@click.command()
@options.run_folder
@click.argument("given", nargs=-1, metavar="[NODE=VALUE]...")
@options.values
@click.option("-n", "count", type=click.IntRange(min=1, max=10_000), default=16, show_default=True, help="How many.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.png, or .npz for every node.")
@options.seed
@options.talking
@options.pass_talk
def command(
    talk: Talk,
    run: Path,
    given: tuple[str, ...],
    values: tuple[tuple[str, Any], ...],
    count: int,
    out: Path | None,
    seed: int | None,
) -> None:
    """Sample a run folder: `sgdsl sample runs/m2-1 y=3`, or `--set y=3`."""
    held = dict((*(options.pair(g) for g in given), *values))
    name = "-".join(["sample", *(f"{node}{value}" for node, value in held.items())])
    path = out or run / "samples" / f"{''.join(c if c.isalnum() or c in '-.' else '_' for c in name)}.png"
    if path.suffix not in (".png", ".npz"):
        raise click.UsageError(f"cannot write {path}: its name ends in neither .png nor .npz")
    _draw(run, path, count, held, seed)
    talk.result(str(path))


def _draw(run: Path, path: Path, count: int, given: dict[str, Any], seed: int | None) -> None:
    import numpy as np
    import torch

    from sgdsl.train.pictures import picture
    from sgdsl.train.run import Run

    if seed is not None:
        torch.manual_seed(seed)
    loaded = Run.load(run)
    loaded.clamped(count, given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            picture(loaded, path, n=count, given=given)
        else:
            drawn: dict[str, Any] = loaded.sample(count, given)
            np.savez(path, **drawn)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
