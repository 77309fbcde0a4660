"""A result as a table for standard output: an evaluation, or a result with its baseline, comes in, a rich table goes out."""

from __future__ import annotations

from rich import box
from rich.table import Table

from sgdsl.train.closer import closer
from sgdsl.train.diagnosis import Diagnosis
from sgdsl.train.evaluate import Evaluation
from sgdsl.train.measure import Score
from sgdsl.train.measures import named
from sgdsl.train.progress import clock
from sgdsl.train.result import Result


def table(result: Result | Evaluation) -> Table:
    """One row a measure; beside each label error, that of the same encoder trained on labels alone."""
    evaluation = result.evaluation if isinstance(result, Result) else result
    made = Table(box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    made.title, made.caption = _title(result), _caption(evaluation) + _warned(result)
    made.add_column("held-out rows" if evaluation.rows else "measure")
    made.add_column("this model", justify="right")
    if isinstance(result, Result) and result.baseline:
        made.add_column("labels alone", justify="right")
    for row in _lines(result, evaluation):
        made.add_row(*row[: len(made.columns)])
    return made


def _lines(result: Result | Evaluation, evaluation: Evaluation) -> list[tuple[str, str, str]]:
    found = []
    for name, score in evaluation.scores.items():
        alone = result.baseline.get(name) if isinstance(result, Result) else None
        found.append((_measure(name, score), score.words(), alone.words() if alone else ""))
    if isinstance(result, Result):
        found += [(f"{_measure(n, s)}, {s.rows:,} validation labels", s.words(), "") for n, s in result.checked.items()]
    if evaluation.bound is not None:
        spread = f" ± {evaluation.bound_error:.2f}" if evaluation.bound_error is not None else ""
        found.append((f"log p of a row, nats (iw, {evaluation.samples} draws)", f"{evaluation.bound:.2f}{spread}", ""))
    found += closer(evaluation.details)
    if not evaluation.rows:
        found.append(("no held-out rows", "", ""))
    return found + (_diagnosis(result.diagnosis) if isinstance(result, Result) else [])


def _diagnosis(diagnosis: Diagnosis) -> list[tuple[str, str, str]]:
    """What each inferred node carries, and how many draws count under each pattern of labels."""
    found = [(f"{name} (KL {a.kl:.2f} nats a row)", a.words(), "") for name, a in diagnosis.nodes.items()]
    return found + [(f"draws that count, {name} known", w.words(), "") for name, w in diagnosis.weights.items()]


def _measure(name: str, score: Score) -> str:
    return named(score.kind, name)


def _title(result: Result | Evaluation) -> str:
    if isinstance(result, Evaluation):
        return result.model
    labels = ", ".join(f"{count:,} labels of {name}" for name, count in result.labels.items())
    took = f"trained in {clock(result.seconds)}"
    return ", ".join(part for part in (result.evaluation.model, labels, took) if part)


def _warned(result: Result | Evaluation) -> str:
    """A line that says which warnings there are."""
    found = result.diagnosis.warnings if isinstance(result, Result) else ()
    named = ", ".join(f"{w.code} ({w.node})" if w.node else w.code for w in found)
    return f"\n{len(found)} warning{'s' if len(found) > 1 else ''}: {named}" if found else ""


def _caption(evaluation: Evaluation) -> str:
    return f"{evaluation.source}; {evaluation.rows:,} held-out rows, labels hidden"
