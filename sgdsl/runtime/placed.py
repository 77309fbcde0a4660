"""Where all copies of some rows stand when nothing is enumerated: a model with loops comes in, a batch of indices goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from sgdsl.runtime.batch import Batch, NodeInfo
from sgdsl.runtime.densities_moments import Moments
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.levels import Copies
from sgdsl.runtime.places import Over, View, stand

Values = Mapping[str, Tensor]
Parameters = tuple[Tensor | float, ...]
Turn = Callable[[str, int, Parameters], Tensor]  # a piece, a place and its parameters: what is drawn there


class Drawn(NamedTuple):
    """`values[node]` [S, rows, *event], in loops [S, rows, copies, …, *event]; `log_r` [S, rows]: log density of what was drawn;
    `parameters` by node, of a model without loops; `moments` by node, of one with loops."""

    values: dict[str, Tensor]
    log_r: Tensor
    parameters: dict[str, Parameters]
    moments: dict[str, Moments]


class Carried(NamedTuple):
    """Nodes whose copies need earlier ones (`step` 1) or later ones (-1), in the order within a copy."""

    nodes: tuple[str, ...]
    step: int


class Standing(Protocol):
    """Where copies stand in an emitted class."""

    LEVELS: ClassVar[tuple[tuple[str, ...], ...]]
    RANGES: ClassVar[Mapping[str, Copies]]
    VIEWS: ClassVar[Mapping[str, View]]
    OVERS: ClassVar[Mapping[str, Over]]


class Looped(Standing, Protocol):
    """An emitted model with loops."""

    NODES: ClassVar[Mapping[str, NodeInfo]]
    PIECES: ClassVar[Mapping[str, Mapping[str, Mapping[str, str]]]]
    CARRIED: ClassVar[Mapping[str, tuple[Carried, ...]]]

    def in_turn_p(self, first: str, v: Values, batch: Batch, draw: Turn) -> dict[str, Tensor]: ...
    def in_turn_q(self, first: str, v: Values, batch: Batch, draw: Turn) -> dict[str, Tensor]: ...
    def _density(self, family: str, info: NodeInfo, value: Tensor, parameters: Parameters) -> Tensor: ...
    def _sample(
        self, family: str, info: NodeInfo, parameters: Parameters, draws: Draws, size: tuple[int, int]
    ) -> Tensor: ...


def placed(model: Standing, rows: int, counts: Values, dtype: torch.dtype, device: torch.device) -> Batch:
    """Where all copies of these rows stand, nothing enumerated. `counts[k]` [1, rows]; what is reduced up to a k that is not
    there is missing."""
    ranges = model.RANGES

    def plain(scope: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(n for n in scope if n in ranges)

    views = {
        name: replace(v, at=plain(v.at), sources=tuple(replace(s, of=plain(s.of)) for s in v.sources))
        for name, v in model.VIEWS.items()
    }
    known = {k: v[0] for k, v in counts.items()}
    overs = {
        name: replace(o, of=plain(o.of), at=plain(o.at))
        for name, o in model.OVERS.items()
        if not o.count or o.count in known
    }
    scopes = {*map(plain, model.LEVELS), *(v.at for v in views.values())}
    scopes |= {s for o in overs.values() for s in (o.of, o.at)} | {s.of for v in views.values() for s in v.sources}
    levels, found, together = stand(sorted(scopes - {()}), views, overs, rows, {}, ranges, known, device)
    return Batch({}, {}, levels, rows, dtype, views=found, overs=together)


def entries(value: Tensor, samples: int, event: int) -> Tensor:
    """Samples, rows and copies in one dimension: [S or 1, rows, copies, …, *event] → [1, S · rows · copies …, *event]."""
    full = value.expand(samples, *value.shape[1:])
    return full.reshape(1, -1, *full.shape[full.dim() - event :])
