"""`sgdsl impute`: the missing cells of a file filled in by a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk


@click.command()
@options.run_folder
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.npz or FILE.csv; else RUN/imputed.npz."
)
@click.option("--given", multiple=True, metavar="NODE,…", help="Supervised nodes whose labels in DATA may be seen.")
@click.option("--samples", type=click.IntRange(min=1), default=100, show_default=True, help="Draws a row.")
@options.seed
@options.talking
@options.pass_talk
def command(
    talk: Talk, run: Path, data: Path | None, out: Path | None, given: tuple[str, ...], samples: int, seed: int | None
) -> None:
    """Fill in missing cells of partial nodes: `sgdsl impute runs/cells-1 new.npz -o full.npz`.

    DATA: a .npz file, all its rows; else the held-out rows of the run.
    """
    import torch

    from sgdsl.train.impute import impute, write_imputed
    from sgdsl.train.run import Run

    path = options.ending(out or run / "imputed.npz", ".npz", ".csv")
    loaded = Run.load(run)
    torch.manual_seed(seed or 0)
    found = impute(loaded, data, given=options.names(given), samples=samples)
    options.writing(path, lambda: write_imputed(found, path))
    cells = sum(int(mask.sum()) for mask in found.missing.values())
    talk.say(f"{cells:,} cells filled in {len(found.ess):,} rows; {found.ess.mean():.1f} of {found.draws} draws count")
    talk.result(str(path))
