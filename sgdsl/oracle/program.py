"""A compiled program comes in; its emitted model in float64, and the rows, batches and grids of it, go out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.middle import ir
from sgdsl.middle.rewrites import Closed
from sgdsl.oracle import exact
from sgdsl.oracle.counted import WrittenOut
from sgdsl.oracle.grid import POINTS, Grid, make_grid
from sgdsl.oracle.groups import Groups, groups_of
from sgdsl.oracle.interpret import Reader
from sgdsl.oracle.replay import Block, Replay, draws_of
from sgdsl.oracle.shared import renamed
from sgdsl.runtime.batch import Batch, Step, make_batch
from sgdsl.runtime.load import load

BOUNDS = ("snis", "jensen", "iw", "clamped")
OVERRIDES = {
    "snis": ("objective.bound=snis", "objective.marginal=lse"),
    "jensen": ("objective.bound=snis", "objective.marginal=jensen"),
    "iw": ("objective.bound=iw", "objective.marginal=lse"),
    "clamped": ("objective.bound=clamped", "objective.marginal=lse"),
}
LABELS = 4  # of which every subset is looked at
Rows = Sequence[tuple[Mapping[str, Tensor], tuple[str, ...], int]]  # (values, known labels, copies) each
_count = itertools.count()


@dataclass(frozen=True, slots=True)
class Compiled:
    """The IR of a program, its emitted model in float64, and as planned each inferred node's estimator, the groups of
    weights, the baseline of each scored node, and the nodes whose log p and log q are averaged over q; `doubly`: gradient =
    dreg; `modules`: the attribute of each net and let with weights. `flats`: of a view of it with its loops written out."""

    ir: ir.Model
    module: Any
    bound: str
    chosen: Mapping[str, str]
    groups: Groups
    baselines: Mapping[str, str]
    closed: frozenset[str]
    modules: Mapping[str, str]
    doubly: bool = False
    flats: WrittenOut | None = None

    @property
    def reader(self) -> Reader:
        """The oracle's view: the same weights, by name; gradients reach them."""
        state = renamed(self.modules, {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())})
        return self.flats.reader(state) if self.flats else Reader(self.ir, state)

    @property
    def labels(self) -> tuple[str, ...]:
        """The supervised nodes."""
        return tuple(n.name for n in self.ir.nodes if n.role == "supervised")

    def some_patterns(self) -> list[tuple[str, ...]]:
        """Every subset of the supervised nodes; of more than LABELS none, each alone, all, and all but each."""
        if len(self.labels) <= LABELS:
            return list(self.patterns())
        but = [tuple(n for n in self.labels if n != left) for left in self.labels]
        return [(), *((n,) for n in self.labels), *but, self.labels]

    def patterns(self) -> Iterator[tuple[str, ...]]:
        """Every subset of the supervised nodes."""
        for size in range(len(self.labels) + 1):
            yield from itertools.combinations(self.labels, size)

    def grid(self, row: Mapping[str, Tensor], known: tuple[str, ...], points: int = POINTS) -> Grid:
        """All joint outcomes of one row's unknown nodes."""
        return make_grid(self.reader, row, known, points)

    def sample(self, row: Mapping[str, Tensor], known: tuple[str, ...], points: int = POINTS) -> exact.Sample:
        """All outcomes of one sample of one row."""
        return exact.sample(self.ir, self.grid(row, known, points), self.groups.chosen)

    def replay(self, blocks: Sequence[Block], samples: int, points: int = POINTS) -> Replay:
        """Draws that enumerate, for a batch of these blocks."""
        plan = draws_of(self.groups, self.module.ORDER_Q, samples, points)
        return Replay(self.groups, plan, blocks, samples, points)

    def expectation(
        self, row: Mapping[str, Tensor], known: tuple[str, ...], samples: int, alpha: float, points: int = POINTS
    ) -> Tensor:
        """E[bound] of one row over all its draws."""
        grid = self.grid(row, known, points)
        if self.groups.plan:
            return self.groups.expectation(grid, alpha, samples)
        return exact.expectation(exact.sample(self.ir, grid, self.groups.chosen), self.bound, alpha, samples)

    def run(self, batch: Batch, draws: object, samples: int, alpha: float) -> Step:
        """The emitted step."""
        self.module.samples, self.module.alpha = samples, alpha
        step: Step = self.module(batch, draws)
        return step


