"""Real values far from where a model begins: a model before its first step and rows come in; warnings go out.

Weights begin near 0, so what p draws then shows in which units a node is modelled, whatever its expressions scale it by. A
network whose values must first travel far, or grow or shrink by far, learns little else on the way (docs/data.md, units).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sgdsl.runtime.ask import certain_mask
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.dataset import Array, Index
from sgdsl.train.diagnosis import Finding
from sgdsl.train.feed import read
from sgdsl.train.measure import SEED

FAMILIES = ("normal", "laplace", "student_t")
DRAWN, LOOKED = 64, 2_000  # draws of p; rows of data
FAR = 5.0  # from the mean, in units and in standard deviations of what p draws
WIDER = 30.0  # times the deviation of p, and of p given its parents


@torch.no_grad()
def unscaled(model: Queries, table: Table, rows: Index) -> Iterator[Finding]:
    """W0645: cells of an observed or supervised node whose values in `rows` lie far from what p draws before the first step."""
    nodes = [n for n, i in model.NODES.items() if i.role in ("observed", "supervised") and i.family_p in FAMILIES]
    nodes = [n for n in nodes if n in table.columns]
    if not nodes or not len(rows):
        return
    device = next(iter(table.columns.values())).known.device
    index = torch.as_tensor(rows[:: max(1, len(rows) // LOOKED)][:LOOKED], device=device)
    begun = _begun(model, table, index, nodes)
    for node in nodes:
        values = _known(table, node, index)
        if values.isnan().all():
            continue
        info = model.NODES[node]
        if finding := _far(node, info, _moments(values, len(info.event)), begun[node]):
            yield finding


class Begun(NamedTuple):
    """Of the cells of a node along p: mean and standard deviation of what is drawn, and the deviation that p gives each draw."""

    mean: Array
    deviation: Array
    own: Array


def _begun(model: Queries, table: Table, index: Tensor, nodes: list[str]) -> dict[str, Begun]:
    """Given nodes are held at rows of the data."""
    parameter = next(model.parameters(), torch.zeros(()))
    few = index[torch.arange(DRAWN, device=index.device) % len(index)]
    given = {n: read(table.columns[n], few, None) for n, i in model.NODES.items() if i.role == "given"}
    kinds = {n: torch.int64 if model.NODES[n].integer else parameter.dtype for n in given}
    held = {n: v.to(parameter.device, kinds[n])[None] for n, v in given.items()}
    training = model.training
    masks = {n: certain_mask(model, n, v[0]) for n, v in held.items()}
    draws = Draws(torch.Generator(parameter.device).manual_seed(SEED))
    drawn = model.eval().draw_p(held, masks, draws, rows=DRAWN)
    model.train(training)
    found = {}
    for n in nodes:
        event = len(model.NODES[n].event)
        own = _moments(model.moments_p(n, drawn)[1][0], event)[0]
        found[n] = Begun(*_moments(drawn.values[n][0], event), np.sqrt(own))
    return found


def _known(table: Table, node: str, index: Tensor) -> Tensor:
    """Values [rows, …, *event], NaN where they are unknown."""
    column = table.columns[node]
    values, known = read(column, index, None), column.known[index]
    return torch.where(known.view(*known.shape, *[1] * (values.dim() - known.dim())), values, torch.nan)


def _moments(values: Tensor, event: int) -> tuple[Array, Array]:
    """Mean and standard deviation of each cell over rows and copies, NaN left out; NaN where a cell has no value."""
    cells = values.double().reshape(-1, math.prod(values.shape[values.dim() - event :]))
    mean = cells.nanmean(0)
    return mean.cpu().numpy(), (cells - mean).square().nanmean(0).sqrt().cpu().numpy()


def _far(node: str, info: NodeInfo, data: tuple[Array, Array], begun: Begun) -> Finding | None:
    """The worst cell, if any is far. A cell that hardly varies is none, as at the edge of pictures, where others do."""
    mean, deviation = data
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(mean - begun.mean)
        far = np.minimum(away, away / begun.deviation) / FAR
        wider = deviation / begun.own / WIDER
        widest = (deviation == np.nanmax(deviation)) & (deviation > 0)
        narrower = np.where(widest, begun.deviation / deviation / WIDER, 0)
    worst = np.nan_to_num(np.maximum(np.maximum(far, wider), narrower))
    if not (worst > 1).any():
        return None
    cell = int(worst.argmax())
    name = node if len(worst) == 1 else f"{node}[{cell}]"
    many = int((worst > 1).sum())
    others = f", and {many - 1:,} more of its cells" if many > 1 else ""
    return Finding(
        "W0645",
        f"`{node}` is far from where the model begins: {name} is {mean[cell]:.6g} ± {deviation[cell]:.2g}{others}",
        f"before the first step p draws {begun.mean[cell]:.2g} ± {begun.deviation[cell]:.2g}, its scale {begun.own[cell]:.2g}",
        way_out(node, info, float(mean[cell]), float(deviation[cell])),
        node,
        "p",
    )


def way_out(node: str, info: NodeInfo, mean: float, deviation: float) -> str:
    """What to write for cells of about this mean, to a tenth of the deviation, and this deviation."""
    unit = float(f"{deviation:.2g}") or 1.0
    digits = max(0, 1 - math.floor(math.log10(unit)))
    centre, width = f"{abs(mean):.{digits}f}", np.format_float_positional(unit, trim="-")
    minus, start = ("-", centre) if mean >= 0 else ("+", f"-{centre}")
    read = f"`let t = ({node} {minus} {centre}) / {width}` for the networks of q"
    if not deviation:
        return f"it never varies: leave it out, or take it off: {read}"
    if len(info.event) > 1:
        return f"scale it in the model: {read}; in p times {width}, plus {start}, and the scale times {width}"
    size = info.event[0] if info.event else 1
    net, own = f"mlp(64) >> linear({size})", f"softplus(learned({size}))"
    shape = "({})" if info.event else "sum({})"
    loc, scale = f"{start} + {width} * {shape.format(net)}", f"{width} * {own if info.event else f'sum({own})'}"
    return f"scale it in the model: {read}; in p `loc = {loc}, scale = {scale}`"
