"""Rows with something changed: a run, rows and what to set, keep or redraw come in; every node before and after goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sgdsl.runtime import ask
from sgdsl.train.dataset import Array
from sgdsl.train.errors import run_error
from sgdsl.train.predict import places, rows_of
from sgdsl.train.run import Run

MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Edited:
    """`before`: what was seen of the rows, `after`: every node, arrays [rows, *event] by node. `places`: (part, row) of each
    row."""

    before: Mapping[str, Array]
    after: Mapping[str, Array]
    places: Sequence[tuple[str, int]]


@torch.no_grad()
def edit(
    run: Run,
    data: object = None,
    rows: Sequence[int] | None = None,
    *,
    set: Mapping[str, object] | None = None,
    keep: Sequence[str] = (),
    redraw: Sequence[str] = (),
    given: Sequence[str] = (),
) -> Edited:
    """Infers everything about rows by q, changes some nodes and follows p from there (runtime.ask.edit). `data` as in `fit`;
    None: the run's held-out rows. `rows`: which of them, from 0; else all. `set`: values by node, one for all rows
    or [rows, *event]. `keep`: descendants of what changes that stay as inferred. `redraw`: nodes drawn along p. `given`:
    supervised nodes whose labels may be seen. Raises RunError: E0665; DataError."""
    changes = dict(set or {})
    _check(run, changes, keep, redraw)
    run.check_names(given)
    dataset, table, index = rows_of(run, data, given)
    numbers = _chosen(len(index), rows)
    index = index[torch.as_tensor(numbers, device=index.device)]
    values, known = run.batch(table, index, given)
    changed = {n: v[None] for n, v in run.values_of(len(index), changes).items()}
    found = ask.edit(run.module, values, known, changed, run.draws(), keep=keep, redraw=redraw)
    before = {n: v[0].cpu().numpy() for n, v in values.items()}
    return Edited(before, {n: v.cpu().numpy() for n, v in found.items()}, places(dataset, index, numbers))


def _chosen(count: int, rows: Sequence[int] | None) -> list[int]:
    """Checked numbers of rows. Raises RunError: E0665."""
    chosen = np.arange(count) if rows is None else np.asarray(rows)
    if not len(chosen) or chosen.dtype.kind not in "iu" or chosen.ndim != 1:
        raise run_error("E0665", "rows are a list of whole numbers", hint="rows = [0, 5, 7]")
    if chosen.min() < 0 or chosen.max() >= count:
        odd = int(chosen.min() if chosen.min() < 0 else chosen.max())
        raise run_error("E0665", f"there is no row {odd}: rows go from 0 to {count - 1}")
    if len(chosen) > MOST_ROWS:
        message = f"{len(chosen):,} rows at once: at most {MOST_ROWS:,} are edited"
        raise run_error("E0665", message, hint="name some: 0-19")
    return [int(row) for row in chosen]


def _check(run: Run, changes: Mapping[str, object], keep: Sequence[str], redraw: Sequence[str]) -> None:
    """Raises RunError E0665 for nodes that are not there, or that are to be two things at once."""
    run.check_names((*changes, *keep, *redraw))
    if not changes and not redraw:
        raise run_error("E0665", "nothing is to be changed", hint="set a node, y=7, or redraw one")
    for name in redraw:
        if run.module.NODES[name].role == "given":
            raise run_error(
                "E0665", f"`{name}` is given: p has no distribution of it to draw from", hint=f"set {name} = …"
            )
    wishes = (("set", [*changes]), ("keep", keep), ("redraw", redraw))
    for i, (one, names) in enumerate(wishes):
        for other, others in wishes[i + 1 :]:
            for name in names:
                if name in others:
                    raise run_error("E0665", f"`{name}` is in both {one} and {other}", hint="leave it in one of them")
