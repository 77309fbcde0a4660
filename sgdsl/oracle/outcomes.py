"""The emitted step over all joint outcomes of its draws: expectations of what it computes, with their gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from sgdsl.oracle.grid import POINTS
from sgdsl.oracle.program import Compiled, batch_of
from sgdsl.oracle.replay import Block
from sgdsl.runtime.batch import Step

CHUNK = 1 << 14


def replayed(
    compiled: Compiled,
    row: Mapping[str, Tensor],
    known: tuple[str, ...],
    samples: int,
    alpha: float,
    points: int = POINTS,
) -> Iterator[tuple[Tensor, Step]]:
    """The step at every joint outcome of its draws, in chunks: probabilities [count] and Step."""
    total = compiled.replay([Block(known, 1)], samples, points).outcomes(known)
    assert total <= 400_000, f"{total} outcomes"
    for first in range(0, total, CHUNK):
        block = Block(known, min(CHUNK, total - first), first)
        draws = compiled.replay([block], samples, points)
        step = compiled.run(batch_of(compiled, [(row, known, block.count)]), draws, samples, alpha)
        assert draws.at == len(draws.plan), "the step draws another number of times"
        yield draws.log_draw[0].exp(), step


def gradients(compiled: Compiled, value: Tensor) -> dict[str, Tensor]:
    """d value / d every parameter of the model that is trained; zeros where it does not reach. The networks that predict the
    bound, as baselines of score terms, are trained by a loss of their own."""
    every = compiled.module.named_parameters()
    named = {n: p for n, p in every if p.requires_grad and "_baseline." not in n}
    constant = not value.requires_grad  # of a row without copies
    found = [None] * len(named) if constant else torch.autograd.grad(
        value, list(named.values()), allow_unused=True, retain_graph=True)  # fmt: skip
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(named.items(), found, strict=True)}


def expected(
    compiled: Compiled,
    row: Mapping[str, Tensor],
    known: tuple[str, ...],
    samples: int,
    alpha: float,
    points: int = POINTS,
) -> tuple[float, dict[str, Tensor]]:
    """E[step.bound] and E[∇ step.objective], exactly."""
    bound, totals = 0.0, gradients(compiled, torch.zeros((), dtype=torch.float64))
    mass = 0.0
    for probability, step in replayed(compiled, row, known, samples, alpha, points):
        assert torch.allclose(step.bound, step.objective, 1e-10, 1e-10), "the objective differs from the bound in value"
        mass += float(probability.sum())
        bound += float((probability * step.bound.detach()).sum())
        for name, gradient in gradients(compiled, (probability * step.objective).sum()).items():
            totals[name] += gradient
    assert abs(mass - 1) < 1e-9, f"the outcomes' probabilities sum to {mass}"
    return bound, totals
