"""Values as expressions, networks and tables read them, [N or 1, *event]: flat, as numbers, or as weights of their classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir


def flat(value: Tensor) -> Tensor:
    return value.double().flatten(1) if value.dim() > 1 else value.double()[:, None]


def number(kind: ir.Type, value: Tensor) -> Tensor:
    """A finite value in arithmetic: of a relaxed count the number that its weights expect."""
    if not kind.one_hot or value.dim() == 1 + len(kind.event):
        return value
    assert kind.values is not None
    return value @ torch.arange(kind.first, kind.first + kind.values, dtype=torch.float64)


def cell_weights(kind: ir.Type, value: Tensor) -> list[Tensor]:
    """For each cell of a finite value, row-major, the weight of each of its values, [N, values]: one-hot or relaxed."""
    assert kind.values is not None
    if kind.support == "binary":
        return [torch.stack((1 - c, c), -1) for c in value.double().reshape(len(value), -1).unbind(1)]
    if value.dim() == 1 + len(kind.event):
        value = functional.one_hot(value.long() - kind.first, kind.values)
    return list(value.double().reshape(len(value), -1, kind.values).unbind(1))


def outer(weights: list[Tensor]) -> Tensor:
    """Joint weights, [N, ∏ values], the last fastest."""
    joint = weights[0]
    for more in weights[1:]:
        joint = (joint[:, :, None] * more[:, None, :]).flatten(1)
    return joint
