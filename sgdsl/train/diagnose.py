"""The diagnosis of a finished training, off the hot path: a trained model, its rows and records come in, findings go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from sgdsl.catalog.families import FAMILIES
from sgdsl.driver import Program
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Parameters, Queries
from sgdsl.train.activity import activities
from sgdsl.train.bind import Table
from sgdsl.train.diagnosis import Diagnosis, Finding
from sgdsl.train.entries import of_factor, there
from sgdsl.train.evaluate import rows_tensor, supervised
from sgdsl.train.label_checks import unlabelled_classes, unlearned, unread
from sgdsl.train.labels import asked
from sgdsl.train.loop import Job
from sgdsl.train.measure import SEED, Held, hidden
from sgdsl.train.prepare import Prepared
from sgdsl.train.settings import Settings
from sgdsl.train.suspicions import collapsed, floored, one_draw, weights_of, worse

MOST = 500  # rows that nodes are measured on
FEW = 100  # rows that scales are looked at on
NEAR = 1.1  # times its floor: on it
SCALES = {
    row.runtime: [p.name for p in row.parameters].index("scale") for row in FAMILIES.values() if row.parameter("scale")
}  # the place of the scale among a family's parameters


def diagnose(
    job: Job, ready: Prepared, settings: Settings, model: Queries, records: Sequence[Mapping[str, Any]]
) -> Diagnosis:
    """`model`: with the weights to evaluate with, in eval mode; measured on held-out rows, or on training rows where none
    are held out. The same model and rows give the same diagnosis."""
    device, rows = job.fabric.device, ready.split
    trained = np.concatenate([rows.unlabelled, rows.labelled])
    whole = ready.dataset.test if len(ready.dataset.test) else trained
    index = rows_tensor(whole[:: max(1, len(whole) // MOST)][:MOST], device)
    known = supervised(model, ready.table) if len(ready.dataset.test) else {}
    nodes = activities(model, ready.table, index)
    weights = weights_of(records[-1], cast(int, model.samples)) if records else {}
    steps = int(records[-1]["step"]) if records else 0
    line, counted = settings.data, ready.table.counted
    wanted = {n: settings.wants(n) and (n not in counted or asked(n, line.labels, counted)) for n in rows.granted}
    found: list[Finding] = [
        *ready.warnings,
        *collapsed(nodes),
        *unlearned(model, ready.table, job.labelled, Held(index, known), ready.composition.alpha),
        *one_draw(weights, job.patterns, model.NODES, model.ORDER_Q),
        *worse(records, kept_best=settings.train.patience > 0),
        *unread(job.patterns, rows.granted, job.schedule, steps, trained),
        *unlabelled_classes(model.NODES, ready.table, rows.granted, wanted, ready.classes),
        *floored(scales_on_floor(job.program, model, ready.table, index[:FEW])),
    ]
    return Diagnosis(nodes, weights, tuple(found))


@torch.no_grad()
def scales_on_floor(
    program: Program, model: Queries, table: Table, rows: Tensor
) -> dict[tuple[str, str], tuple[float, float]]:
    """The floor of each node's scale that has one, and the share of its values that are on it, of copies that are there."""
    floors: dict[tuple[str, str], dict[str, float]] = {}
    for f in (*program.model.p, *program.model.q):
        if floor := _floor(f.parameters):
            floors.setdefault((f.side, f.node), {})[f.id if model.RANGES else f.node] = floor
    if not floors:
        return {}
    draws = Draws(torch.Generator(rows.device).manual_seed(SEED))
    values = model.draw_q(hidden(model, table, rows, None), {}, draws).values
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for (side, node), own in floors.items():
        on = of_factor(model, side, node, values, partial(_on_floor, own))
        on = on[there(model, node, values).expand(on.shape[:3]) > 0]
        if len(on := on[~on.isnan()]):
            found[side, node] = max(own.values()), float(on.double().mean())
    return found


def _on_floor(floors: Mapping[str, float], piece: str, family: str, parameters: Parameters, value: Tensor) -> Tensor:
    """1 where a scale is on its floor, else 0; NaN for what has none."""
    if piece not in floors or family not in SCALES:
        return torch.full_like(value, torch.nan)
    scale = torch.as_tensor(parameters[SCALES[family]])
    return (scale < NEAR * floors[piece]).to(value.dtype).expand_as(value)


def _floor(parameters: Sequence[Any]) -> float:
    return next((p.floor for p in parameters if p.name == "scale" and p.floor is not None), 0.0)
