"""The doubly reparameterised gradient of log mean v: draws and modules come in, the same ones out, whose gradients are
scaled or stopped.

Tucker et al., ICLR 2019 (arXiv 1810.04152): Σ_s w̃_s² (d log v_s / d z_s) (d z_s / d φ), w̃ the normalised v.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from sgdsl.runtime.densities_real import Parameter

Net = TypeVar("Net", bound=nn.Module)


@dataclass(slots=True, eq=False)
class Gate:
    """Lets a draw [S, rows, *event] into log v as it is. What comes back to it through log v is multiplied by the
    sample's w̃, once `weigh` was called."""

    weights: Tensor | None = None

    def __call__(self, drawn: Tensor) -> Tensor:
        seen = drawn.view_as(drawn)
        if seen.requires_grad:
            seen.register_hook(self._scaled)
        return seen

    def weigh(self, log_v: Tensor) -> None:
        """w̃ = v / Σ v over the samples: log v is [S, rows]."""
        self.weights = log_v.detach().softmax(0)

    def _scaled(self, gradient: Tensor) -> Tensor:
        assert self.weights is not None, "a gradient passes a gate that was not given its weights"
        return gradient * self.weights.reshape(*self.weights.shape, *[1] * (gradient.dim() - 2))


def fixed(module: Net) -> Net:
    """The same module, of the same weights, which get no gradient: it passes gradients to its inputs alone."""
    twin = copy.copy(module)
    twin._parameters = {
        n: p if p is None else nn.Parameter(p.detach(), requires_grad=False) for n, p in module._parameters.items()
    }
    twin._modules = {n: m if m is None else fixed(m) for n, m in module._modules.items()}
    return twin


def stopped(*parameters: Parameter) -> tuple[Parameter, ...]:
    """The same values, through which no gradient passes."""
    return tuple(p.detach() if isinstance(p, Tensor) else p for p in parameters)
