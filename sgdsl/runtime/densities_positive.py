"""Log-densities on the positive line: values and parameters come in, sums over the event dimensions go out.

Parameters are tensors or numbers and broadcast against the value; a value that has underflowed to 0 counts as the smallest
float.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsl.runtime.densities_real import log_of, sum_event


def exponential_log_prob(value: Tensor, rate: Tensor | float, event: int = 0) -> Tensor:
    """Exponential log-density, […, *event] → […]: log rate − rate · value."""
    return sum_event(log_of(rate) - rate * value, event)


def gamma_log_prob(value: Tensor, concentration: Tensor | float, rate: Tensor | float, event: int = 0) -> Tensor:
    """Gamma log-density, […, *event] → […]; the mean is concentration / rate."""
    shape = torch.as_tensor(concentration, dtype=value.dtype, device=value.device)
    log_value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
    return sum_event(shape * log_of(rate) + (shape - 1) * log_value - rate * value - torch.lgamma(shape), event)
