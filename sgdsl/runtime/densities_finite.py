"""Log-probabilities of binary values and classes, from logits: values and parameters come in, sums over the event
dimensions go out."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_real import refuse_second_derivative, sum_event

MANY = 128  # cells from which the one-residual kernel is the faster


def bernoulli_log_prob(value: Tensor, logits: Tensor | float, event: int = 0) -> Tensor:
    """Σ value·logits − log(1 + exp(logits)), […, *event] → […]: linear in the value, which may be grey or relaxed.

    Images on the CPU (128 cells or more) are differentiable once."""
    if not isinstance(logits, Tensor):
        logits = torch.as_tensor(logits, dtype=value.dtype, device=value.device)
    many = logits.dim() >= value.dim() > 0 and event and math.prod(logits.shape[-event:]) >= MANY
    if many and logits.device.type == "cpu" and _fits(value.shape, logits.shape):
        result: Tensor = _Bernoulli.apply(value.to(logits.dtype).flatten(-event), logits.flatten(-event))  # type: ignore[no-untyped-call]
        return result
    return sum_event(value * logits - F.softplus(logits, threshold=50.0), event)


def _fits(shape: torch.Size, other: torch.Size) -> bool:
    """Whether a shape broadcasts to another one that is at least as long: torch.broadcast_shapes takes 0.1 ms."""
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(other), strict=False))


class _Bernoulli(torch.autograd.Function):
    """[…, cells] → […]: keeps σ(logits) alone, a third faster than log(1 + exp) and its derivative.

    log(1 + exp(l)) = max(l, 0) − log max(σ(l), 1 − σ(l)), and the logarithms of 16 factors, each in [½, 1], are one
    logarithm of their product. Rounding stays that of a sum in the same dtype."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, logits: Tensor) -> Tensor:
        sigmoid = logits.sigmoid()
        ctx.save_for_backward(value, sigmoid, logits if ctx.needs_input_grad[0] else None)
        work = 1 - sigmoid
        log_likelier = _sum_log(torch.maximum(work, sigmoid, out=work))
        torch.clamp(logits, min=0, out=work)
        return log_likelier.sub_(work.addcmul_(value, logits, value=-1).sum(-1))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        refuse_second_derivative()
        value, sigmoid, logits = ctx.saved_tensors
        gradient = gradient[..., None]
        of_value, of_logits = ctx.needs_input_grad
        return (
            (logits * gradient).sum_to_size(value.shape) if of_value else None,
            (value - sigmoid).mul_(gradient) if of_logits else None,
        )


def _sum_log(factors: Tensor) -> Tensor:
    """Σ log over the last dimension, [..., cells ≥ 16], of factors in [½, 1]; overwrites them."""
    for _ in range(4):
        half = factors.shape[-1] // 2
        product = factors[..., :half].mul_(factors[..., half : 2 * half])
        if factors.shape[-1] % 2:
            product[..., :1].mul_(factors[..., -1:])
        factors = product
    return factors.log().sum(-1)


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
