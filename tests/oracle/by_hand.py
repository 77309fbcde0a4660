"""The bounds of a batch from the draws that its emitted step took, where enumerated nodes are known: formulas on recorded
values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.runtime.draws import Draws
from tests.oracle.grid import parents, q_order
from tests.oracle.interpret import Reader
from tests.oracle.program import Compiled, Rows, batch_of


@dataclass(slots=True)
class Recorder:
    """Draws as in training, that keeps what it gave; each [S, rows, *event]."""

    seed: int
    given: list[Tensor] = field(default_factory=list)
    draws: Draws = field(init=False)

    def __post_init__(self) -> None:
        self.draws = Draws(torch.Generator().manual_seed(self.seed))

    def __getattr__(self, family: str) -> Callable[..., Tensor]:
        method = getattr(self.draws, family)

        def record(*args: Any) -> Tensor:
            value: Tensor = method(*args)
            self.given.append(value)
            return value

        return record


@dataclass(frozen=True, slots=True)
class Taken:
    """Every node's value, [S · rows, *event], and of relaxed ones the probabilities to be scored: labels where known."""

    values: dict[str, Tensor]
    soft: dict[str, Tensor]


def taken(compiled: Compiled, rows: Rows, given: Sequence[Tensor], samples: int) -> Taken:
    """Labels where known, a Delta's own value, else what was drawn."""
    reader = compiled.reader
    values: dict[str, Tensor] = {}
    soft: dict[str, Tensor] = {}
    for node in compiled.ir.nodes:
        if node.role in ("observed", "given"):
            values[node.name] = _repeated(torch.stack([row[node.name] for row, _, _ in rows]), samples)
    drawn = dict(zip(_drawn(compiled), given, strict=True))
    for name in q_order(compiled.ir):
        parameters = reader.parameters(compiled.ir.factor("q", name), values)
        if name not in drawn:
            delta = compiled.ir.factor("q", name).family == "Delta"
            values[name] = (
                parameters["value"] if delta else _repeated(torch.stack([r[name] for r, _, _ in rows]), samples)
            )
            continue
        kind, value = compiled.ir.node(name).type, drawn[name].double().flatten(0, 1)
        relaxed = compiled.chosen[name] in ("gumbel", "straight_through")
        if relaxed:
            weights = parameters["logits"].softmax(-1) if kind.one_hot else parameters["logits"].sigmoid()
            soft[name] = _labelled(compiled, rows, name, weights.expand(value.shape), samples)
        values[name] = _labelled(compiled, rows, name, value if relaxed else value + kind.first, samples)
    return Taken(values, soft)


def _labelled(compiled: Compiled, rows: Rows, name: str, value: Tensor, samples: int) -> Tensor:
    """The label where known, one-hot where the value is a vector of weights."""
    node = compiled.ir.node(name)
    if node.role != "supervised":
        return value
    label = _repeated(torch.stack([row[name] for row, _, _ in rows]), samples)
    if value.dim() > label.dim():
        label = functional.one_hot(label.long() - node.type.first, node.type.values or 0).double()
    known = _repeated(torch.tensor([name in names for _, names, _ in rows]), samples).bool()
    return torch.where(known.reshape(-1, *[1] * (value.dim() - 1)), label, value)


def _repeated(value: Tensor, samples: int) -> Tensor:
    """[rows, …] → [S · rows, …] in float64."""
    return value.double()[None].expand(samples, *value.shape).flatten(0, 1)


def _drawn(compiled: Compiled) -> list[str]:
    """The nodes in the order in which the step draws them; asserts that it is an order of q."""
    order = list(compiled.module.ORDER_Q)
    for i, name in enumerate(order):
        above = parents(compiled.ir, compiled.ir.factor("q", name).given) & set(order)
        assert above <= set(order[:i]), "drawn before its parents"
    delta = {f.node for f in compiled.ir.q if f.family == "Delta"}
    return [n for n in order if n not in delta and compiled.chosen[n] != "enumerate"]


def bounds_by_hand(compiled: Compiled, rows: Rows, given: Sequence[Tensor], samples: int, alpha: float) -> Tensor:
    """The bound of each row from its definition in objective.md, section 1, [rows]."""
    at = taken(compiled, rows, given, samples)
    reader: Reader = compiled.reader
    shape = (samples, len(rows))
    log_p = sum((reader.log_prob(f, at.values, at.soft) for f in compiled.ir.p), torch.zeros(samples * len(rows)))
    log_r, log_w = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    for factor in compiled.ir.q:
        if factor.family != "Delta":
            log_q = reader.log_prob(factor, at.values, at.soft).expand(samples * len(rows)).reshape(shape)
            known = torch.tensor([factor.node in names for _, names, _ in rows])
            log_r, log_w = log_r + log_q * ~known, log_w + log_q * known
    f = log_p.reshape(shape) - log_r - log_w
    total = log_w.logsumexp(0) - math.log(samples)
    match compiled.bound:
        case "snis":
            return (log_w.softmax(0) * f).sum(0) + (1 + alpha) * total
        case "jensen":
            return (log_w.softmax(0) * f).sum(0) + (1 + alpha) * log_w.mean(0)
        case "iw":
            return (f + log_w).logsumexp(0) - math.log(samples) + alpha * total
        case _:
            return (f + log_w).mean(0) + alpha * log_w.mean(0)


def step_and_hand(compiled: Compiled, rows: Rows, samples: int, alpha: float, seed: int) -> tuple[Any, Tensor]:
    """The emitted step, and the bounds by hand at the same draws."""
    draws = Recorder(seed)
    step = compiled.run(batch_of(compiled, rows), draws, samples, alpha)
    return step, bounds_by_hand(compiled, rows, draws.given, samples, alpha)
