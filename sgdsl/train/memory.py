"""What a run will take before it is begun: a program and its rows come in, bytes of each part of its memory go out.

A step, and the evaluation at the end, are run on tensors that have a shape and no memory (torch's fake tensors), with the rows
of a real batch, and their storages are counted: nothing is computed, and nothing is extrapolated. Kernels' own
temporaries and what Python, torch and the allocator take besides are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from sgdsl.driver import Program
from sgdsl.runtime.ask import log_prob, posterior
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.arithmetic import in_bf16
from sgdsl.train.assemble import learned
from sgdsl.train.composition import Schedule
from sgdsl.train.evaluate import FOR_BOUND, FOR_LABELS, rows_tensor
from sgdsl.train.feed import Feed
from sgdsl.train.ledger import Ledger
from sgdsl.train.measure import hidden, portions
from sgdsl.train.prepare import Prepared, build, device_of
from sgdsl.train.settings import Settings, Train

STATES = {"adam": 2, "adamw": 2, "sgd": 0}  # numbers that an optimiser keeps for each weight
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `kept`: averaged weights, and those of the best epoch; `rows`: the data, as read and as stored; `gradients` and
    `activations` (the batch among them): of a step, when most is held; `evaluation`: of the rows at the end."""

    weights: int
    optimizer: int
    kept: int
    rows: int
    gradients: int
    activations: int
    evaluation: int

    @property
    def training(self) -> int:
        """The most that training holds at once."""
        return self.weights + self.optimizer + self.kept + self.rows + self.gradients + self.activations

    @property
    def peak(self) -> int:
        """The most that the run holds at once."""
        return max(self.training, self.asked)

    @property
    def asked(self) -> int:
        """The most that is held at the end, when optimiser and gradients are gone."""
        return self.weights + self.rows + self.evaluation

    def as_dict(self) -> dict[str, int]:
        return {**asdict(self), "training": self.training, "peak": self.peak}


def pretended_model(program: Program, settings: Settings) -> tuple[FakeTensorMode, Queries]:
    """The program's module with weights that take no memory. Raises RunError: E0664, E0667."""
    fake, device = FakeTensorMode(allow_non_fake_inputs=True), device_of(settings.train.device)
    with fake, device:
        model = build(program.text, program.model.name)
    learned(model)
    return fake, model


def predict(model: Queries, ready: Prepared, settings: Train, fake: FakeTensorMode) -> Memory:
    """The memory of a run of these rows; `model` and `fake` from pretended_model."""
    model.alpha = ready.composition.alpha  # type: ignore[assignment]
    gradients, activations = _step(model, ready, settings, fake)
    numbers = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    return Memory(
        weights,
        STATES[settings.optimizer] * numbers,
        bool(settings.average) * numbers + bool(settings.patience) * weights,
        _rows(ready),
        gradients,
        activations,
        _evaluation(model, ready, fake),
    )


def _step(model: Queries, ready: Prepared, settings: Train, fake: FakeTensorMode) -> tuple[int, int]:
    """Gradients, and everything else, that a step holds when it holds most."""
    device = device_of(settings.device)
    feed = Feed(ready.table, {n: torch.from_numpy(m).to(device) for n, m in ready.split.granted.items()})
    order = Schedule(ready.composition, ready.split.unlabelled, ready.split.labelled, settings.seed)
    values, known = feed.rows(order.epoch(0)[0].to(device), torch.Generator(device))
    batch = pretended(make_batch(model, values, known), fake)
    weights = fake.from_tensor(ready.composition.weights(device))
    ledger = Ledger((*model.parameters(), *model.buffers()), (*tensors(batch), weights))
    model.train()
    with fake, ledger:
        with torch.autocast(device.type, torch.bfloat16, in_bf16(settings, device)):
            step = model(batch, Draws(torch.Generator(device)))
        torch.autograd.backward(-(weights @ step.objective))
    gradients = ledger.at_peak(p.grad for p in model.parameters() if p.grad is not None)
    return gradients, ledger.peak - gradients


@torch.no_grad()
def _evaluation(model: Queries, ready: Prepared, fake: FakeTensorMode) -> int:
    """What labels and bound of held-out rows take, some rows at a time; 0 where there are none."""
    device = next(model.parameters()).device
    test, draws = rows_tensor(ready.dataset.test, device), Draws(torch.Generator(device))
    peak = 0
    for ask, samples in ((posterior, FOR_LABELS), (log_prob, FOR_BOUND)) if len(test) else ():
        seen = pretended(hidden(model.eval(), ready.table, portions(test, samples)[0], draws.generator), fake)
        ledger = Ledger((*model.parameters(), *model.buffers()), tensors(seen))
        with fake, ledger:
            ask(model, seen, {}, draws, samples)
        peak = max(peak, ledger.peak)
    return peak


def _rows(ready: Prepared) -> int:
    """Columns on the device and arrays as they were read; what both share counts once."""
    found = {
        field.values.__array_interface__["data"][0]: field.values.nbytes for field in ready.dataset.fields.values()
    }
    for tensor in tensors(ready.table):
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(found.values())


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested mappings and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors(getattr(value, field.name))


def pretended(value: T, fake: FakeTensorMode) -> T:
    """The same with fake tensors, which have a shape, a device and no memory."""
    if isinstance(value, Tensor):
        return cast(T, fake.from_tensor(value))
    if isinstance(value, Mapping):
        return cast(T, {name: pretended(part, fake) for name, part in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: pretended(getattr(value, field.name), fake) for field in fields(value)}
        return cast(T, type(value)(**parts))
    return value
