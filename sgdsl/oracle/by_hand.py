"""The bound of each row from the draws that its emitted step took: a plain loop over rows, formulas on samples × values of
the enumerated nodes; everything can be differentiated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle import exact
from sgdsl.oracle.grid import finite_values, parents, product, q_order
from sgdsl.oracle.noise import Drawn, Recorder, binary_logits, class_logits, one_hot
from sgdsl.oracle.program import Compiled, Rows, batch_of
from sgdsl.oracle.replay import entries

RELAXED = ("gumbel", "straight_through")


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


def rows_by_hand(compiled: Compiled, rows: Rows, given: Sequence[Drawn], samples: int) -> list[Row]:
    """Every row (one copy each) at the recorded draws."""
    drawn = dict(zip(drawn_nodes(compiled), given, strict=True))
    scopes = exact.static_scopes(compiled.ir, compiled.chosen)
    start = dict.fromkeys(drawn, 0)
    found = []
    for row, known, copies in rows:
        assert copies == 1
        own = {}
        for name, draw in drawn.items():
            count = entries(compiled.ir, scopes[name], known)
            own[name] = draw.rows(slice(start[name], start[name] + count))
            start[name] += count
        found.append(_Values(compiled, row, known, own, samples).read())
    return found


def drawn_nodes(compiled: Compiled) -> list[str]:
    """The nodes in the order in which the step draws them; asserts that it is an order of q."""
    order = list(compiled.module.ORDER_Q)
    for i, name in enumerate(order):
        above = parents(compiled.ir, compiled.ir.factor("q", name).given) & set(order)
        assert above <= set(order[:i]), "drawn before its parents"
    return [n for n in order if compiled.chosen[n] not in ("enumerate", "delta")]


class _Values:
    """One row: every node's value at each sample and each assignment of its enumerated unknown nodes, [S · A or 1, …]."""

    def __init__(
        self,
        compiled: Compiled,
        row: Mapping[str, Tensor],
        known: tuple[str, ...],
        drawn: Mapping[str, Drawn],
        samples: int,
    ) -> None:
        model, chosen = compiled.ir, compiled.chosen
        self.compiled, self.reader, self.row, self.known, self.drawn = compiled, compiled.reader, row, known, drawn
        listed = [n for n in q_order(model) if chosen[n] == "enumerate" and n not in known]
        self.sizes = {n: model.node(n).type.cardinality or 0 for n in listed}
        table = product(list(self.sizes.values()))
        self.digits = {n: table[:, i] for i, n in enumerate(listed)}
        self.scopes = {n: [c for c in s if c in self.sizes] for n, s in exact.static_scopes(model, chosen).items()}
        self.samples, self.shape = samples, (samples, len(table))
        self.values = {n.name: row[n.name][None].double() for n in model.nodes if n.role in ("observed", "given")}
        self.soft: dict[str, Tensor] = {}

    def read(self) -> Row:
        """Encoder in q's order, then every log-probability, then the sums."""
        model, chosen, zero = self.compiled.ir, self.compiled.chosen, torch.zeros(self.shape, dtype=torch.float64)
        parts = {"enumerate": zero, "drawn": zero, "known": zero}
        score = zero[:, 0]
        for name in q_order(model):
            factor = model.factor("q", name)
            self._place(factor)
            if factor.family == "Delta":
                continue
            log_q = self._spread(self.reader.log_prob(factor, self.values, self.soft))
            kind = "known" if name in self.known else "enumerate" if name in self.sizes else "drawn"
            parts[kind] = parts[kind] + log_q
            if kind == "drawn" and chosen[name] == "score":
                score = score + log_q[:, exact.first_uses(self._copies(name))].sum(1)
        log_p = sum((self._spread(self.reader.log_prob(f, self.values, self.soft)) for f in model.p), zero)
        at = exact.summed(zero[:, 0], log_p, parts["enumerate"], parts["drawn"], parts["known"])
        return Row(at, score)

    def _spread(self, term: Tensor) -> Tensor:
        """[S · A or 1] → [S, A]."""
        return term.expand(math.prod(self.shape)).reshape(self.shape)

    def _copies(self, name: str) -> Tensor:
        return exact.copies_of(self.scopes[name], self.sizes, self.digits)

    def _place(self, factor: ir.Factor) -> None:
        """The value of one node of q."""
        name, kind = factor.node, self.compiled.ir.node(factor.node).type
        relaxed = self.compiled.chosen[name] in RELAXED
        if name in self.known:
            label = self.row[name][None].double()
            self.values[name] = one_hot(label, kind.first, kind.values or 0) if relaxed and kind.one_hot else label
            if relaxed:
                self.soft[name] = self.values[name]
        elif name in self.sizes:
            self.values[name] = finite_values(kind)[self.digits[name]].repeat(self.samples, *[1] * len(kind.event))
        else:
            at = self.reader.parameters(factor, self.values)
            self.values[name] = at["value"] if factor.family == "Delta" else self._again(name, at)
            if relaxed:
                self.soft[name] = class_logits(at).softmax(-1) if kind.one_hot else binary_logits(at).sigmoid()
                self.soft[name] = self.soft[name].expand(self.values[name].shape)
            elif factor.family == "Categorical":
                self.values[name] = self.values[name] + kind.first

    def _again(self, name: str, at: Mapping[str, Tensor]) -> Tensor:
        """The recorded draw of each sample and assignment, made anew from these parameters."""
        copies, drawn = self._copies(name).expand(self.shape[1]), self.drawn[name]
        value, *noise = (t[:, copies].flatten(0, 1).double() for t in (drawn.value, *drawn.noise))
        return Drawn(drawn.method, value, tuple(noise), drawn.options).again(at)


def step_and_hand(compiled: Compiled, rows: Rows, samples: int, alpha: float, seed: int) -> tuple[Any, Tensor, Tensor]:
    """The emitted step; the bounds by hand at the same draws, [rows]; and what to differentiate instead of them, [rows]."""
    draws = Recorder(seed)
    step = compiled.run(batch_of(compiled, rows), draws, samples, alpha)
    hand = rows_by_hand(compiled, rows, draws.given, samples)
    bounds = torch.stack([row.bound(compiled.bound, alpha) for row in hand])
    return step, bounds, torch.stack([row.objective(compiled.bound, alpha) for row in hand])
