"""Densities and layers as an expert writes them for one model: tensors in, log-densities or features out.

Entries are the rows of the decoder: the first rows of data, `repeats` entries each, then the other rows, one entry each.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peers import Kl


class _Bernoulli(torch.autograd.Function):
    """Keeps σ(logits) alone; log(1 + exp(l)) = max(l, 0) − log max(σ, 1 − σ), sixteen factors to a logarithm."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor, many: int, repeats: int) -> Tensor:
        logits = logits.float()
        sigmoid = logits.sigmoid()
        work = 1 - sigmoid
        factors = torch.maximum(work, sigmoid, out=work)
        for _ in range(4):
            half = factors.shape[-1] // 2
            factors = factors[..., :half].mul_(factors[..., half:])
        result = factors.log_().sum(-1)
        torch.clamp(logits, min=0, out=work)
        for part, of_logits, cells in zip(
            _blocks(work, many, repeats), _blocks(logits, many, repeats), _cells(x, many), strict=True
        ):
            part.addcmul_(of_logits, cells, value=-1)
        ctx.save_for_backward(x, sigmoid)
        ctx.layout = many, repeats
        return result.sub_(work.sum(-1))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, sigmoid = ctx.saved_tensors
        out = torch.empty_like(sigmoid)
        for part, of_sigmoid, cells in zip(
            _blocks(out, *ctx.layout), _blocks(sigmoid, *ctx.layout), _cells(x, ctx.layout[0]), strict=True
        ):
            torch.sub(cells, of_sigmoid, out=part)
        return None, out.mul_(gradient[..., None]), None, None


def _blocks(value: Tensor, many: int, repeats: int) -> tuple[Tensor, Tensor]:
    """[S, entries, n] → the entries of the first `many` rows, [S, many, repeats, n], and the others, [S, rest, 1, n]."""
    first = value[:, : many * repeats].unflatten(1, (many, repeats))
    return first, value[:, many * repeats :, None]


def _cells(x: Tensor, many: int) -> tuple[Tensor, Tensor]:
    return x[:many, None], x[many:, None]


def bernoulli(x: Tensor, logits: Tensor, many: int = 0, repeats: int = 1) -> Tensor:
    """log p(x), cells summed: x [rows, 784] of 0 and 1, logits [S, entries, 784] → [S, entries]."""
    result: Tensor = _Bernoulli.apply(x, logits, many, repeats)
    return result


class _EveryClass(torch.autograd.Function):
    """relu(row part + class part) at the entries, in one buffer."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, table: Tensor, label: Tensor) -> Tensor:
        many, repeats = part.shape[1] - len(label), len(table)
        out = part.new_empty(len(part), many * repeats + len(label), part.shape[-1])
        first, rest = _blocks(out, many, repeats)
        torch.add(part[:, :many, None], table, out=first)
        torch.add(part[:, many:], table[label], out=rest[:, :, 0])
        ctx.save_for_backward(out.relu_(), label)
        ctx.layout = many, repeats
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        out, label = ctx.saved_tensors
        first, rest = _blocks(torch.ops.aten.threshold_backward(gradient, out, 0), *ctx.layout)
        of_part = torch.cat([first.sum(2), rest[:, :, 0]], 1)
        return of_part, first.sum((0, 1)).index_add_(0, label, rest[:, :, 0].sum(0)), None


def every_class(part: Tensor, table: Tensor, label: Tensor) -> Tensor:
    """relu(part + table[class]), each class for the first rows, the label for the last: part [S, rows, n], table [classes, n],
    label [last rows] → [S, entries, n]."""
    result: Tensor = _EveryClass.apply(part, table.to(part.dtype), label)
    return result


class _OnEntries(torch.autograd.Function):
    """relu(entry part + row part), in the buffer of the entries."""

    @staticmethod
    def forward(ctx: Any, entries: Tensor, part: Tensor, many: int, repeats: int) -> Tensor:
        first, rest = _blocks(entries, many, repeats)
        first.add_(part[:, :many, None])
        rest.add_(part[:, many:, None])
        ctx.mark_dirty(entries.relu_())
        ctx.save_for_backward(entries)
        ctx.layout = many, repeats
        return entries

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        masked = torch.ops.aten.threshold_backward(gradient, ctx.saved_tensors[0], 0)
        first, rest = _blocks(masked, *ctx.layout)
        return masked, torch.cat([first.sum(2), rest[:, :, 0]], 1), None, None


def on_entries(entries: Tensor, part: Tensor, many: int, repeats: int) -> Tensor:
    """relu(entries + part of their row): entries [S, entries, n], which is overwritten, part [S, rows, n]."""
    result: Tensor = _OnEntries.apply(entries, part, many, repeats)
    return result


def row_normal(value: Tensor, loc: Tensor, scale: Tensor, many: int, repeats: int) -> Tensor:
    """log N of a row's value at its entries: value [S, rows, n], loc and scale [S, entries, n] → [S, entries]."""
    at = torch.cat(
        [v.flatten(1, 2) for v in (value[:, :many, None].expand(-1, -1, repeats, -1), value[:, many:, None])], 1
    )
    return log_normal(at, loc, scale)


def positive(raw: Tensor) -> Tensor:
    """A scale."""
    return F.softplus(raw) + 1e-4


def drawn(loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """loc + scale · noise."""
    return torch.addcmul(loc, scale, noise)


def minus_kl(loc: Tensor, scale: Tensor, noise: Tensor, z: Tensor, kl: Kl) -> Tensor:
    """−KL(q(z) ‖ N(0, 1)), or log p(z) − log q(z) at z = loc + scale · noise, whose gradient needs no division by the scale;
    [S or 1, entries, n] → [S or 1, entries]."""
    if kl == "closed":
        return 0.5 * (1 - loc.square() - scale.square()).sum(-1) + scale.log().sum(-1)
    return -0.5 * (z.square() - noise.square()).sum(-1) + scale.log().sum(-1)


HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_q_drawn(scale: Tensor, noise: Tensor) -> Tensor:
    """log q of loc + scale · noise."""
    return -0.5 * noise.square().sum(-1) - scale.log().sum(-1) - scale.shape[-1] * HALF_LOG_2PI


def log_normal(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """log N(value; loc, scale), cells summed."""
    return -0.5 * ((value - loc) / scale).square().sum(-1) - scale.log().sum(-1) - value.shape[-1] * HALF_LOG_2PI
