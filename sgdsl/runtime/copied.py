"""Queries of models with loops: values by node come in, [S or 1, rows, copies, …, *event]; draws and log-probabilities go out.

Samples become rows, and each copy of a node an entry, [1, S · rows · copies, *event]: a factor is then computed for all copies
at once. Copies that need one another are drawn one place after the other. Copies beyond the k of a loop `1..k` are there, but
weigh nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.runtime.batch import Batch
from sgdsl.runtime.densities_moments import Moments, moments
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.networks import where_known
from sgdsl.runtime.placed import Carried as Carried
from sgdsl.runtime.placed import Looped, Parameters, Values, placed
from sgdsl.runtime.placed import entries as entries
from sgdsl.runtime.places import alive_where, viewed


@dataclass(slots=True)
class Copied:
    """One query: `values` and masks by node with samples as rows, `size` samples and rows."""

    model: Looped
    side: str
    parameters_of: Callable[[str, Values, Batch], Parameters]
    size: tuple[int, int]
    values: dict[str, Tensor]
    known: dict[str, Tensor]
    batch: Batch

    @property
    def total(self) -> int:
        return math.prod(self.size)

    def spread(self, node: str, value: Tensor) -> Tensor:
        """Back to samples, rows and copies: [1, entries, …] → [S, rows, copies, …]."""
        copies = [self.model.RANGES[r].number for r in self.model.NODES[node].loops]
        return value.reshape(*self.size, *copies, *value.shape[2:])

    def put(self) -> None:
        """Where copies stand, when the number of copies of a loop has become known."""
        one = next(iter(self.values.values()), torch.zeros(()))
        counts = {c.count: self.values[c.count] for c in self.model.RANGES.values() if c.count in self.values}
        self.batch = placed(self.model, self.total, counts, torch.get_default_dtype(), one.device)

    def draw(self, order: tuple[str, ...], draws: Draws) -> tuple[Tensor, dict[str, Moments]]:
        """Every node of an order, clamped where known; the log density of what was drawn, [S, rows], and the moments."""
        together = {n: c for c in self.model.CARRIED[self.side] for n in c.nodes}
        counts = {c.count for c in self.model.RANGES.values()}
        done: set[str] = set()
        found: dict[str, Moments] = {}
        log_r = torch.zeros(1, self.total, device=self.batch_device())
        for node in order:
            if node in done:
                continue
            carried = together.get(node)
            members = carried.nodes if carried else (node,)
            done |= set(members)
            if carried:
                self._draw_in_turn(carried, draws)
            elif not self._is_known(node):
                self._draw_node(node, draws)
            if counts & set(members):
                self.put()
            for name in members:
                parameters, log_prob = self.log_prob(name)
                found[name] = self.moments(name, parameters)
                if not self._is_known(name):
                    log_r = log_r + log_prob
        return log_r.reshape(self.size), found

    def batch_device(self) -> torch.device:
        return next((v.device for v in self.values.values()), torch.device("cpu"))

    def _is_known(self, node: str) -> bool:
        mask = self.known.get(node)
        return mask is not None and bool(mask.all())

    def _pieces(self, node: str) -> Mapping[str, str]:
        return self.model.PIECES[self.side][node]

    def _draw_node(self, node: str, draws: Draws) -> None:
        """All copies of a node at once."""
        found = [self._draw_piece(node, piece, draws) for piece in self._pieces(node)]
        self._keep(node, found[0] if len(found) == 1 else viewed(self._whole(node), *found))

    def _whole(self, node: str) -> Tensor:
        return self.batch.views[node if self.side == "q" else f"{node} of p"]

    def _draw_piece(self, node: str, piece: str, draws: Draws) -> Tensor:
        info, family = self.model.NODES[node], self._pieces(node)[piece]
        size = self._size(node, piece)
        drawn = self.model._sample(family, info, self._parameters(node, piece), draws, (1, size))
        return drawn.expand(1, size, *info.event)

    def _parameters(self, node: str, piece: str) -> Parameters:
        """The parameters of a piece; those that read nothing of a copy are the same for all in their row."""
        size = self._size(node, piece)
        return tuple(widened(p, size) for p in self.parameters_of(piece, self.values, self.batch))

    def _size(self, node: str, piece: str) -> int:
        """The entries of a piece's copies."""
        if piece in self.batch.views and piece != node:
            return len(self.batch.views[piece])
        return self.total * math.prod(self.model.RANGES[r].number for r in self.model.NODES[node].loops)

    def _keep(self, node: str, drawn: Tensor) -> None:
        mask = self.known.get(node)
        if mask is not None and node in self.values:
            drawn = where_known(mask, self.values[node].to(drawn.dtype), drawn)
        self.values[node] = drawn

    def _draw_in_turn(self, carried: Carried, draws: Draws) -> None:
        """Copies that need one another, place by place; only the copies of a place are evaluated for it."""
        of = {piece: node for node in carried.nodes for piece in self._pieces(node)}

        def draw(piece: str, place: int, parameters: Parameters) -> Tensor:
            node = of[piece]
            info = self.model.NODES[node]
            r, number = self.model.RANGES[info.loops[-1]], self._size(node, node)
            size, copy = number // r.number, place - r.first
            label: Tensor | None = None
            if node in self.known:
                label = self.values[node].unflatten(1, (-1, r.number))[:, :, copy]
            if label is not None and self._is_known(node):
                return label
            lifted = tuple(widened(p, size) for p in parameters)
            drawn = self.model._sample(self._pieces(node)[piece], info, lifted, draws, (1, size))
            drawn = drawn.expand(1, size, *info.event)
            if label is None:
                return drawn
            return where_known(self.known[node].unflatten(0, (-1, r.number))[:, copy], label.to(drawn.dtype), drawn)

        turns = self.model.in_turn_q if self.side == "q" else self.model.in_turn_p
        self.values |= turns(carried.nodes[0], self.values, self.batch, draw)

    def log_prob(self, node: str) -> tuple[dict[str, Parameters], Tensor]:
        """The parameters of each piece, and log p or log q of all copies that were drawn, [1, S · rows]."""
        info, parameters = self.model.NODES[node], {}
        total = torch.zeros(1, self.total, device=self.batch_device())
        for piece, family in self._pieces(node).items():
            found = parameters[piece] = self._parameters(node, piece)
            if family == "delta":
                continue
            log_prob = self.model._density(family, info, self._value(node, piece), found)
            log_prob = torch.where(self._weight(node, piece), log_prob, 0.0)
            total = total + log_prob.reshape(1, self.total, -1).sum(-1)
        return parameters, total

    def moments(self, node: str, pieces: Mapping[str, Parameters]) -> Moments:
        """The moments of all copies of a node, [S, rows, copies, …, *event] each, from the parameters of each piece."""
        info = self.model.NODES[node]
        found = [
            moments(info, family, pieces[piece], self._value(node, piece))
            for piece, family in self._pieces(node).items()
        ]
        mean, variance = (self._together(node, [m[i] for m in found]) for i in (0, 1))
        return mean, variance

    def asked(self, node: str, what: Callable[[str, str, Parameters, Tensor], Tensor]) -> Tensor:
        """What is made of each piece, of its family, parameters and values, [1, entries, …], by samples, rows and copies."""
        return self._together(node, [
            what(piece, family, self._parameters(node, piece), self._value(node, piece))
            for piece, family in self._pieces(node).items()
        ])  # fmt: skip

    def _value(self, node: str, piece: str) -> Tensor:
        return self.values[node] if piece == node else viewed(self.batch.views[piece], self.values[node])

    def _together(self, node: str, pieces: Sequence[Tensor]) -> Tensor:
        """What was found for each piece of a node's copies, by samples, rows and copies."""
        return self.spread(node, pieces[0] if len(pieces) == 1 else viewed(self._whole(node), *pieces))

    def _weight(self, node: str, piece: str) -> Tensor:
        """Which copies of a piece are there and were drawn, [1, entries]."""
        there, mask = self.there(node), self.known.get(node)
        if mask is not None:
            there = there & ~mask
        return there if piece == node else there[:, self.batch.views[piece]]

    def there(self, node: str) -> Tensor:
        """Which copies of a node are there, [1, entries]."""
        info = self.model.NODES[node]
        size = self._size(node, node)
        there = torch.ones(1, size, dtype=torch.bool, device=self.batch_device())
        numbers = [self.model.RANGES[n].number for n in info.loops]
        for depth, name in enumerate(info.loops):
            r = self.model.RANGES[name]
            if r.count:
                live = alive_where(self.values[r.count], r, torch.ones(())) > 0
                outer, inner = math.prod(numbers[:depth]), math.prod(numbers[depth + 1 :])
                there &= live.reshape(-1, 1, r.number, 1).expand(-1, outer, -1, inner).reshape(1, -1)
        return there


def widened(parameter: Tensor | float, entries: int) -> Tensor | float:
    """A parameter at the entries around a loop, for each copy in them: copies of an entry follow one another."""
    if not isinstance(parameter, Tensor) or parameter.dim() < 2 or not 1 < parameter.shape[1] < entries:
        return parameter
    return parameter.repeat_interleave(entries // parameter.shape[1], 1)
