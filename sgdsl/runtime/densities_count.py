"""Log-probabilities of counts: values and parameters come in, sums over the event dimensions go out.

Values are numbers 0, 1, 2, …, int64 or float; results have the dtype of the parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_real import log_of, sum_event


def poisson_log_prob(value: Tensor, rate: Tensor | float, event: int = 0) -> Tensor:
    """Poisson log-probability, […, *event] → […]."""
    return sum_event(value * log_of(rate) - rate - torch.lgamma(value + 1.0), event)


def negative_binomial_log_prob(
    value: Tensor, total_count: Tensor | float, logits: Tensor | float, event: int = 0
) -> Tensor:
    """Negative binomial log-probability, […, *event] → […]; `logits` of the success probability, as torch has it:
    the mean is total_count · exp(logits)."""
    total = torch.as_tensor(total_count)
    logits = torch.as_tensor(logits)
    log_choose = torch.lgamma(total + value) - torch.lgamma(total) - torch.lgamma(value + 1.0)
    return sum_event(log_choose + total * F.logsigmoid(-logits) + value * F.logsigmoid(logits), event)


def zero_inflated_negative_binomial_log_prob(
    value: Tensor, total_count: Tensor | float, logits: Tensor | float, gate: Tensor | float, event: int = 0
) -> Tensor:
    """Log-probability of a count that is 0 with probability `gate` and else negative binomial, […, *event] → […]."""
    count = negative_binomial_log_prob(value, total_count, logits)
    gate = torch.as_tensor(gate, dtype=count.dtype, device=count.device)
    gate = gate.clamp(torch.finfo(gate.dtype).eps, 1 - torch.finfo(gate.dtype).eps)
    open_ = torch.log1p(-gate) + count
    return sum_event(torch.where(value == 0, torch.logaddexp(gate.log(), open_), open_), event)
