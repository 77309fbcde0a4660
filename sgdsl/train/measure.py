"""How good a model is on rows whose answers are known: rows with labels hidden come in, errors and bounds go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.batch import NodeInfo, make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.copies import copies_of
from sgdsl.train.feed import read
from sgdsl.train.measures import Kind, shown, total
from sgdsl.train.scored import kind_of, losses

CHUNK = 500  # rows at a time, at most
AT_ONCE = 4_000  # rows times draws: a decoder of images takes some 250 kB for each
SEED = 20_251_124  # of everything drawn for a measurement: the same rows, the same noise


@dataclass(frozen=True, slots=True)
class Held:
    """Rows to measure on. `truth[node]` bool [all rows]: whose answer may be compared with."""

    rows: Tensor
    truth: Mapping[str, Tensor]
    samples: int = 8


@dataclass(frozen=True, slots=True)
class Score:
    """`kind`: scored.kind_of. `rows`: that had an answer, of a node in loops copies."""

    kind: Kind
    value: float
    rows: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def words(self) -> str:
        """12.34 %, 0.1234 or 12.3°."""
        return shown(self.kind, self.value)


@torch.no_grad()
def scores(model: Queries, table: Table, held: Held) -> dict[str, Score]:
    """The score of each supervised node on rows of which the model sees no label; the module should be in eval mode. Grey levels
    that were drawn in training are drawn once, from a fixed seed."""
    names = [n for n in held.truth if n in table.columns]
    wrong, count = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0)
    draws, ink = seeded(held.rows.device)
    for index in portions(held.rows, held.samples) if names and len(held.rows) else ():
        beliefs = ask.posterior(model, hidden(model, table, index, ink), {}, draws, held.samples)
        for name in names:
            mask = held.truth[name].index_select(0, index)
            loss = _loss(beliefs[name], read(table.columns[name], index, None), model.NODES[name], mask.shape)
            wrong[name] += float(loss[mask].sum())
            count[name] += int(mask.sum())
    return {n: _score(model.NODES[n], wrong[n] / count[n], count[n]) for n in names if count[n]}


def seeded(device: torch.device) -> tuple[Draws, torch.Generator]:
    """What a measurement draws, and the noise that binarises grey levels as in training: the same at every call."""
    return Draws(torch.Generator(device).manual_seed(SEED)), torch.Generator(device).manual_seed(SEED + 1)


def portions(rows: Tensor, samples: int) -> tuple[Tensor, ...]:
    """Rows that are evaluated together with `samples` draws each."""
    parts: tuple[Tensor, ...] = rows.split(max(1, min(CHUNK, AT_ONCE // samples)))
    return parts


def label_errors(model: Queries, table: Table, held: Held) -> dict[str, dict[str, Any]]:
    """`scores` as the metrics file has them."""
    return {name: score.as_dict() for name, score in scores(model, table, held).items()}


def hidden(model: Queries, table: Table, index: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
    """Values of observed and given nodes, [1, rows, *event]: what is seen of a row without its labels. A partial node without
    a column is missing as a whole."""
    seen = [n for n in table.columns if model.NODES[n].role in ("observed", "given")]
    found = {name: read(table.columns[name], index, noise)[None].to(_dtype(model.NODES[name])) for name in seen}
    for name, info in model.NODES.items():
        if info.partial and name not in found:
            missing = -1 if info.integer else torch.nan
            copies = copies_of(info, model.RANGES)
            found[name] = torch.full(
                (1, len(index), *copies, *info.event), missing, device=index.device, dtype=_dtype(info)
            )
    return found


def _dtype(info: NodeInfo) -> torch.dtype:
    return torch.int64 if info.integer else torch.get_default_dtype()


def _loss(belief: ask.Belief, truth: Tensor, info: NodeInfo, shape: Sequence[int]) -> Tensor:
    """The losses of scored.losses, averaged over the cells of a row, or of a copy: `shape`."""
    guess = belief.argmax(-1) + info.first if isinstance(belief, Tensor) else belief[0]
    return losses(info, guess, truth).reshape(*shape, -1).mean(-1)


def _score(info: NodeInfo, value: float, rows: int) -> Score:
    return Score(kind_of(info), total(kind_of(info), value), rows)


@torch.no_grad()
def held_out_bound(model: Queries, table: Table, held: Held) -> float:
    """The mean bound of rows with their labels hidden, with the same noise at every call: for early stopping."""
    generator = torch.Generator(held.rows.device).manual_seed(SEED)
    draws, total = Draws(generator), 0.0
    for index in held.rows.split(CHUNK):
        values = {name: value[0] for name, value in hidden(model, table, index, generator).items()}
        total += float(model(make_batch(model, values), draws).bound.double().sum())
    return total / len(held.rows)
