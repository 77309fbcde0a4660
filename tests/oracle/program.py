"""Compiles a program of tests/oracle, fills its weights from a formula, and runs its emitted step over all outcomes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import ir
from sgdsl.runtime.batch import Batch, Step, make_batch
from sgdsl.runtime.load import load
from tests.oracle import exact
from tests.oracle.grid import POINTS, Grid, make_grid
from tests.oracle.interpret import Reader
from tests.oracle.replay import Block, Replay, draws_of

MODELS = Path(__file__).parent / "models"
BOUNDS = ("snis", "jensen", "iw", "clamped")
OVERRIDES = {
    "snis": ("objective.bound=snis",),
    "jensen": ("objective.bound=snis", "objective.marginal=jensen"),
    "iw": ("objective.bound=iw",),
    "clamped": ("objective.bound=clamped",),
}
CHUNK = 1 << 14
Rows = Sequence[tuple[Mapping[str, Tensor], tuple[str, ...], int]]  # (values, known labels, copies) each
_count = itertools.count()


@dataclass(frozen=True, slots=True)
class Compiled:
    """The IR of a program, its emitted model in float64, and each inferred node's estimator: as written, else as chosen."""

    ir: ir.Model
    module: Any
    bound: str
    chosen: Mapping[str, str]

    @property
    def reader(self) -> Reader:
        """The oracle's view: the same weights, by name; gradients reach them."""
        return Reader(self.ir, dict(self.module.named_parameters()))

    @property
    def labels(self) -> tuple[str, ...]:
        """The supervised nodes."""
        return tuple(n.name for n in self.ir.nodes if n.role == "supervised")

    def patterns(self) -> Iterator[tuple[str, ...]]:
        """Every subset of the supervised nodes."""
        for size in range(len(self.labels) + 1):
            yield from itertools.combinations(self.labels, size)

    def grid(self, row: Mapping[str, Tensor], known: tuple[str, ...], points: int = POINTS) -> Grid:
        """All joint outcomes of one row's unknown nodes."""
        return make_grid(self.reader, row, known, points)

    def sample(self, row: Mapping[str, Tensor], known: tuple[str, ...], points: int = POINTS) -> exact.Sample:
        """All outcomes of one sample of one row."""
        return exact.sample(self.ir, self.grid(row, known, points), self.chosen)

    def replay(self, blocks: Sequence[Block], samples: int, points: int = POINTS) -> Replay:
        """Draws that enumerate, for a batch of these blocks."""
        plan = draws_of(self.ir, self.chosen, self.module.ORDER_Q, points)
        return Replay(self.ir, plan, blocks, samples, points)

    def run(self, batch: Batch, draws: object, samples: int, alpha: float) -> Step:
        """The emitted step."""
        self.module.samples, self.module.alpha = samples, alpha
        step: Step = self.module(batch, draws)
        return step


def compile_text(text: str, name: str, bound: str = "snis", size: float = 0.7) -> Compiled:
    """A program with all weights set by `fill`."""
    program = driver.compile_source(Source(name, text), OVERRIDES[bound])
    module = load(program.text, f"oracle_{next(_count)}_{name}").Model().double()
    fill(module, size)
    chosen = {f.node: f.estimator.name if f.estimator else module.NODES[f.node].estimator for f in program.model.q}
    return Compiled(program.model, module, bound, chosen)


@cache
def program(name: str, bound: str = "snis") -> Compiled:
    """models/NAME.sgm with one of the four bounds."""
    return compile_text((MODELS / f"{name}.sgm").read_text(), name, bound)


def wave(shape: Sequence[int], seed: int) -> Tensor:
    """2 · sin(12.9898 i + 78.233 seed), i = 1 … n, row-major."""
    at = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return (2 * torch.sin(12.9898 * at + 78.233 * seed)).reshape(tuple(shape))


def fill(module: torch.nn.Module, size: float) -> None:
    """A wave for every parameter, each with a seed of its own, times `size`."""
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_(size * wave(parameter.shape, 100 + i))


def example(model: ir.Model, seed: int) -> dict[str, Tensor]:
    """Values of every given, observed and supervised node of one row, [*event] each."""
    generator = torch.Generator().manual_seed(seed)
    row = {}
    for node in model.nodes:
        kind = node.type
        if kind.values is not None:
            drawn = torch.randint(kind.first, kind.first + kind.values, kind.event, generator=generator)
            row[node.name] = drawn if kind.one_hot else drawn.double()
        elif kind.support == "count":
            row[node.name] = torch.randint(0, 6, kind.event, generator=generator).double()
        elif kind.support == "unit":
            row[node.name] = torch.rand(kind.event, generator=generator, dtype=torch.float64)
        else:
            row[node.name] = torch.randn(kind.event, generator=generator, dtype=torch.float64)
    return {n.name: row[n.name] for n in model.nodes if n.role != "latent"}


def batch_of(compiled: Compiled, rows: Rows) -> Batch:
    """One batch in float64, in this order."""
    values = {
        name: torch.cat([row[name][None].expand(copies, *row[name].shape) for row, _, copies in rows])
        for name in rows[0][0]
    }
    known = {
        label: torch.tensor([label in names for _, names, copies in rows for _ in range(copies)])
        for label in compiled.labels
    }
    return make_batch(compiled.module, values, known, dtype=torch.float64)


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
    """d value / d every parameter; zeros where it does not reach."""
    named = dict(compiled.module.named_parameters())
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True, retain_graph=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(named.items(), found, strict=True)}


def differences(parameter: Tensor, total: Callable[[], Tensor], step: float = 1e-5) -> Tensor:
    """Central differences of a function with respect to each cell of a parameter."""
    flat, found = parameter.detach().view(-1), []
    for i in range(flat.numel()):
        kept, ends = flat[i].item(), []
        for sign in (1, -1):
            flat[i] = kept + sign * step
            ends.append(float(total().detach()))
        flat[i] = kept
        found.append((ends[0] - ends[1]) / (2 * step))
    return torch.tensor(found, dtype=torch.float64).reshape(parameter.shape)


def expected(
    compiled: Compiled,
    row: Mapping[str, Tensor],
    known: tuple[str, ...],
    samples: int,
    alpha: float,
    points: int = POINTS,
) -> tuple[float, dict[str, Tensor]]:
    """E[step.bound] and E[∇ step.objective], exactly."""
    bound, totals = 0.0, {n: torch.zeros_like(p) for n, p in compiled.module.named_parameters()}
    mass = 0.0
    for probability, step in replayed(compiled, row, known, samples, alpha, points):
        assert torch.allclose(step.bound, step.objective, 1e-10, 1e-10), "the objective differs from the bound in value"
        mass += float(probability.sum())
        bound += float((probability * step.bound.detach()).sum())
        for name, gradient in gradients(compiled, (probability * step.objective).sum()).items():
            totals[name] += gradient
    assert abs(mass - 1) < 1e-9, f"the outcomes' probabilities sum to {mass}"
    return bound, totals


def every_pattern(compiled: Compiled, seeds: Sequence[int]) -> list[tuple[dict[str, Tensor], tuple[str, ...], int]]:
    """Every pattern of labels with several rows each, patterns interleaved, all with one copy."""
    return [(example(compiled.ir, s), known, 1) for s in seeds for known in compiled.patterns()]
