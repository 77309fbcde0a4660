"""The contestants by name: a work comes in, a step to be timed goes out. Modules are imported when they are asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np

from benchmarks.works import Data, Work

Precision = Literal["highest", "medium", "bf16"]
Kl = Literal["closed", "sampled"]
Layers = dict[str, list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True, slots=True)
class Task:
    """What every contestant gets. `layers[factor]`: weight and bias of each layer, the heads in one, [out, in] as in the emitted
    model (inputs in the order of the file); `kl`: KL(q(z) ‖ N(0, 1)) in closed form, or its sampled estimate."""

    work: Work
    data: Data
    layers: Layers
    kl: Kl
    precision: Precision = "highest"


class Contestant(Protocol):
    """A model with its optimiser."""

    def checked(self) -> tuple[float, float]:
        """The loss and the norm of its gradient under the fixed noise, in float32."""
        ...

    def step(self) -> None:
        """Forward, backward and optimiser, with noise; returns when all is computed."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """`needs`: the package it needs, by the name that is imported; `kl`: the forms of the KL that it can have, the preferred one
    first; `checked`: whether it has a loss to compare."""

    name: str
    title: str
    module: str
    needs: str = "torch"
    precisions: tuple[Precision, ...] = ("highest",)
    kl: tuple[Kl, ...] = ("closed", "sampled")
    checked: bool = True

    @property
    def installed(self) -> bool:
        return find_spec(self.needs) is not None

    def build(self, task: Task) -> Contestant | None:
        """The contestant; None where the library cannot express the work."""
        contestant: Contestant | None = importlib.import_module(f"benchmarks.peers.{self.module}").build(task)
        return contestant


ALL: tuple[Precision, ...] = ("highest", "medium", "bf16")
DIRECT = Peer("direct", "direct, by hand", "direct", precisions=ALL)
PEERS = {
    p.name: p
    for p in (
        Peer("products", "matrix products alone", "products", precisions=ALL, checked=False),
        DIRECT,
        Peer("ours", "emitted", "ours", precisions=ALL),
        Peer("distributions", "torch.distributions, Adam as it comes", "distributions"),
        Peer("jax", "JAX by hand, jit", "by_jax", "jax"),
        Peer("numpyro", "NumPyro, jit", "by_numpyro", "numpyro"),
        Peer("pyro", "Pyro, as its example has it", "by_pyro_example", "pyro", kl=("sampled",)),
        Peer("pyro-tuned", "Pyro, tuned", "by_pyro", "pyro"),
        Peer("pixyz", "Pixyz", "by_pixyz", "pixyz"),
    )
}
