"""A finite model comes in; the cases of its emitted step, run over all draws, against exact values go out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.cases import Case, failed, gradient, number
from sgdsl.oracle.outcomes import expected, gradients
from sgdsl.oracle.program import Compiled, batch_of, example
from sgdsl.oracle.replay import Block
from sgdsl.runtime.batch import Step

ALPHA = 0.5
MOST = {1: 4_000, 2: 4_000, 3: 1_000}  # joint outcomes of a row's draws, up to which S samples are looked at
SEED = 3
Known = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One row of a batch: its data, and at all outcomes of its draws their probabilities and the step's columns;
    `log_w` [groups, S, outcomes]."""

    row: Mapping[str, Tensor]
    known: Known
    probability: Tensor
    bound: Tensor
    objective: Tensor
    log_w: Tensor


def check_tables(compiled: Compiled) -> tuple[list[Case], list[str]]:
    """Values and gradients of one bound for every pattern of labels; what was too large to be enumerated."""
    found, skipped = [], []
    for samples, most in MOST.items():
        sized = {k: compiled.replay([Block(k, 1)], samples).outcomes(k) for k in compiled.some_patterns()}
        small = {known: count for known, count in sized.items() if count <= most}
        found += list(_mixed(compiled, small, samples)) if small else []
        for known in small if samples < 3 else ():
            found += _alone(compiled, known, samples)
        skipped += [_too_many(known, count) for known, count in sized.items() if known not in small and samples == 1]
    return found, skipped


def _too_many(known: Known, count: int) -> str:
    return f"{', '.join(known) or 'nothing'} known: {count:,} outcomes of one sample"


def _place(compiled: Compiled, known: Known, samples: int, what: str) -> Case:
    return Case("tables", compiled.bound, known, samples, what)


def _mixed(compiled: Compiled, sized: Mapping[Known, int], samples: int) -> Iterator[Case]:
    """Every pattern in one batch."""
    try:
        parts = _run(compiled, sized, samples, ALPHA)
        alone = _run(compiled, sized, 1, 0.0) if compiled.bound == "iw" and samples == 1 else []
    except Exception as error:  # whatever the emitted step does wrong is a finding
        yield from (failed(_place(compiled, known, samples, "value"), error) for known in sized)
        return
    for part in parts:
        mean = float((part.probability * part.bound).sum().detach())
        wanted = compiled.expectation(part.row, part.known, samples, ALPHA)
        slopes = gradients(compiled, (part.probability * part.objective).sum())
        yield number(_place(compiled, part.known, samples, "value"), float(wanted.detach()), mean)
        yield gradient(_place(compiled, part.known, samples, "gradient"), gradients(compiled, wanted), slopes)
        yield from _exact_values(compiled, part, samples, mean)
    for part in alone:
        grid = compiled.grid(part.row, part.known)
        found = (part.probability.log() + part.bound).logsumexp(0)
        place = _place(compiled, part.known, 1, "log p(x, labels)")
        yield number(place, float(exact.log_p_known(grid).detach()), float(found.detach()))


def _exact_values(compiled: Compiled, part: _Part, samples: int, mean: float) -> Iterator[Case]:
    """log q(labels | x) = log E[mean w]; L where no weight varies; the bound's side of log p(x, labels) + α log q(labels | x)."""
    grid = compiled.grid(part.row, part.known)
    log_q, log_p = float(exact.log_q_known(grid).detach()), float(exact.log_p_known(grid).detach())
    if compiled.bound == "snis":
        log_mean = part.log_w.detach().logsumexp(1) - math.log(part.log_w.shape[1])
        found = float((part.probability.log() + log_mean.sum(0)).logsumexp(0))
        yield number(_place(compiled, part.known, samples, "log q(labels | x)"), log_q, found)
        if all(compiled.chosen[n] == "enumerate" for n in compiled.groups.weighed(part.known)):
            yield number(_place(compiled, part.known, samples, "L"), float(exact.target(grid, ALPHA).detach()), mean)
    ceiling = log_p + ALPHA * log_q
    place = _place(compiled, part.known, samples, "is below")
    yield replace(place, expected=ceiling, found=mean, error=max(0.0, mean - ceiling))


def _alone(compiled: Compiled, known: Known, samples: int) -> list[Case]:
    """A batch of one pattern, on another row of data."""
    places = [_place(compiled, known, samples, what) for what in ("value", "gradient")]
    row = example(compiled.ir, SEED + 100)
    try:
        mean, slopes = expected(compiled, row, known, samples, ALPHA)
    except Exception as error:  # as above
        return [failed(places[0], error)]
    wanted = compiled.expectation(row, known, samples, ALPHA)
    return [
        number(places[0], float(wanted.detach()), mean),
        gradient(places[1], gradients(compiled, wanted), slopes),
    ]


def _run(compiled: Compiled, sized: Mapping[Known, int], samples: int, alpha: float) -> list[_Part]:
    """The step on one batch of all patterns, each at all its outcomes. Asserts that they are all."""
    blocks = [Block(known, compiled.replay([Block(known, 1)], samples).outcomes(known)) for known in sized]
    rows = [(example(compiled.ir, SEED + i), block.known, block.count) for i, block in enumerate(blocks)]
    draws = compiled.replay(blocks, samples)
    step = compiled.run(batch_of(compiled, rows), draws, samples, alpha)
    assert draws.at == len(draws.plan), "the step draws another number of times"
    counts = [block.count for block in blocks]
    return [
        _Part(row, known, probability, *columns)
        for (row, known, _), probability, columns in zip(
            rows, (_whole(log.exp()) for log in draws.log_draw), _columns(step, counts), strict=True
        )
    ]


def _whole(probability: Tensor) -> Tensor:
    total = float(probability.sum())
    assert abs(total - 1) < 1e-9, f"the outcomes' probabilities sum to {total}"
    return probability


def _columns(step: Step, counts: Sequence[int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Bound, objective and log w of each block."""
    rows = len(step.bound)
    log_w = step.log_w.reshape(-1, *step.log_w.shape[-2:]).expand(-1, -1, rows)
    assert torch.allclose(step.bound, step.objective, 1e-10, 1e-10), "the objective differs from the bound in value"
    return list(zip(step.bound.split(counts), step.objective.split(counts), log_w.split(counts, 2), strict=True))
