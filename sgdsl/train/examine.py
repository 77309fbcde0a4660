"""A closer look at held-out rows: a model and rows whose answers are known come in; plain values for result.json go out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.ask import Belief
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.corrected import corrected, effective_size
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.pareto import pareto_k, trusted
from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.calibration import measures_of
from sgdsl.train.dataset import Array
from sgdsl.train.disentangle import Code, measures
from sgdsl.train.feed import read
from sgdsl.train.measure import SEED, Held, hidden, portions, seeded

CORRECTED = 1000  # rows whose beliefs are corrected
DRAWS = 8  # a row and value, for that
FACTOR_ROWS = 500
MOST_CODES = 200
PARTS = 10  # of a factor that is not finite


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Of each row: the importance-sampled `log_p`, how many draws count, the Pareto `k` of the weights; [rows] each."""

    log_p: Tensor
    ess: Tensor
    k: Tensor

    def as_dict(self, samples: int) -> dict[str, Any]:
        """Means over the rows; `untrusted`: the share of rows with k above `threshold`; null with too few draws to tell."""
        told = bool(torch.isfinite(self.k).any())
        return {
            "ess": float(self.ess.double().mean()),
            "pareto_k": float(self.k[torch.isfinite(self.k)].double().mean()) if told else None,
            "untrusted": float((self.k > trusted(samples)).double().mean()) if told else None,
            "threshold": trusted(samples),
        }


@torch.no_grad()
def likelihoods(model: Queries, table: Table, held: Held) -> Likelihoods:
    """log p of what is observed, labels hidden: the `iw` bound with `held.samples` draws. Grey levels that were drawn in training
    are drawn once, from a fixed seed."""
    generator = torch.Generator(held.rows.device).manual_seed(SEED)
    draws, parts = Draws(generator), []
    for index in portions(held.rows, held.samples):
        log_w = ask.log_ratios(model, hidden(model, table, index, generator), {}, draws, held.samples)
        parts.append((ask.log_mean(log_w), effective_size(log_w), pareto_k(log_w)))
    return Likelihoods(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def beliefs(model: Queries, table: Table, held: Held) -> dict[str, dict[str, Any]]:
    """Of each supervised node, labels hidden, over rows whose label is known: `q`, and `p`, corrected by importance weights on up
    to 1,000 rows spread evenly (calibration.measures_of each; `p` also has `rows`, `ess` and `draws`)."""
    return {name: _beliefs(model, table, held, name) for name in held.truth if bool(held.truth[name][held.rows].any())}


def _beliefs(model: Queries, table: Table, held: Held, name: str) -> dict[str, Any]:
    info, rows = model.NODES[name], held.rows[held.truth[name][held.rows]]
    draws, ink = seeded(rows.device)
    truth = read(table.columns[name], rows, None).cpu().numpy()
    q = joined([
        ask.posterior(model, hidden(model, table, index, ink), {}, draws, held.samples)[name]
        for index in portions(rows, held.samples)
    ])  # fmt: skip
    few = spread_rows(rows, CORRECTED)
    parts = [
        corrected(model, hidden(model, table, index, ink), {}, name, draws, DRAWS) for index in portions(few, DRAWS)
    ]
    p = measures_of(info, joined([part.belief for part in parts]), read(table.columns[name], few, None).cpu().numpy())
    size = torch.cat([effective_size(part.log_weights) for part in parts])
    counts = {"rows": len(few), "ess": float(size.double().mean()), "draws": len(parts[0].log_weights)}
    return {"q": measures_of(info, q, truth), "p": {**p, **counts}}


def joined(parts: list[Belief]) -> Any:
    """Beliefs about some rows at a time, as arrays."""
    if isinstance(parts[0], tuple):
        return tuple(torch.cat([part[i] for part in parts]).cpu().numpy() for i in (0, 1))
    whole = [part for part in parts if isinstance(part, Tensor)]
    return torch.cat(whole).cpu().numpy()


def spread_rows(rows: Tensor, most: int) -> Tensor:
    """At most `most` of the rows, spread evenly."""
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most, device=rows.device).round().long()]


@torch.no_grad()
def disentanglement(model: Queries, table: Table, held: Held) -> dict[str, Any] | None:
    """MIG, SAP and DCI of the cells of every inferred node, labels hidden, against the cells of the supervised ones, on up
    to 500 rows where all are known; a factor that is not finite counts by its tenths. None without such rows."""
    known = torch.ones_like(held.rows, dtype=torch.bool)
    for mask in held.truth.values():
        known &= mask[held.rows]
    rows = spread_rows(held.rows[known], FACTOR_ROWS)
    factors = _factors(model, table, held.truth, rows)
    if not factors or len(rows) < 2 * PARTS:
        return None
    draws = Draws(torch.Generator(rows.device).manual_seed(SEED))
    parts = [
        ask.posterior(model, hidden(model, table, index, None), {}, draws, held.samples)
        for index in portions(rows, held.samples)
    ]
    codes: dict[str, Code] = {}
    for node in (n for n in model.ORDER_Q if not model.NODES[n].loops):
        codes |= _codes(node, model.NODES[node], joined([part[node] for part in parts]))
    if len(codes) > MOST_CODES:
        return None
    return {"rows": len(rows), **measures(codes, factors)}


def _factors(model: Queries, table: Table, truth: Mapping[str, Tensor], rows: Tensor) -> dict[str, Array]:
    found = {}
    for name in truth:
        values = read(table.columns[name], rows, None).cpu().numpy()
        for cell in itertools.product(*map(range, model.NODES[name].event)):
            at: tuple[Any, ...] = (slice(None), *cell)
            column = values[at]
            if not model.NODES[name].classes:
                edges = np.unique(np.quantile(column, np.linspace(0, 1, PARTS + 1)[1:-1]))
                column = np.searchsorted(edges, column)
            if len(np.unique(column)) > 1:
                found[cell_name(name, cell)] = np.unique(column, return_inverse=True)[1]
    return found


def _codes(node: str, info: NodeInfo, belief: Any) -> dict[str, Code]:
    found: dict[str, Code] = {}
    for cell in itertools.product(*map(range, info.event)):
        at: tuple[Any, ...] = (slice(None), *cell)
        found[cell_name(node, cell)] = (belief[0][at], belief[1][at]) if isinstance(belief, tuple) else belief[at]
    return found


def cell_name(name: str, cell: tuple[int, ...]) -> str:
    """`y`, or `y[0,2]` of a node with several cells."""
    return f"{name}[{','.join(map(str, cell))}]" if cell else name
