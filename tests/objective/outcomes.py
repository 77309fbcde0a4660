"""An emitted step at every joint outcome of its draws, with the outcomes' probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import Step, make_batch
from sgdsl.runtime.load import load

_count = itertools.count()


class Outcomes:
    """Row i of a batch takes the i-th joint outcome of all draws, in mixed radix: every entry of a row has one of its own.
    `log_prob` [rows] can be differentiated, but for `picked`: the samples that recombinations took."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.rest = torch.arange(rows)
        self.log_prob = torch.zeros(rows, dtype=torch.float64)
        self.picked: list[Tensor] = []

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        samples, entries = size
        assert entries % self.rows == 0, "as many entries in each row"
        values = logits.shape[-1]
        index = self._digits(samples * (entries // self.rows), values)
        index = index.reshape(samples, -1, self.rows).transpose(1, 2).reshape(samples, entries)
        log_probs = logits.log_softmax(-1).expand(samples, entries, -1).gather(-1, index[..., None])[..., 0]
        self.log_prob = self.log_prob + log_probs.reshape(samples, self.rows, -1).sum((0, 2))
        return index

    def resample(self, size: Sequence[int], log_w: Tensor) -> Tensor:
        samples, entries = size
        index = self._digits(samples * (entries // self.rows), samples).reshape(samples, -1, self.rows)
        self.picked += index.unbind(1)
        return index.transpose(1, 2).reshape(samples, entries)

    def _digits(self, count: int, values: int) -> Tensor:
        """The next digits of every row, [count, rows]."""
        found = []
        for _ in range(count):
            found.append(self.rest % values)
            self.rest = self.rest // values
        return torch.stack(found)


@dataclass(frozen=True, slots=True)
class Everything:
    """The step at every joint outcome, and the outcomes' probabilities, which can be differentiated."""

    step: Step
    probability: Tensor

    @property
    def mean(self) -> Tensor:
        """E[bound]."""
        return (self.probability * self.step.bound).sum()

    @property
    def surrogate(self) -> Tensor:
        """What the emitted gradient is in the mean the gradient of."""
        return (self.probability.detach() * self.step.objective).sum()


def model_of(text: str, *overrides: str, alpha: float = 0.4) -> Any:
    """The model of a text in float64, its weights from one seed in the order of their names."""
    compiled = driver.compile_source(Source("outcomes.sgm", text), overrides)
    model = load(compiled.text, f"outcomes_{next(_count)}").Model().double()
    model.alpha = alpha
    torch.manual_seed(3)
    for _, parameter in sorted(model.named_parameters()):
        torch.nn.init.normal_(parameter, std=1.2)
    return model


def everything(
    model: Any, rows: int, labels: Mapping[str, int | list[int]], known: Sequence[str] | Mapping[str, list[bool]]
) -> Everything:
    """All `rows` outcomes of a row with x = 2 (where there is one) and these labels, `known` or not; in loops those of copies."""
    values = {n: torch.full((rows, *i.event), 2) for n, i in model.NODES.items() if i.role in ("observed", "given")}
    values |= {n: torch.tensor(label).expand(rows, *torch.tensor(label).shape) for n, label in labels.items()}
    told = known if isinstance(known, Mapping) else {n: n in known for n in labels}
    masks = {n: torch.tensor(told[n]).expand(values[n].shape) for n in labels}
    draws = Outcomes(rows)
    step = model(make_batch(model, values, masks), draws)
    assert draws.rest.eq(0).all(), "fewer rows than outcomes"
    log_prob = draws.log_prob
    for log_w, index in zip(step.log_w, draws.picked, strict=False):
        log_prob = log_prob + log_w.log_softmax(0).gather(0, index).sum(0)
    torch.testing.assert_close(log_prob.exp().sum(), torch.tensor(1.0).double())
    return Everything(step, log_prob.exp())


def gradient(model: Any, value: Tensor) -> Tensor:
    """With respect to every weight, in the order of their names."""
    wanted = [p for _, p in sorted(model.named_parameters())]
    found = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True)
    return torch.cat([torch.zeros(p.numel()) if g is None else g.flatten() for p, g in zip(wanted, found, strict=True)])
