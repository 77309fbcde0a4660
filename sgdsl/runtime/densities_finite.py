"""Log-probabilities of binary values and classes, from logits: values and parameters come in, sums over the event
dimensions go out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_real import refuse_second_derivative, sum_event

MANY = 128  # cells from which the one-residual kernel is the faster
BLOCK = 1 << 17  # numbers that a thread works on at once: they stay in the cache of its core


def bernoulli_log_prob(value: Tensor, logits: Tensor | float, event: int = 0) -> Tensor:
    """Σ value·logits − log(1 + exp(logits)), […, *event] → […]: linear in the value, which may be grey or relaxed.

    Images on the CPU (128 cells or more) are differentiable once."""
    if not isinstance(logits, Tensor):
        logits = torch.as_tensor(logits, dtype=value.dtype, device=value.device)
    found = _many_cells(value, logits, None, event)
    return sum_event(value * logits - F.softplus(logits, threshold=50.0), event) if found is None else found


def bernoulli_log_prob_lifted(value: Tensor, up: Tensor, logits: Tensor, event: int) -> Tensor:
    """bernoulli_log_prob of a value [S or 1, entries below, *event] whose entry up[i] belongs to the logits' entry i, logits
    [S or 1, entries, *event]: the lifted value is never there as a whole."""
    found = _many_cells(value, logits, up, event)
    return bernoulli_log_prob(value.index_select(1, up), logits, event) if found is None else found


def _many_cells(value: Tensor, logits: Tensor, up: Tensor | None, event: int) -> Tensor | None:
    """The kernel's result, None where another formula is the faster."""
    cells = math.prod(logits.shape[-event:]) if event else 0
    planes = _planes(value, logits, event, up is not None) if cells >= MANY and logits.device.type == "cpu" else None
    if planes is None:
        return None
    flat = logits.reshape(-1, _entries_of(logits, event), cells)
    result: Tensor = _Bernoulli.apply(planes.to(logits.dtype), flat, up)  # type: ignore[no-untyped-call]
    return result.view(logits.shape[: logits.dim() - event])


def _entries_of(tensor: Tensor, event: int) -> int:
    """Entries, the last dimension before the event."""
    return tensor.shape[-event - 1] if tensor.dim() > event else 1


def _planes(value: Tensor, logits: Tensor, event: int, lifted: bool) -> Tensor | None:
    """The value as [1 or S, 1 or entries, cells] of logits [S, entries, cells]; None where it does not broadcast to them."""
    here, there = value.shape, logits.shape
    if len(here) > len(there) or len(here) < event or here[len(here) - event :] != there[len(there) - event :]:
        return None
    if not lifted and not all(a in (1, b) for a, b in zip(reversed(here), reversed(there), strict=False)):
        return None
    outer = math.prod(here[: max(0, len(here) - event - 1)])
    if outer not in (1, math.prod(there[: max(0, len(there) - event - 1)])):
        value = value.expand(*there[: len(there) - event - 1], *here[-event - 1 :])
    return value.reshape(-1, _entries_of(value, event), math.prod(there[len(there) - event :]))


class _Bernoulli(torch.autograd.Function):
    """[S, entries, cells] → [S, entries], block by block; keeps value − σ(logits) alone, which the gradient is a multiple of.

    log(1 + exp(l)) = max(l, 0) − log max(σ(l), 1 − σ(l)), and the logarithms of 16 factors, each in [½, 1], are one
    logarithm of their product. Rounding stays that of a sum in the same dtype."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, logits: Tensor, up: Tensor | None) -> Tensor:
        residual, result, one = torch.empty_like(logits), logits.new_empty(logits.shape[:2]), logits.new_ones(())
        spare = logits.new_empty(0)
        for s, e in _blocks(*logits.shape):
            there, sigmoid, found = logits[s, e], residual[s, e], result[s, e]
            torch.sigmoid(there, out=sigmoid)
            work = spare = spare if spare.shape == there.shape else torch.empty_like(there)
            torch.sub(one, sigmoid, out=work)
            _sum_log(torch.maximum(work, sigmoid, out=work), found)
            here = value if len(value) == 1 else value[s]
            if up is not None:
                here = here.index_select(1, up[e])
            elif value.shape[1] > 1:
                here = here[:, e]
            torch.sub(here, sigmoid, out=sigmoid)
            torch.clamp(there, min=0, out=work)
            found.sub_(work.addcmul_(here, there, value=-1).sum(-1))
        ctx.save_for_backward(residual, up, *((value, logits) if ctx.needs_input_grad[0] else ()))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        residual, up, *others = ctx.saved_tensors
        gradient, of_value = gradient[..., None], None
        if others:
            value, logits = others
            of_value = logits * gradient
            if up is not None:
                of_value = of_value.new_zeros(len(of_value), *value.shape[1:]).index_add_(1, up, of_value)
            of_value = of_value.sum_to_size(value.shape)
        return of_value, residual * gradient if ctx.needs_input_grad[1] else None, None


def _blocks(samples: int, entries: int, cells: int) -> Iterator[tuple[slice, slice]]:
    """Ranges of the first two dimensions that hold about BLOCK numbers a thread."""
    most = max(1, BLOCK * torch.get_num_threads() // cells)
    several = max(1, most // max(entries, 1))
    for s in range(0, samples, several):
        for e in range(0, entries, most):
            yield slice(s, s + several), slice(e, e + most)


def _sum_log(factors: Tensor, out: Tensor) -> None:
    """Σ log over the last dimension, [..., cells ≥ 16], of factors in [½, 1]; overwrites them."""
    for _ in range(4):
        half = factors.shape[-1] // 2
        product = factors[..., :half].mul_(factors[..., half : 2 * half])
        if factors.shape[-1] % 2:
            product[..., :1].mul_(factors[..., -1:])
        factors = product
    torch.sum(factors.log_(), -1, out=out)


def categorical_log_prob(value: Tensor, logits: Tensor, event: int = 0) -> Tensor:
    """Log-probability of classes: value int64 […, *event], logits […, *event, k] → […]. Values index the last dimension."""
    log_probs = logits.log_softmax(-1)
    shape = torch.broadcast_shapes(value.shape, log_probs.shape[:-1])
    chosen = log_probs.expand(*shape, -1).gather(-1, value.expand(shape)[..., None])
    return sum_event(chosen.squeeze(-1), event)


def categorical_log_prob_at(value: Tensor, logits: Tensor, entry: Tensor, event: int = 0) -> Tensor:
    """categorical_log_prob of value [S or 1, entries, *event] from logits [S or 1, entries below, *event, k], entry[i] of
    them for the value i: each is normalised once, and no table of entries × k is made."""
    log_probs = logits.log_softmax(-1)
    cells = log_probs[0, 0, ..., 0].numel()
    cell = torch.arange(cells, device=value.device)
    place = (entry[:, None] * cells + cell) * log_probs.shape[-1] + value.reshape(*value.shape[:2], cells)
    table, shape = log_probs.flatten(1), (max(len(value), len(log_probs)), *value.shape[1:])
    if len(value) == 1:
        return sum_event(table.index_select(1, place.flatten()).reshape(shape), event)
    return sum_event(table.expand(len(value), -1).gather(1, place.flatten(1)).reshape(shape), event)


def categorical_soft_log_prob(weights: Tensor, logits: Tensor, event: int = 0) -> Tensor:
    """Σ weights·log softmax(logits): weights and logits […, *event, k] → […]."""
    return sum_event((weights * logits.log_softmax(-1)).sum(-1), event)
