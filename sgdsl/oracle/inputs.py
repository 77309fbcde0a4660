"""Values as expressions, networks and tables read them, [N or 1, *event]: flat, as numbers, or as weights of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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


def stack_raw(kind: ir.Type, items: Sequence[Tensor | None]) -> Tensor:
    """Copies of one type side by side, [N, copies, *event]; `kind`: that of the stack; None: a copy that does not exist, all
    zeros. Where there is one, or a copy is relaxed, classes are weights, [N, copies, *event, values]."""
    found = [i for i in items if i is not None]
    event = len(kind.event) - 1
    if kind.one_hot and (len(found) < len(items) or any(i.dim() > 1 + event for i in found)):
        assert kind.values is not None
        one = replace(kind, shape=kind.shape[1:])
        found = [torch.stack(cell_weights(one, i), 1).reshape(len(i), *one.event, kind.values) for i in found]
        shape = (1, *one.event, kind.values)
    else:
        shape = (1, *kind.event[1:])
    rest = iter(found)
    zeros = torch.zeros(shape, dtype=torch.float64)
    return torch.stack(torch.broadcast_tensors(*(zeros if i is None else next(rest) for i in items)), 1)


def own_copy(stack: Tensor, copies: Sequence[ir.Range]) -> Tensor:
    """A copy's own weights in a stack; all of them where copies share."""
    return stack[tuple(r.first for r in copies)]


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
