"""An emitted step at every point of a grid of its draws' noise: expectations over normal draws by Gauss-Hermite quadrature."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import Batch, Step, make_batch
from sgdsl.runtime.load import load

_count = itertools.count()


@dataclass(slots=True)
class Grid:
    """A stand-in for Draws, for `nodes` scalar draws of S samples: row i of a block has the i-th point of the grid.
    `weights` [rows of a block]; the rows of a batch are `blocks` such blocks, one after the other."""

    samples: int
    nodes: int
    points: int
    blocks: int = 1
    at: int = 0
    noise: Tensor = field(init=False)
    weights: Tensor = field(init=False)

    def __post_init__(self) -> None:
        places, weights = (torch.tensor(a) for a in np.polynomial.hermite_e.hermegauss(self.points))
        dims = self.samples * self.nodes
        self.noise = torch.cartesian_prod(*[places] * dims).t().reshape(self.nodes, self.samples, -1)
        self.weights = torch.cartesian_prod(*[weights / weights.sum()] * dims).reshape(-1, dims).prod(1)

    def again(self) -> Grid:
        """The same grid, of which nothing is drawn yet."""
        return Grid(self.samples, self.nodes, self.points, self.blocks)

    def normal(self, size: Sequence[int], loc: Any, scale: Any) -> Tensor:
        noise = self.noise[self.at].repeat(1, self.blocks)
        self.at += 1
        assert tuple(size) == tuple(noise.shape), "scalar draws, and a grid of as many rows as the batch"
        drawn: Tensor = loc + scale * noise
        return drawn


def model_of(text: str, gradient: str, samples: int, seed: int = 0) -> Any:
    """The emitted model of a program with bound iw, weights from a seed."""
    overrides = (f"objective.gradient={gradient}", f"objective.samples={samples}")
    program = driver.compile_source(Source("doubly.sgm", text), overrides)
    torch.manual_seed(seed)
    model = load(program.text, f"doubly_{next(_count)}").Model()
    model.alpha = 0.5
    return model


def batch_of(
    model: Any, rows: int, values: Mapping[str, Sequence[float]], known: Mapping[str, Sequence[bool]]
) -> Batch:
    """`rows` of each: values and masks have an entry a block."""
    full = {n: torch.tensor(v, dtype=torch.get_default_dtype()).repeat_interleave(rows, 0) for n, v in values.items()}
    masks = {n: torch.tensor(m).repeat_interleave(rows) for n, m in known.items()}
    return make_batch(model, full, masks)


def gradients(model: Any, value: Tensor) -> dict[str, Tensor]:
    """d value / d every parameter."""
    named = dict(model.named_parameters())
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(named.items(), found, strict=True)}


def expected(
    text: str, gradient: str, grid: Grid, values: Mapping[str, Sequence[float]], known: Mapping[str, Sequence[bool]]
) -> tuple[Step, dict[str, Tensor]]:
    """The step on the grid, and E[∇ Σ over the blocks of the objective]."""
    model = model_of(text, gradient, grid.samples)
    step = model(batch_of(model, len(grid.weights), values, known), grid)
    assert grid.at == grid.nodes, "the step draws another number of times"
    return step, gradients(model, (step.objective * grid.weights.repeat(grid.blocks)).sum())
