"""The bound of each row from the draws that its emitted step took: a plain loop over rows, formulas on samples × values of
the enumerated nodes; everything can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.by_group import grouped_row
from sgdsl.oracle.doubly import doubly_row
from sgdsl.oracle.grid import parents
from sgdsl.oracle.noise import Drawn, Recorder
from sgdsl.oracle.placed import Placed
from sgdsl.oracle.program import Compiled, Rows, batch_of
from sgdsl.oracle.replay import draws_of, entries


class Hand(Protocol):
    """One row at its draws."""

    def bound(self, bound: str, alpha: float) -> Tensor: ...

    def objective(self, bound: str, alpha: float) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One row at its draws: `at` [S], and the score term's Σ log q of each sample's scored draws, [S]."""

    at: exact.Sample
    score: Tensor

    def bound(self, bound: str, alpha: float) -> Tensor:
        """From its definition in objective.md, section 1."""
        return exact.estimate(self.at, bound, alpha)

    def objective(self, bound: str, alpha: float) -> Tensor:
        """The bound with the gradient of objective.md, section 5: Σ_s stop(L̂ − L̂ without s) · score_s is added."""
        full, samples = self.bound(bound, alpha), len(self.score)
        gain = [full.detach()]
        if samples > 1:
            others = torch.arange(samples)
            gain = [full.detach() - exact.estimate(self.at[others[others != s]], bound, alpha).detach() for s in others]
        return full + (torch.stack(gain) * (self.score - self.score.detach())).sum()


def rows_by_hand(compiled: Compiled, rows: Rows, given: Sequence[Drawn], samples: int) -> list[Hand]:
    """Every row (one copy each) at the recorded draws."""
    plan = draws_of(compiled.groups, drawing_order(compiled), samples, 1)
    start = [0] * len(plan)
    found: list[Hand] = []
    for row, known, copies in rows:
        assert copies == 1
        own: dict[str, Drawn] = {}
        picks: dict[str, Tensor] = {}
        for i, (draw, made) in enumerate(zip(plan, given, strict=True)):
            count = entries(compiled.groups, draw.scope, known)
            part = made.rows(slice(start[i], start[i] + count))
            start[i] += count
            if draw.pick:
                picks[draw.node.name] = part.value[:, 0]
            else:
                own[draw.node.name] = part
        if compiled.groups.plan and samples > 1:
            found.append(grouped_row(compiled, row, known, own, picks))
        elif compiled.doubly:
            found.append(doubly_row(compiled, row, known, own, samples))
        else:
            found.append(joint(Placed(compiled, row, known, own, samples)))
    return found


def drawing_order(compiled: Compiled) -> list[str]:
    """The order of the step; asserts that it is one of q."""
    order = list(compiled.module.ORDER_Q)
    for i, name in enumerate(order):
        above = parents(compiled.ir, compiled.ir.factor("q", name).given) & set(order)
        assert above <= set(order[:i]), "drawn before its parents"
    return order


def joint(at: Placed) -> Row:
    """One weight a sample."""
    model, chosen = at.compiled.ir, at.compiled.chosen
    parts = {"enumerate": at.zeros, "drawn": at.zeros, "known": at.zeros}
    score = at.zeros[:, 0]
    for factor in model.q:
        name, log_q = factor.node, at.log_prob(factor)
        parts[at.kind(name)] = parts[at.kind(name)] + log_q
        if at.kind(name) == "drawn" and chosen[name] == "score":
            score = score + at.once(name, log_q)
    log_p = sum((at.log_prob(f) for f in model.p), at.zeros)
    return Row(exact.summed(at.zeros[:, 0], log_p, parts["enumerate"], parts["drawn"], parts["known"]), score)


def step_and_hand(compiled: Compiled, rows: Rows, samples: int, alpha: float, seed: int) -> tuple[Any, Tensor, Tensor]:
    """The emitted step; the bounds by hand at the same draws, [rows]; and what to differentiate instead of them, [rows]."""
    draws = Recorder(seed)
    step = compiled.run(batch_of(compiled, rows), draws, samples, alpha)
    hand = rows_by_hand(compiled, rows, draws.given, samples)
    bounds = torch.stack([row.bound(compiled.bound, alpha) for row in hand])
    return step, bounds, torch.stack([row.objective(compiled.bound, alpha) for row in hand])
