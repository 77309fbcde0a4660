"""Missing cells of a file: a run and data come in; the data with their gaps filled go out, and how sure of it the model is."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgdsl.runtime.ask import Belief
from sgdsl.runtime.corrected import effective_size
from sgdsl.runtime.fill import fill
from sgdsl.train.copies import cells_of, loops_of
from sgdsl.train.dataset import Array
from sgdsl.train.errors import run_error
from sgdsl.train.examine import joined
from sgdsl.train.measure import portions
from sgdsl.train.naming import class_names
from sgdsl.train.predict import places, rows_of
from sgdsl.train.run import Run


@dataclass(frozen=True, slots=True)
class Imputed:
    """By partial node: `values` [rows, *event], the data where they are there, else the mean, of a finite node the likeliest
    value; `missing` [rows, *event]; `sure` [rows, *event]: the standard deviation, 0 where it is there, of a finite node the
    probability of the value. `ess` [rows]: how many of `draws` draws count. `places`: (part, row) of each row. Nodes in
    loops have dimensions of copies behind the rows. `cells`: the name and the index of each cell; `names`: of the values
    of finite nodes whose classes the training data name."""

    values: Mapping[str, Array]
    missing: Mapping[str, Array]
    sure: Mapping[str, Array]
    ess: Array
    draws: int
    places: Sequence[tuple[str, int]]
    cells: Mapping[str, Sequence[tuple[str, tuple[int, ...]]]]
    names: Mapping[str, Mapping[int, str]]


@torch.no_grad()
def impute(run: Run, data: object = None, *, given: Sequence[str] = (), samples: int = 100) -> Imputed:
    """Fills the missing cells of partial nodes by p given all that is there (runtime.fill.fill). `data` as in `fit`; None: the
    run's held-out rows. `given`: supervised nodes whose labels may be seen. Raises RunError: E0665; DataError."""
    nodes = run.module.NODES
    partial = [n for n, info in nodes.items() if info.partial]
    if not partial:
        message = f"`{run.name}` has no partial node: nothing of its data can be missing"
        raise run_error("E0665", message, hint="declare it: observed x : real[4] partial")
    run.check_names(given)
    dataset, table, index = rows_of(run, data, given)
    beliefs: dict[str, list[Belief]] = {n: [] for n in partial}
    seen: dict[str, list[torch.Tensor]] = {n: [] for n in partial}
    there: dict[str, list[torch.Tensor]] = {n: [] for n in partial}
    sizes, draws = [], run.draws()
    for few in portions(index, samples):
        values, known = run.batch(table, few, given)
        found = fill(run.module, values, known, draws, samples)
        sizes.append(effective_size(found.log_weights))
        for n in partial:
            beliefs[n].append(found.beliefs[n])
            seen[n].append(values[n][0])
            there[n].append(found.present[n])
    filled, missing, sure = {}, {}, {}
    cells = {n: cells_of(n, nodes[n].event, loops_of(nodes[n], run.module.RANGES)) for n in partial}
    named = [n for n in partial if class_names(run.config, n)]
    names = {n: dict(enumerate(run.value_names(n), nodes[n].first)) for n in named}
    for n in partial:
        missing[n] = ~torch.cat(there[n]).cpu().numpy()
        best, spread = _best(joined(beliefs[n]), nodes[n].first)
        known_values = torch.cat(seen[n]).cpu().numpy()
        filled[n] = np.where(missing[n], best, known_values).astype(known_values.dtype)
        sure[n] = np.where(missing[n], spread, 1.0 if nodes[n].classes else 0.0)
    return Imputed(filled, missing, sure, torch.cat(sizes).cpu().numpy(), samples, places(dataset, index), cells, names)


def _best(belief: Any, first: int) -> tuple[Array, Array]:
    if isinstance(belief, tuple):
        return belief
    return belief.argmax(-1) + first, belief.max(-1)


def write_imputed(found: Imputed, path: Path) -> Path:
    """FILE.npz: of each node its values, `NODE.missing`, `NODE.sure`, and `ess`. FILE.csv: a line a row, with `row`, then of
    each cell the value, a class by its name, `.missing` 0 or 1, `.sure`, and `ess`. Raises OSError."""
    if path.suffix == ".npz":
        arrays: dict[str, object] = {"ess": found.ess}
        for n in found.values:
            arrays |= {n: found.values[n], f"{n}.missing": found.missing[n], f"{n}.sure": found.sure[n]}
        np.savez(path, **arrays)  # type: ignore[arg-type]
        return path
    columns: list[tuple[str, Any]] = [("row", [f"{part} {row}".strip() for part, row in found.places])]
    for n, values in found.values.items():
        for head, cell in found.cells[n]:
            at: tuple[Any, ...] = (slice(None), *cell)
            words = found.names.get(n)
            columns.append((head, [words[int(v)] for v in values[at].tolist()] if words else _written(values[at])))
            columns.append((f"{head}.missing", found.missing[n][at].astype(int).tolist()))
            columns.append((f"{head}.sure", _written(found.sure[n][at])))
    columns.append(("ess", _written(found.ess)))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([head for head, _ in columns])
        writer.writerows(zip(*(values for _, values in columns), strict=True))
    return path


def _written(values: Array) -> list[Any]:
    """Numbers of the seven digits that a float32 has: 0.038 stays 0.038."""
    return [float(f"{v:.7g}") if isinstance(v, float) else v for v in values.tolist()]
