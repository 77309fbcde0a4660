"""Everything that changes while a model is trained: what a checkpoint holds goes in and out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.meter import Meter
from sgdsl.train.schedule import Average

Weights = dict[str, Tensor]


@dataclass(slots=True)
class State:
    """`step`: steps done. `noise`: turns grey levels into 0 and 1. `best`: the weights of the best epoch, when early
    stopping is on, and its bound; `stale`: epochs since. `stopped`: early stopping has ended the run."""

    module: Queries
    optimizer: Optimizer
    average: Average | None
    draws: Draws
    noise: torch.Generator
    meter: Meter
    step: int = 0
    best: Weights = field(default_factory=dict)
    best_bound: float = -float("inf")
    stale: int = 0
    stopped: bool = False
    seconds: float = 0.0

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module has its averaged weights and is in eval mode; tensors change places, nothing is copied."""
        self.module.eval()
        self._swap()
        try:
            yield
        finally:
            self._swap()
            self.module.train()

    def _swap(self) -> None:
        if self.average is not None:
            for i, parameter in enumerate(self.average.parameters):
                parameter.data, self.average.weights[i] = self.average.weights[i], parameter.data

    def weights(self) -> Weights:
        """The weights to evaluate with: of the best epoch, else averaged, else the last ones; names as in state_dict."""
        if self.best:
            return self.best
        with self.averaged():
            return {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}


def export(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All of it as named tensors and plain values."""
    tensors = {f"module.{name}": tensor for name, tensor in state.module.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    if state.average is not None:
        tensors |= {f"average.{i}": tensor for i, tensor in enumerate(state.average.weights)}
    for i, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": value for key, value in slots.items() if isinstance(value, Tensor)}
    tensors["generator.draws"] = state.draws.state()
    tensors["generator.noise"] = state.noise.get_state()
    tensors["generator.torch"] = torch.get_rng_state()
    if state.noise.device.type == "cuda":
        tensors["generator.cuda"] = torch.cuda.get_rng_state(state.noise.device)
    info = {
        "step": state.step,
        "best_bound": state.best_bound if state.best else None,
        "stale": state.stale,
        "stopped": state.stopped,
        "seconds": state.seconds,
        "meter": state.meter.export(),
    }
    return tensors, info


def restore(state: State, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
    """The state of a checkpoint, to the bit. Raises RuntimeError or KeyError where it is of another model."""
    groups = _groups(tensors)
    state.module.load_state_dict(groups["module"])
    state.best = groups.get("best", {})
    if state.average is not None:
        for i, weight in enumerate(state.average.weights):
            weight.copy_(groups["average"][str(i)])
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in groups.get("optimizer", {}).items():
        number, _, key = name.partition(".")
        slots.setdefault(int(number), {})[key] = tensor
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": slots})
    generators = {name: tensor.cpu() for name, tensor in groups["generator"].items()}
    state.draws.restore(generators["draws"])
    state.noise.set_state(generators["noise"])
    torch.set_rng_state(generators["torch"])
    if "cuda" in generators and state.noise.device.type == "cuda":
        torch.cuda.set_rng_state(generators["cuda"], state.noise.device)
    state.step, state.stale, state.stopped = info["step"], info["stale"], info["stopped"]
    state.best_bound = -float("inf") if info["best_bound"] is None else info["best_bound"]
    state.seconds = info["seconds"]
    state.meter.restore(info["meter"])


def _groups(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    return groups
