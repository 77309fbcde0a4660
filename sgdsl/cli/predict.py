"""`sgdsl predict`: what a trained model believes about the nodes of each row of a file, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgdsl.cli import options
from sgdsl.cli.talk import Talk

if TYPE_CHECKING:
    from sgdsl.train.predict import Answer


@click.command()
@options.run_folder
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.csv; else RUN/predictions.csv."
)
@click.option("--given", multiple=True, metavar="NODE,…", help="Supervised nodes whose labels in DATA may be seen.")
@click.option("--node", "nodes", multiple=True, metavar="NODE,…", help="What to predict; else all labels not given.")
@click.option("--samples", type=click.IntRange(min=1), default=32, show_default=True, help="Draws a row and value.")
@click.option("--only-q", is_flag=True, help="Leave the beliefs by p out, which cost a decoder for every draw.")
@options.seed
@options.as_json
@options.talking
@options.pass_talk
def command(
    talk: Talk,
    run: Path,
    data: Path | None,
    out: Path | None,
    given: tuple[str, ...],
    nodes: tuple[str, ...],
    samples: int,
    only_q: bool,
    seed: int | None,
) -> None:
    """Predict labels: `sgdsl predict runs/m2-1 new.npz -o out.csv`.

    DATA: a .npz file or a folder of idx files, all its rows; else the held-out rows of the run. Columns: `y.q` by the
    recognition model, `y.p` corrected by importance weights p/r, `y.ess` how many draws count.
    """
    import torch

    from sgdsl.train.answers import write_csv
    from sgdsl.train.predict import predict
    from sgdsl.train.run import Run

    path = options.ending(out or run / "predictions.csv", ".csv")
    loaded = Run.load(run)
    torch.manual_seed(seed or 0)
    found = predict(
        loaded, data, given=options.names(given), nodes=options.names(nodes), samples=samples, correct=not only_q
    )
    options.writing(path, lambda: write_csv(found, path))
    for name, answer in found.answers.items():
        talk.say(f"{name}: {_words(answer)}")
    if talk.json:
        talk.document({"ok": True, "file": str(path), "rows": len(found.places), "nodes": _scores(found.answers)})
    else:
        talk.result(str(path))


def _scores(answers: Mapping[str, Answer]) -> dict[str, object]:
    """The measure of each node by q and by p; null where no label is known."""
    return {
        name: {
            "measure": answer.kind,
            "labels": 0 if answer.known is None else int(answer.known.sum()),
            "q": answer.score(answer.q),
            "p": None if answer.p is None else answer.score(answer.p),
            "ess": None if answer.ess is None else float(answer.ess.mean()),
            "draws": answer.draws,
        }
        for name, answer in answers.items()
    }


def _words(answer: Answer) -> str:
    """`error 3.10 % by q, 2.90 % by p, 2,000 labels known; 12.1 of 320 draws count`."""
    from sgdsl.train.measures import WORDS, shown

    parts = []
    scores = [(by, answer.score(belief)) for by, belief in (("q", answer.q), ("p", answer.p)) if belief is not None]
    if scores[0][1] is None:
        parts.append("no label is known")
    else:
        told = [f"{shown(answer.kind, s)} by {by}" for by, s in scores if s is not None]
        assert answer.known is not None
        parts.append(f"{WORDS[answer.kind]} {', '.join(told)}, {int(answer.known.sum()):,} labels known")
    if answer.ess is not None:
        parts.append(f"{answer.ess.mean():.1f} of {answer.draws} draws count")
    return "; ".join(parts)
