"""A torch module and its loss as a contestant: `loss(noise)` comes in, checks and steps go out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import Precision
from benchmarks.works import LEARNING_RATE


def autocast(precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 for the networks, and nothing else."""
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def set_products(precision: Precision) -> None:
    """How float32 products are computed: a setting of the process, so each step sets its own."""
    torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")


class Trained:
    """`loss()` draws noise, `fixed()` takes the patterns. `fused`: Adam in one pass, else as torch has it by default."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        loss: Callable[[], Tensor],
        fixed: Callable[[], Tensor],
        precision: Precision = "highest",
        fused: bool = True,
    ) -> None:
        self.parameters, self.loss, self.fixed, self.precision = list(parameters), loss, fixed, precision
        self.optimiser = torch.optim.Adam(self.parameters, lr=LEARNING_RATE, fused=fused or None)

    def checked(self) -> tuple[float, float]:
        set_products("highest")
        loss = self.fixed()
        loss.backward()
        norm = sum(float(p.grad.square().sum()) for p in self.parameters if p.grad is not None) ** 0.5
        self.optimiser.zero_grad(set_to_none=True)
        return float(loss.detach()), norm

    def step(self) -> None:
        set_products(self.precision)
        self.optimiser.zero_grad(set_to_none=True)  # before the forward pass, which then takes the gradients' place
        with autocast(self.precision):
            loss = self.loss()
        loss.backward()
        self.optimiser.step()
