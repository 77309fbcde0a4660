"""Draws that take every joint outcome in turn: an emitted step runs once with a row for each outcome of all its draws.

A block is one row of data with its pattern of labels, copied `count` times; copy i takes joint outcome `first + i`, in
mixed radix over (draw of a node, sample, entry). Draws of nodes that the row knows take junk. Which entries a node's draw
has is computed here from the IR (a draw for each value of the unknown enumerated nodes that it depends on), so that the
sizes asked for by the emitted step are checked too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.exact import static_scopes
from sgdsl.oracle.grid import finite_values, hermite


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of an emitted step: the node, its outcomes, and the enumerated nodes it has an entry for each value of."""

    node: ir.Node
    outcomes: int
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """`count` copies of a row, for the joint outcomes from `first` on; `known`: the labels it knows."""

    known: tuple[str, ...]
    count: int
    first: int = 0


def draws_of(model: ir.Model, chosen: Mapping[str, str], order: Sequence[str], points: int) -> list[Draw]:
    """Every node that is drawn, in the order `order`, whatever a row may know."""
    scopes = static_scopes(model, chosen)
    found = []
    for node in (model.node(n) for n in order if chosen[n] not in ("enumerate", "delta")):
        outcomes = node.type.cardinality or points**node.type.cells
        found.append(Draw(node, outcomes, scopes[node.name]))
    return found


def entries(model: ir.Model, scope: Sequence[str], known: Sequence[str]) -> int:
    """Entries of a row on a level: one for a node that it knows, else one for each value."""
    return math.prod(model.node(c).type.cardinality or 1 for c in scope if c not in known)


@dataclass(slots=True)
class Replay:
    """A stand-in for sgdsl.runtime.draws.Draws in an emitted step. `log_draw`: for each block the log probability of
    each copy's draws so far, [count]."""

    model: ir.Model
    plan: Sequence[Draw]
    blocks: Sequence[Block]
    samples: int
    points: int
    at: int = 0
    log_draw: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log_draw = [torch.zeros(b.count, dtype=torch.float64) for b in self.blocks]

    def outcomes(self, known: Sequence[str]) -> int:
        """Joint outcomes of all draws of a row with these labels."""
        return math.prod(
            d.outcomes ** (self.samples * entries(self.model, d.scope, known))
            for d in self.plan
            if d.node.name not in known
        )

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        """Indices, int64."""
        draw, index = self._next(size)
        value = (finite_values(draw.node.type)[index] - draw.node.type.first).long()
        log_probs = logits.log_softmax(-1).expand(*size, logits.shape[-1])
        self._weigh(draw, log_probs.gather(-1, value[..., None])[..., 0])
        return value

    def bernoulli(self, size: Sequence[int], logits: Tensor) -> Tensor:
        """0.0 or 1.0."""
        draw, index = self._next(size)
        value = finite_values(draw.node.type)[index]
        self._weigh(draw, (value * logits - torch.nn.functional.softplus(torch.as_tensor(logits))).expand(size))
        return value

    def normal(self, size: Sequence[int], loc: Tensor, scale: Tensor) -> Tensor:
        """loc + scale · a point of Gauss-Hermite quadrature, weighed as such."""
        draw, index = self._next(size)
        at, log_weight = hermite(self.points)
        kind = draw.node.type
        each = torch.stack([index // self.points**k % self.points for k in reversed(range(kind.cells))], -1)
        each = each.reshape(*index.shape, *kind.shape)
        self._weigh(draw, log_weight[each])
        return loc + scale * at[each]

    def _next(self, size: Sequence[int]) -> tuple[Draw, Tensor]:
        """The next node drawn and its outcome in each entry, [S, entries]. Asserts the size asked for."""
        draw = self.plan[self.at]
        here = [entries(self.model, draw.scope, b.known) for b in self.blocks]
        total = sum(b.count * e for b, e in zip(self.blocks, here, strict=True))
        assert tuple(size) == (self.samples, total, *draw.node.type.event), f"{draw.node.name} drawn as {tuple(size)}"
        parts = [self._outcome(draw, b, e) for b, e in zip(self.blocks, here, strict=True)]
        self.at += 1
        return draw, torch.cat(parts, 1)

    def _outcome(self, draw: Draw, block: Block, copies: int) -> Tensor:
        """[S, count · copies], row-major: copy by copy, each with its entries."""
        shape = (block.count, self.samples, copies)
        if draw.node.name in block.known:
            junk = torch.arange(math.prod(shape)).reshape(shape) * 7 + self.at
            return (junk % draw.outcomes).transpose(0, 1).reshape(self.samples, -1)
        earlier = [d for d in self.plan[: self.at] if d.node.name not in block.known]
        rest = torch.arange(block.first, block.first + block.count)
        for d in earlier:
            rest = rest // d.outcomes ** (self.samples * entries(self.model, d.scope, block.known))
        place = torch.arange(self.samples * copies)
        digits = rest[:, None] // draw.outcomes**place % draw.outcomes
        return digits.reshape(shape).transpose(0, 1).reshape(self.samples, -1)

    def _weigh(self, draw: Draw, log_prob: Tensor) -> None:
        """Adds the log probabilities [S, entries, *event] to the copies they belong to."""
        flat = log_prob.detach().reshape(*log_prob.shape[:2], -1).sum(-1)
        start = 0
        for i, block in enumerate(self.blocks):
            copies = entries(self.model, draw.scope, block.known)
            part = flat[:, start : start + block.count * copies]
            start += block.count * copies
            if draw.node.name not in block.known:
                self.log_draw[i] += part.reshape(self.samples, block.count, copies).sum((0, 2))