def build(program: driver.Program, bound: str) -> Compiled:
    """The emitted model with torch's initial weights, in float64; BatchNorm by its running statistics, no dropout."""
    name = f"oracle_{next(_count)}_{program.model.name}"
    module = load(program.text, name).Model().double().eval()
    plan = program.checked.plan
    groups = groups_of(program.model, plan)
    scored = {n: dict(choice.options) for n, choice in plan.choices.items() if choice.name == "score"}
    baselines = {n: str(options.get("baseline", "loo")) for n, options in scored.items()}
    closed = frozenset(r.node for r in plan.rewrites if isinstance(r, Closed))
    doubly = plan.gradient == "dreg"
    return Compiled(
        program.model, module, bound, groups.planned, groups, baselines, closed, driver.modules(program.model), doubly
    )


def wave(shape: Sequence[int], seed: int) -> Tensor:
    """2 · sin(12.9898 i + 78.233 seed), i = 1 … n, row-major."""
    at = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return (2 * torch.sin(12.9898 * at + 78.233 * seed)).reshape(tuple(shape))


def fill(module: torch.nn.Module, size: float) -> None:
    """A wave for every parameter, each with a seed of its own, times `size`."""
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_(size * wave(parameter.shape, 100 + i))
    settle(module)


@torch.no_grad()
def settle(module: torch.nn.Module) -> None:
    """Running means of the bound, which baselines take, as after some steps."""
    for name, buffer in module.named_buffers():
        if name.startswith("running_mean."):
            buffer.copy_(torch.tensor([-0.8, -1.3]) if name.endswith("total") else torch.ones(2))


def example(model: ir.Model, seed: int) -> dict[str, Tensor]:
    """Values of every given, observed and supervised node of one row, [*event] each; in loops [copies, …, *event]."""
    generator = torch.Generator().manual_seed(seed)
    row = {}
    for node in model.nodes:
        kind, size = node.type, (*(r.copies for r in node.axes), *node.type.event)
        if kind.values is not None:
            drawn = torch.randint(kind.first, kind.first + kind.values, size, generator=generator)
            row[node.name] = drawn if kind.one_hot else drawn.double()
        elif kind.support == "count":
            row[node.name] = torch.randint(0, 6, size, generator=generator).double()
        elif kind.support == "positive":
            row[node.name] = torch.randn(size, generator=generator, dtype=torch.float64).exp()
        elif kind.support == "unit":
            share = torch.rand(size, generator=generator, dtype=torch.float64)
            levels = any(f.family == "DiscretizedLogistic" for f in model.p if f.node == node.name)
            row[node.name] = ((1.5 * share - 0.25).clamp(0, 1) * 255).round() / 255 if levels else share
        elif kind.support == "simplex":
            row[node.name] = torch.randn(size, generator=generator, dtype=torch.float64).softmax(-1)
        elif kind.support == "direction":
            drawn = torch.randn(size, generator=generator, dtype=torch.float64)
            row[node.name] = drawn / drawn.norm(dim=-1, keepdim=True)
        elif kind.support == "angle":
            row[node.name] = math.pi * (2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1)
        else:
            row[node.name] = torch.randn(size, generator=generator, dtype=torch.float64)
    for place, node in enumerate(n for n in model.nodes if n.type.partial):
        row[node.name] = _with_gaps(node.type, row[node.name], seed // 3**place % 3, generator)
    return {n.name: row[n.name] for n in model.nodes if n.role != "latent"}


def _with_gaps(kind: ir.Type, value: Tensor, missing: int, generator: torch.Generator) -> Tensor:
    """Cells of a partial node missing: none (0), about half of them (1), all (2)."""
    gone = torch.rand(value.shape, generator=generator) < missing / 2
    return torch.where(gone, torch.full_like(value, kind.first - 1 if kind.one_hot else math.nan), value)


def copies(node: ir.Node) -> list[tuple[str, tuple[int, ...]]]:
    """The name of each copy of a node, and where it stands among them; outside loops the node alone."""
    found = []
    for at in itertools.product(*(range(r.copies) for r in node.axes)):
        index = ", ".join(str(r.first + i) for r, i in zip(node.axes, at, strict=True))
        found.append((f"{node.name}[{index}]" if index else node.name, at))
    return found


def _mask(node: ir.Node, names: tuple[str, ...]) -> Tensor:
    """Which copies of a label are known, [copies, …]."""
    return torch.tensor([n in names for n, _ in copies(node)]).reshape([r.copies for r in node.axes])


def batch_of(compiled: Compiled, rows: Rows) -> Batch:
    """One batch in float64, in this order; of loops a label is known by the name of its copy."""
    values = {
        name: torch.cat([row[name][None].expand(count, *row[name].shape) for row, _, count in rows])
        for name in rows[0][0]
    }
    known = {
        label: torch.stack([_mask(compiled.ir.node(label), names) for _, names, count in rows for _ in range(count)])
        for label in compiled.labels
    }
    return make_batch(compiled.module, values, known, dtype=torch.float64)
