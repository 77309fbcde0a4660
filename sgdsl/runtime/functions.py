"""The functions of expressions: values of nodes and lets come in, a value goes out.

Values are [S or 1, entries, *event]; free tensors of the model have the event dimensions only. `event` is the number of
event dimensions, `axis` counts among them. Arguments of one function have equally many event dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def exp(value: Tensor) -> Tensor:
    return value.exp()


def log(value: Tensor) -> Tensor:
    return value.log()


def sqrt(value: Tensor) -> Tensor:
    return value.sqrt()


def abs(value: Tensor) -> Tensor:
    return value.abs()


def sigmoid(value: Tensor) -> Tensor:
    return value.sigmoid()


def tanh(value: Tensor) -> Tensor:
    return value.tanh()


def softplus(value: Tensor) -> Tensor:
    return F.softplus(value, threshold=50.0)


def relu(value: Tensor) -> Tensor:
    return value.relu()


def square(value: Tensor) -> Tensor:
    return value.square()


def sin(value: Tensor) -> Tensor:
    return value.sin()


def cos(value: Tensor) -> Tensor:
    return value.cos()


def clamp(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """min(max(value, low), high); the bounds broadcast."""
    return _least(_most(value, low), high)


def _most(value: Tensor, bound: Tensor | float) -> Tensor:
    return torch.maximum(value, bound) if isinstance(bound, Tensor) else value.clamp(min=bound)


def _least(value: Tensor, bound: Tensor | float) -> Tensor:
    return torch.minimum(value, bound) if isinstance(bound, Tensor) else value.clamp(max=bound)


def _dims(event: int, axis: int | None) -> tuple[int, ...]:
    """The dimensions, counted from the back, of one event axis (counted from the front, or negative) or of all."""
    if axis is None:
        return tuple(range(-event, 0))
    return (axis if axis < 0 else axis - event,)


def sum(value: Tensor, event: int, axis: int | None = None) -> Tensor:
    """The sum over all event dimensions or one."""
    return value.sum(_dims(event, axis)) if event else value


def mean(value: Tensor, event: int, axis: int | None = None) -> Tensor:
    """The mean over all event dimensions or one."""
    return value.mean(_dims(event, axis)) if event else value


def max(value: Tensor, event: int, axis: int | None = None) -> Tensor:
    """The largest over all event dimensions or one."""
    return value.amax(_dims(event, axis)) if event else value


def last(value: Tensor, event: int, axis: int | None = None) -> Tensor:
    """The last along one event dimension, or the last cell of all."""
    for dim in _dims(event, axis) if event else ():
        value = value.select(dim, -1)
    return value


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product over the last event dimension."""
    return (a * b).sum(-1)


def stack(*values: Tensor | float, event: int) -> Tensor:
    """Values of one event shape, stacked in front of it: [S or 1, entries, *event] each → [S, entries, n, *event]."""
    like = next(v for v in values if isinstance(v, Tensor))
    tensors = [v if isinstance(v, Tensor) else like.new_tensor(v) for v in values]
    return torch.stack(torch.broadcast_tensors(*tensors), -1 - event)


def concat(*values: Tensor, event: int, axis: int = 0) -> Tensor:
    """Values joined along one event dimension; their leading dimensions broadcast."""
    lead = torch.broadcast_shapes(*(v.shape[: v.dim() - event] for v in values))
    full = [v.expand(*lead, *v.shape[v.dim() - event :]) for v in values]
    return torch.cat(full, _dims(event, axis)[0])


def zeros(*sizes: int, like: Tensor | None = None) -> Tensor:
    """Zeros of an event shape, of the dtype and device of `like`."""
    return torch.zeros(sizes) if like is None else torch.zeros(sizes, dtype=like.dtype, device=like.device)
