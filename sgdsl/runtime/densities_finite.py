"""Log-probabilities of binary values and classes, from logits: values and parameters come in, sums over the event
dimensions go out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from sgdsl.runtime.densities_real import sum_event


def bernoulli_log_prob(value: Tensor, logits: Tensor | float, event: int = 0) -> Tensor:
    """Σ value·logits − log(1 + exp(logits)), […, *event] → […]: linear in the value, which may be grey or relaxed."""
    logits = torch.as_tensor(logits)
    return sum_event(value * logits - F.softplus(logits, threshold=50.0), event)


def categorical_log_prob(value: Tensor, logits: Tensor | float, event: int = 0) -> Tensor:
    """Log-probability of classes: value int64 […, *event], logits […, *event, k] → […]. Values index the last dimension."""
    log_probs = logits.log_softmax(-1)
    shape = torch.broadcast_shapes(value.shape, log_probs.shape[:-1])
    chosen = log_probs.expand(*shape, -1).gather(-1, value.expand(shape)[..., None])
    return sum_event(chosen.squeeze(-1), event)


def categorical_soft_log_prob(weights: Tensor, logits: Tensor, event: int = 0) -> Tensor:
    """Σ weights·log softmax(logits): weights and logits […, *event, k] → […]."""
    return sum_event((weights * logits.log_softmax(-1)).sum(-1), event)
