"""Kept cells as text: cells come in, tables in Markdown with what they were measured on go out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.paper.cells import EXPERIMENTS, RATE, RATES, Cell, Experiment, Kept

Found = Mapping[Cell, Mapping[str, Any]]
WORDS = {"y: error": "wrong digits, %", "who: error": "wrong people, %", "light: angle": "angle between lights, degrees",
         "k: error": "wrong counts, %"}  # fmt: skip


def markdown(name: str, kept: Kept) -> str:
    """What one experiment gave: a line on the data and the budget, a table for each score, and one of supervision rates."""
    experiment, found = EXPERIMENTS[name], kept.found
    parts = [_head(kept)]
    for score in scores(found):
        parts.append(_table(experiment, found, score))
    if any(c.method.startswith(RATE) for c in found):
        parts.append(_rates(experiment, found))
    return "\n\n".join(parts)


def scores(found: Found) -> list[str]:
    return [s for s in WORDS if any(s in row for row in found.values())]


def values(found: Found, score: str, labels: str, method: str) -> list[float]:
    """One a seed; errors in per cent."""
    rows = [row for c, row in found.items() if (c.labels, c.method) == (labels, method) and score in row]
    return [row[score] * (100 if score.endswith("error") else 1) for row in rows]


def _head(kept: Kept) -> str:
    sources = sorted({c.source for c in kept.found})
    seeds = sorted({c.seed for c in kept.found})
    versions = sorted({m["packages"]["torch"] for m in kept.machines.values()})
    return (
        f"{'; '.join(sources)}. {len(seeds)} label seed{'s' * (len(seeds) > 1)}; {_spent(kept.found)};\n"
        f"{'; '.join(_where(kept.found))}, one thread, torch {' and '.join(versions)}."
    )


def _where(found: Found) -> list[str]:
    """Processors, with the seeds of the model that they trained where there are several."""
    seeds: dict[str, set[int]] = {}
    for cell, row in found.items():
        seeds.setdefault(row["processor"], set()).update([cell.seed] if cell.method == "model" else [])
    if len(seeds) == 1:
        return list(seeds)
    return [f"{name} ({_numbered(sorted(s))})" if s else name for name, s in sorted(seeds.items())]


def _numbered(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} of the model"


def _spent(found: Found) -> str:
    """The budget, and what the trainings of the model took of it: an epoch may be longer."""
    spent = sorted({row["budget"] for c, row in found.items() if c.trained})
    budgets = (
        f"a budget of {spent[0]:g}" if len(spent) == 1 else f"budgets of {spent[0]:g} to {spent[-1]:g}" if spent else ""
    )
    trained = [row for c, row in found.items() if c.method == "model"]
    model = "the model was not trained"
    if trained:
        seconds = _range([round(row["training"]) for row in trained])
        model = f"{_range([row['steps'] for row in trained])} steps of the model took {seconds} s"
    return f"{budgets} s of CPU time a training, {model}" if budgets else model


def _range(numbers: Sequence[int]) -> str:
    if not numbers:
        return "no"
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _cell(numbers: Sequence[float]) -> str:
    """Mean ± standard deviation over seeds."""
    if not numbers:
        return "–"
    return f"{statistics.mean(numbers):.1f}" + (f" ± {statistics.stdev(numbers):.1f}" if len(numbers) > 1 else "")


def _table(experiment: Experiment, found: Found, score: str) -> str:
    columns = list(experiment.labels)
    lines = [f"| {WORDS[score]} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for method in experiment.methods:
        cells = [_cell(values(found, score, labels, method)) for labels in columns]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rates(experiment: Experiment, found: Found) -> str:
    """The model with its supervision rate set."""
    (score,) = scores(found)
    columns = [n for n in experiment.swept if any(values(found, score, n, f"{RATE}{r}") for r in RATES)]
    lines = [
        f"| supervision rate | {' | '.join(f'{n} labels: {WORDS[score]}' for n in columns)} |",
        "| --- |" + " --- |" * len(columns),
    ]
    for method in ("model", *(f"{RATE}{r}" for r in RATES)):
        cells = [_cell(values(found, score, labels, method)) for labels in columns]
        lines.append(f"| {'auto' if method == 'model' else method.removeprefix(RATE)} | {' | '.join(cells)} |")
    return "\n".join(lines)
