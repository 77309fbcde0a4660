"""Log-probabilities of counts: values and parameters come in, sums over the event dimensions go out.

Values are numbers 0, 1, 2, …, int64 or float; results have the dtype of the parameters. In float32 the rounding of a
cell is 1e-7 of its log-gamma: invisible below a count of 1e4, a tenth of a nat at 1e5. Gradients do not suffer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_real import sum_event


def poisson_log_prob(value: Tensor, rate: Tensor | float, event: int = 0) -> Tensor:
    """Poisson log-probability, […, *event] → […]; the rate is positive."""
    (rate,) = _tensors(value, rate)
    value = value.to(rate.dtype)
    return sum_event(torch.addcmul(-rate, value, rate.log()) - torch.lgamma(value + 1), event)


def negative_binomial_log_prob(
    value: Tensor, total_count: Tensor | float, logits: Tensor | float, event: int = 0
) -> Tensor:
    """Negative binomial log-probability, […, *event] → […]; `logits` of the success probability, as torch has it:
    the mean is total_count · exp(logits)."""
    total, logits = _tensors(value, total_count, logits)
    value = value.to(total.dtype)
    log_choose = torch.lgamma(total + value) - torch.lgamma(total) - torch.lgamma(value + 1)
    return sum_event(log_choose + total * F.logsigmoid(-logits) + value * F.logsigmoid(logits), event)


def zero_inflated_negative_binomial_log_prob(
    value: Tensor, total_count: Tensor | float, logits: Tensor | float, gate: Tensor | float, event: int = 0
) -> Tensor:
    """Log-probability of a count that is 0 with probability `gate` and else negative binomial, […, *event] → […]."""
    total, logits, gate = _tensors(value, total_count, logits, gate)
    count = negative_binomial_log_prob(value, total, logits)
    edge = torch.finfo(count.dtype).eps
    gate = gate.clamp(edge, 1 - edge)
    present = torch.log1p(-gate) + count
    return sum_event(torch.where(value == 0, torch.logaddexp(gate.log(), present), present), event)


def _tensors(value: Tensor, *parameters: Tensor | float) -> tuple[Tensor, ...]:
    """The parameters as tensors: numbers take the dtype of those that are, else the value's."""
    like = next((p for p in parameters if isinstance(p, Tensor)), None)
    dtype = _float(value) if like is None else like.dtype
    return tuple(
        p if isinstance(p, Tensor) else torch.as_tensor(p, dtype=dtype, device=value.device) for p in parameters
    )


def _float(value: Tensor) -> torch.dtype:
    return value.dtype if value.is_floating_point() else torch.get_default_dtype()
