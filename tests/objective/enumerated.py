"""An emitted step on every outcome of its draws: a program of tables comes in; E[bound] and E[∇ objective] go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.batch import Step, make_batch
from tests.objective.by_definition import Definition, Node, program
from tests.objective.outcomes import model_of

BOUNDS = {
    "snis": ("objective.bound=snis",),
    "jensen": ("objective.marginal=jensen",),
    "iw": ("objective.bound=iw",),
    "clamped": ("objective.bound=clamped",),
}


class All:
    """Row i takes the i-th outcome, in mixed radix. `outcomes`: how many there are, known once a step has run. Of a group
    without weights the samples are not chosen."""

    def __init__(self, rows: int) -> None:
        self.rows, self.outcomes = rows, 1
        self.rest = torch.arange(rows)
        self.log_prob = torch.zeros(rows, dtype=torch.float64)

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        samples, entries = size
        log_prob = logits.detach().log_softmax(-1).expand(samples, entries, -1)
        index = torch.empty(samples, entries, dtype=torch.int64)
        for s in range(samples):
            for e in range(entries // self.rows):
                at = torch.arange(self.rows) * (entries // self.rows) + e
                index[s, at] = self._digit(log_prob[s, at])
        return index

    def resample(self, size: Sequence[int], log_w: Tensor) -> Tensor:
        if bool((log_w == 0).all()):
            return torch.zeros(tuple(size), dtype=torch.int64)
        return torch.stack([self._digit(log_w.t().log_softmax(-1)) for _ in range(size[0])])

    def _digit(self, log_prob: Tensor) -> Tensor:
        """The next digit of every row, [rows]: log_prob [rows, values]."""
        values = log_prob.shape[-1]
        digit = self.rest % values
        self.rest, self.outcomes = self.rest // values, self.outcomes * values
        self.log_prob = self.log_prob + log_prob.gather(-1, digit[:, None])[:, 0]
        return digit


@dataclass(frozen=True, slots=True)
class Compared:
    """Found and expected: E[bound], and its gradient [weights]; E[∇ objective] is what was found."""

    bound: Tensor
    expected: Tensor
    gradient: Tensor
    expected_gradient: Tensor


class Tables:
    """A program of tables: emitted, and by definition."""

    def __init__(self, nodes: Sequence[Node], bound: str, samples: int, alpha: float = 0.37) -> None:
        self.nodes = {n.name: n for n in nodes}
        self.bound, self.samples, self.alpha = bound, samples, alpha
        options = [*BOUNDS[bound], f"objective.samples={samples}"]
        self.model: Any = model_of(program(nodes), *options, alpha=alpha).eval()
        assert self.model.samples == samples
        own = dict(self.model.named_parameters())
        self.weights = {name: p for name, p in own.items() if "_baseline." not in name}
        drawn = [n for n, info in self.model.NODES.items() if info.estimator == "score"]
        tables = {(name[0], name[2:].split(".")[0]): p for name, p in self.weights.items()}
        self.definition = Definition(nodes, self.model.ORDER_Q, drawn, tables)

    def step(self, draws: Any, rows: int, known: Mapping[str, int]) -> Step:
        """The step of equal rows: 1 for all that is observed or given."""
        values = {n: torch.ones(rows, dtype=torch.int64) for n, node in self.nodes.items() if not node.inferred}
        labels = [n for n, node in self.nodes.items() if node.role == "supervised"]
        values |= {n: torch.full((rows,), known.get(n, 0)) for n in labels}
        masks = {n: torch.full((rows,), n in known) for n in labels}
        step: Step = self.model(make_batch(self.model, values, masks), draws)
        return step

    def outcomes(self, known: Mapping[str, int]) -> int:
        """How many outcomes a row of this pattern has."""
        self.step(draws := All(1), 1, known)
        return draws.outcomes

    def compare(self, known: Mapping[str, int]) -> Compared:
        """Over all outcomes, and by definition."""
        draws = All(self.outcomes(known))
        step = self.step(draws, draws.rows, known)
        likely = draws.log_prob.exp() > 0
        probability = draws.log_prob.exp()[likely]
        torch.testing.assert_close(probability.sum(), torch.ones((), dtype=torch.float64))
        row = {n: 1 for n, node in self.nodes.items() if not node.inferred}
        if self.bound == "snis" and self.model.GROUPS is not None:
            expected = self.definition.expected_by_groups(row, known, self.samples, self.alpha)
        else:
            expected = self.definition.expected(self.bound, row, known, self.samples, self.alpha)
        found = (probability * step.bound[likely]).sum()
        surrogate = (probability * step.objective[likely]).sum()
        return Compared(found, expected, self.gradient(surrogate), self.gradient(expected))

    def gradient(self, value: Tensor) -> Tensor:
        """With respect to all tables."""
        wanted = list(self.weights.values())
        found = torch.autograd.grad(value, wanted, allow_unused=True, retain_graph=True)
        parts = [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found, strict=True)]
        return torch.cat([part.flatten() for part in parts])
