"""Draws that take every joint outcome in turn: an emitted step runs once with a row for each outcome of all its draws.

A block is one row of data with its pattern of labels, copied `count` times; copy i takes joint outcome `first + i`, in
mixed radix over (draw of a node, sample, entry). Draws that the row does not use, such as of nodes that
it knows, take junk. Which entries a node's draw
has is computed here from the IR (a draw for each value of the unknown enumerated nodes that it depends on), so that the
sizes asked for by the emitted step are checked too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.exact import static_scopes
from sgdsl.oracle.grid import finite_values, hermite
from sgdsl.oracle.groups import Groups


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of an emitted step: the node, its outcomes, and the enumerated nodes it has an entry for each value of;
    or which sample the recombinations take of the group whose first node it is."""

    node: ir.Node
    outcomes: int
    scope: tuple[str, ...] = ()
    pick: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """`count` copies of a row, for the joint outcomes from `first` on; `known`: the labels it knows."""

    known: tuple[str, ...]
    count: int
    first: int = 0


def draws_of(groups: Groups, order: Sequence[str], samples: int, points: int) -> list[Draw]:
    """Every draw of a step, whatever a row may know: nodes in the order `order`, those that read several groups of weights
    last, after the choice of each group's samples."""
    model, plan = groups.model, groups.plan
    scopes = static_scopes(model, groups.planned)
    early: list[Draw] = []
    late: list[Draw] = []
    for node in (model.node(n) for n in order if groups.planned[n] not in ("enumerate", "delta")):
        outcomes = node.type.cardinality or points**node.type.cells
        after = plan is not None and plan.is_late("q", node.name)
        (late if after else early).append(Draw(node, outcomes, tuple(c for c in scopes[node.name] if c != node.name)))
    picks = [Draw(model.node(n), samples, pick=True) for n in plan.weighed] if plan else []
    return [*early, *picks, *late]


def entries(groups: Groups, scope: Sequence[str], known: Sequence[str]) -> int:
    """Entries of a row on a level: one for a node that it knows, else one for each value, or two by sum_and_sample."""
    sizes = {c: 2 if c in groups.sampled else groups.model.node(c).type.cardinality or 1 for c in scope}
    return math.prod(size for c, size in sizes.items() if c not in known)


@dataclass(slots=True)
class Replay:
    """A stand-in for sgdsl.runtime.draws.Draws in an emitted step. `log_draw`: for each block the log probability of
    each copy's draws so far, [count]."""

    groups: Groups
    plan: Sequence[Draw]
    blocks: Sequence[Block]
    samples: int
    points: int
    at: int = 0
    log_draw: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log_draw = [torch.zeros(b.count, dtype=torch.float64) for b in self.blocks]

    def counts(self, draw: Draw, known: Sequence[str]) -> bool:
        """Whether a row with these labels uses the draw."""
        return draw.node.name in self.groups.picked(known) if draw.pick else draw.node.name not in known

    def outcomes(self, known: Sequence[str]) -> int:
        """Joint outcomes of all draws of a row with these labels."""
        return math.prod(
            d.outcomes ** (self.samples * entries(self.groups, d.scope, known))
            for d in self.plan
            if self.counts(d, known)
        )

    def resample(self, size: Sequence[int], log_w: Tensor) -> Tensor:
        """The sample that each recombination takes of a group, by its weights [S, rows]."""
        draw, index = self._next(size)
        self._weigh(draw, log_w.log_softmax(0).gather(0, index))
        return index

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
        here = [entries(self.groups, draw.scope, b.known) for b in self.blocks]
        total = sum(b.count * e for b, e in zip(self.blocks, here, strict=True))
        event = () if draw.pick else draw.node.type.event
        assert tuple(size) == (self.samples, total, *event), f"{draw.node.name} drawn as {tuple(size)}"
        parts = [self._outcome(draw, b, e) for b, e in zip(self.blocks, here, strict=True)]
        self.at += 1
        return draw, torch.cat(parts, 1)

    def _outcome(self, draw: Draw, block: Block, copies: int) -> Tensor:
        """[S, count · copies], row-major: copy by copy, each with its entries."""
        shape = (block.count, self.samples, copies)
        if not self.counts(draw, block.known):
            junk = torch.arange(math.prod(shape)).reshape(shape) * 7 + self.at
            return (junk % draw.outcomes).transpose(0, 1).reshape(self.samples, -1)
        earlier = [d for d in self.plan[: self.at] if self.counts(d, block.known)]
        rest = torch.arange(block.first, block.first + block.count)
        for d in earlier:
            rest = rest // d.outcomes ** (self.samples * entries(self.groups, d.scope, block.known))
        place = torch.arange(self.samples * copies)
        digits = rest[:, None] // draw.outcomes**place % draw.outcomes
        return digits.reshape(shape).transpose(0, 1).reshape(self.samples, -1)

    def _weigh(self, draw: Draw, log_prob: Tensor) -> None:
        """Adds the log probabilities [S, entries, *event] to the copies they belong to."""
        flat = log_prob.detach().reshape(*log_prob.shape[:2], -1).sum(-1)
        start = 0
        for i, block in enumerate(self.blocks):
            copies = entries(self.groups, draw.scope, block.known)
            part = flat[:, start : start + block.count * copies]
            start += block.count * copies
            if self.counts(draw, block.known):
                self.log_draw[i] += part.reshape(self.samples, block.count, copies).sum((0, 2))
