"""The cells of a node swept: a run, a node and a starting point come in; what the model shows for each value goes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sgdsl.runtime.ask import certain_mask
from sgdsl.runtime.sweep import state_of, sweep
from sgdsl.train.copies import cells_of, copies_of, loops_of
from sgdsl.train.dataset import Array
from sgdsl.train.errors import run_error
from sgdsl.train.pictures import caption
from sgdsl.train.predict import rows_of
from sgdsl.train.run import Run
from sgdsl.train.sheets import Sheet, as_pictures, draw_sheet, is_map

MOST_CELLS = 24


@dataclass(frozen=True, slots=True)
class Traversal:
    """`cells`: flat indices of the node's cells that were moved, in a loop of those of all copies; `points` [cells, steps]:
    their values; `values`: every node, [cells, steps, *event] each."""

    node: str
    cells: tuple[int, ...]
    points: Array
    values: Mapping[str, Array]


@torch.no_grad()
def traverse(
    run: Run,
    node: str,
    *,
    data: object = None,
    row: int | None = None,
    set: Mapping[str, object] | None = None,
    cells: Sequence[int] | None = None,
    steps: int = 9,
    span: float = 2.5,
) -> Traversal:
    """Sweeps cells of a node of p one at a time (runtime.sweep.sweep), from what q infers about a `row` of `data` (None: of
    the held-out rows), or without a row from the means of p; `set` holds nodes there. `cells`: flat indices, else the
    first 24. Raises RunError: E0665; DataError."""
    run.check_names((node, *(set or {})))
    chosen = _cells(run, node, cells)
    if steps < 2 or not 0 < span < math.inf:
        raise run_error(
            "E0665", f"{steps} steps over {span:g} standard deviations are no sweep", hint="steps = 9, span = 2.5"
        )
    draws = run.draws()
    if row is None:
        if data is not None:
            raise run_error("E0665", "data without a row: which one is to be traversed?", hint="row = 0")
        held = {n: v[None] for n, v in run.clamped(1, set or {}).items()}
        known = {n: certain_mask(run.module, n, v[0]) for n, v in held.items()}
        state = state_of(run.module, held, known, draws, inferred=False)
    else:
        _, table, index = rows_of(run, data, ())
        if not 0 <= row < len(index):
            raise run_error("E0665", f"there is no row {row}: rows go from 0 to {len(index) - 1}")
        values, known = run.batch(table, index[row : row + 1], ())
        held = {n: v[None] for n, v in run.values_of(1, set or {}).items()}
        clamped = {n: certain_mask(run.module, n, v[0]) for n, v in held.items()}
        state = state_of(run.module, {**values, **held}, {**known, **clamped}, draws, inferred=True)
    found = sweep(run.module, state, node, chosen, steps, span, draws)
    return Traversal(node, chosen, found.points.cpu().numpy(), {n: v.cpu().numpy() for n, v in found.values.items()})


def _cells(run: Run, node: str, cells: Sequence[int] | None) -> tuple[int, ...]:
    """Checked indices. Raises RunError: E0665."""
    info = run.module.NODES[node]
    if node not in run.module.ORDER_P or info.role == "observed":
        usable = [n for n in run.module.ORDER_P if run.module.NODES[n].role != "observed"]
        raise run_error("E0665", f"`{node}` is {info.role}: it is not swept", hint=f"nodes: {', '.join(usable)}")
    count = math.prod((*copies_of(info, run.module.RANGES), *info.event))
    chosen = tuple(range(min(count, MOST_CELLS))) if cells is None else tuple(cells)
    for cell in chosen:
        if not 0 <= cell < count:
            raise run_error("E0665", f"`{node}` has no cell {cell}: its cells go from 0 to {count - 1}")
    return chosen


def write_traversal(run: Run, found: Traversal, path: Path) -> list[Path]:
    """FILE.npz with `points`, `cells` and every node as `at.NODE`; FILE.png, a line a cell, of each observed picture.
    Raises OSError."""
    file = path.with_suffix(".npz")
    arrays: dict[str, object] = {"points": found.points, "cells": np.array(found.cells)}
    np.savez(file, **arrays, **{f"at.{n}": v for n, v in found.values.items()})  # type: ignore[arg-type]
    maps = [n for n, i in run.module.NODES.items() if i.role == "observed" and is_map(i)]
    written = []
    for node in maps:
        ending = f"-{node}" if len(maps) > 1 else ""
        images = [list(as_pictures(run.module.NODES[node], line)) for line in found.values[node]]
        same = bool((found.points == found.points[0]).all())
        moved = run.module.NODES[found.node]
        words = run.value_names(found.node)
        heads = [words[int(v) - moved.first] if words else f"{v:.3g}" for v in found.points[0]] if same else ()
        names = [f"{found.node}[{cell}]" if moved.event else found.node for cell in found.cells]
        if moved.loops:
            every = cells_of(found.node, moved.event, loops_of(moved, run.module.RANGES))
            names = [every[cell][0] for cell in found.cells]
        sheet = Sheet(f"{run.name}: {node} as {found.node} moves", caption(run), images, names, heads)
        written.append(draw_sheet(sheet, path.with_name(f"{path.stem}{ending}.png")))
    return [*written, file]
