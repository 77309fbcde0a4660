"""Operations and functions of expressions on [N or 1, *event] tensors: events are broadcast from the right."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir

ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "relu": torch.relu,
    "square": torch.square,
    "sin": torch.sin,
    "cos": torch.cos,
}


def aligned(args: list[Tensor], dim: int = 0) -> list[Tensor]:
    """In float64, each with its missing event dimensions put in front of the event."""
    dim = max(dim, *(a.dim() for a in args))
    return [a.double().reshape(len(a), *(1,) * (dim - a.dim()), *a.shape[1:]) for a in args]


def operate(expr: ir.Operation, args: list[Tensor]) -> Tensor:
    """+ − × ÷ and the sign."""
    a, *rest = aligned(args)
    match expr.op:
        case "neg":
            return -a
        case "add":
            return a + rest[0]
        case "sub":
            return a - rest[0]
        case "mul":
            return a * rest[0]
        case "div":
            return a / rest[0]


def call(expr: ir.Call, args: list[Tensor]) -> Tensor:
    """A function by name."""
    if expr.function == "zeros":
        return torch.zeros(1, *expr.shape, dtype=torch.float64)
    if expr.function in ("crop", "paste"):
        return place(expr.function, args[0].double(), args[1].double(), expr.shape[1], expr.shape[2])
    if expr.function == "reshape":
        return args[0].double().reshape(len(args[0]), *expr.shape)
    if expr.function == "centre":
        return centre(args[0].double())
    args = aligned(args)
    first = args[0]
    if expr.function in ELEMENTWISE:
        return ELEMENTWISE[expr.function](first)
    match expr.function:
        case "clamp":
            return torch.minimum(torch.maximum(first, args[1]), args[2])
        case "stack":
            return torch.stack(torch.broadcast_tensors(*args), 1)
        case "dot":
            return (first * args[1]).sum(-1)
        case "concat":
            return _concat(args, expr.axis or 0)
        case "sum" | "mean" | "max" | "last":
            return _reduce(expr.function, first, expr.axis)
        case _:
            raise NotImplementedError(expr.function)


def _concat(args: list[Tensor], axis: int) -> Tensor:
    args = [a[:, None] if a.dim() == 1 else a for a in args]
    rows = max(len(a) for a in args)
    return torch.cat([a.expand(rows, *a.shape[1:]) for a in args], axis + 1 if axis >= 0 else axis)


def _reduce(function: str, value: Tensor, axis: int | None) -> Tensor:
    """Over one event axis, or over all of them read row by row."""
    if axis is None:
        value, at = value.reshape(len(value), -1), 1
    else:
        at = axis + 1 if axis >= 0 else axis + value.dim()
    match function:
        case "sum":
            return value.sum(at)
        case "mean":
            return value.mean(at)
        case "max":
            return value.max(at).values
        case _:
            return value.select(at, -1)


def place(function: str, image: Tensor, at: Tensor, height: int, width: int) -> Tensor:
    """`crop` and `paste` [N or 1, c, height, width] as products of hats: one matrix for the rows, one a row for the columns."""
    a, u, v, k, b = functional.pad(at, (0, 5 - at.shape[1]))[:, :, None, None].unbind(1)
    y, x = ((2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1 for n in (height, width))
    y, right, down = y[:, None], (u / 2).tanh(), (v / 2).tanh()
    sides = ((image.shape[-1], width, (a + b) / 4), (image.shape[-2], height, (a - b) / 4))
    if function == "crop":
        wide, high = (new / old * size.exp() for old, new, size in sides)
        seen_x, seen_y = wide * (x + k / 4 * y) + right, high * y + down
    else:
        wide, high = (old / new * size.exp() for old, new, size in sides)
        seen_y = (y - down) / high
        seen_x = (x - right) / wide - k / 4 * seen_y
    rows, columns = _hats(seen_y, image.shape[-2]), _hats(seen_x, image.shape[-1])
    return torch.einsum("nij,ncjk,nilk->ncil", *_rows(rows[:, :, 0], image, columns))


def _hats(seen: Tensor, cells: int) -> Tensor:
    """What each of `cells` cells counts at a coordinate from −1 to 1: […] → […, cells]."""
    cell = (seen + 1) * cells / 2 - 0.5
    return (1 - (cell[..., None] - torch.arange(cells)).abs()).clamp(min=0)


def centre(image: Tensor) -> Tensor:
    """(u, v) [N, 2] of images [N, c, height, width], from the sums of their columns and rows."""
    found = []
    for cells in (image.sum((1, 2)), image.sum((1, 3))):
        number = cells.shape[-1]
        middle = cells @ ((2 * torch.arange(number, dtype=torch.float64) + 1) / number - 1) / cells.sum(-1)
        found.append(((1 + middle) / (1 - middle)).log())
    return torch.stack(found, 1)


def _rows(*parts: Tensor) -> list[Tensor]:
    """With as many outcomes each."""
    most = max(map(len, parts))
    return [p.expand(most, *p.shape[1:]) for p in parts]
