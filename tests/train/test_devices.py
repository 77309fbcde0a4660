"""A step on another device than the CPU: no GPU is at hand, so every tensor that a step makes must be told its device."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from benchmarks.memory import many
from benchmarks.trainers import MODELS, gallery, trainer
from sgdsl.runtime.batch import Term, make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.grouping import group_table
from sgdsl.train.ledger import Ledger
from sgdsl.train.loop import forward
from sgdsl.train.memory import pretended
from sgdsl.train.prepare import build

FACTORIES = {
    torch.arange, torch.empty, torch.eye, torch.full, torch.linspace, torch.ones, torch.rand, torch.randint, torch.randn,
    torch.randperm, torch.tensor, torch.zeros,
}  # fmt: skip
WORKS = {
    **{path.stem: gallery(path.stem) for path in sorted(MODELS.glob("*.sgm"))},
    "score": gallery("m1_m2").replace("q(y | z1)     = Categorical(mlp(500))", "q(y | z1) = Categorical(mlp(500)) by score"),
    "sum_and_sample": gallery("mnist").replace("q(y | x)    = Categorical(mlp(500, 500))",
                                               "q(y | x) = Categorical(mlp(500, 500)) by sum_and_sample"),
    "groups": many(3),
}  # fmt: skip


MOVED = {Term.rows.__code__, group_table.__code__}  # made on the CPU, of Python's numbers, and moved


class Told(TorchFunctionMode):
    """Notes where a tensor is made without a device."""

    def __init__(self) -> None:
        super().__init__()
        self.untold: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in FACTORIES and (kwargs or {}).get("device") is None:
            code, line = sys._getframe(1).f_code, sys._getframe(1).f_lineno
            if code not in MOVED:
                self.untold.add(f"{code.co_filename}:{line}: torch.{func.__name__}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", WORKS)
def test_every_tensor_of_a_step_is_told_its_device(name: str) -> None:
    """Rows, batch, forward, backward and meter, on small layers."""
    ready = small(name)
    state, job = ready.state, ready.job
    with Told() as told:
        batch = make_batch(state.module, *job.feed.rows(job.schedule.epoch(0)[0], state.noise))
        step = forward(state, job, batch)
        (-(job.weights @ step.objective)).backward()
        state.meter.add(step, job.means, job.composition.alpha)
        state.meter.look(step, batch)
    assert not told.untold


@pytest.mark.parametrize("name", WORKS)
def test_a_step_runs_where_its_batch_is(name: str) -> None:
    """On torch's fake tensors of a device that is not the CPU, where operations on tensors of two devices are refused: the
    bound, and the gradient of every weight, are on that device."""
    ready = small(name)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    batch = make_batch(ready.state.module, *ready.job.feed.rows(ready.job.schedule.epoch(0)[0], ready.state.noise))
    with fake:
        with torch.device("meta"):
            model = build(ready.job.program.text, name)
            assert {p.device.type for p in model.parameters()} == {"meta"}
        model.alpha = 0.1  # type: ignore[assignment]
        moved = each(pretended(batch, fake), lambda t: t.to("meta"))
    with fake, Ledger(()):
        step = model(moved, Draws(torch.Generator()))
        (-step.objective.mean()).backward()
    assert step.bound.device.type == "meta"
    assert {p.grad.device.type for p in model.parameters() if p.grad is not None} == {"meta"}


def each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: each(part, change) for name, part in value.items()}
    if is_dataclass(value):
        return type(value)(**{f.name: each(getattr(value, f.name), change) for f in fields(value)})  # type: ignore[misc]
    return value


def small(name: str) -> Any:
    text = WORKS[name]
    for wide, narrow in (
        ("500", "16"),
        ("512", "16"),
        ("256", "16"),
        ("128", "8"),
        ("labels_per_class = 6", "labels = 0.5"),
    ):
        text = text.replace(wide, narrow)
    return trainer(
        text, 120, *(("data.labels=0.5",) if "\ndata " in text else ()), known=1.0 if "\ndata " in text else 0.5
    )
