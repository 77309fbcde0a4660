"""Log-densities of vectors: values and parameters come in, sums over the event dimensions go out.

The last event dimension is one vector, the ones before it hold several. Parameters are tensors or numbers and broadcast against
the value; those of one vector whose cells are read together have all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsl.runtime.densities_real import HALF_LOG_2PI, Parameter, full, sum_event


def dirichlet_log_prob(value: Tensor, concentration: Parameter, event: int = 1) -> Tensor:
    """Dirichlet log-density, […, *event] → […]; a share that has underflowed to 0 counts as the smallest float."""
    c = torch.as_tensor(concentration, dtype=value.dtype, device=value.device)
    c = c.expand(torch.broadcast_shapes(c.shape, value.shape[-1:]))
    logs = value.clamp(min=torch.finfo(value.dtype).tiny).log()
    return sum_event(((c - 1) * logs).sum(-1) + torch.lgamma(c.sum(-1)) - torch.lgamma(c).sum(-1), event - 1)


def dirichlet_mean(concentration: Tensor) -> Tensor:
    return concentration / concentration.sum(-1, keepdim=True)


def dirichlet_variance(concentration: Tensor) -> Tensor:
    """Of each share."""
    mean = dirichlet_mean(concentration)
    return mean * (1 - mean) / (concentration.sum(-1, keepdim=True) + 1)


def multivariate_normal_log_prob(value: Tensor, loc: Parameter, scale_tril: Tensor, event: int = 1) -> Tensor:
    """Normal log-density with the covariance L Lᵀ, […, *event] → […]; `scale_tril` L is lower triangular, [..., n, n]."""
    away, n = value - loc, value.shape[-1]
    if (
        scale_tril.dim() == 2 or scale_tril.shape[:-2].numel() == 1
    ):  # one triangle for all: one system, many right-hand sides
        one = scale_tril.reshape(n, n)
        z = torch.linalg.solve_triangular(one, away.reshape(-1, n).t(), upper=False).t().reshape(away.shape)
    else:
        z = torch.linalg.solve_triangular(scale_tril, away[..., None], upper=False)[..., 0]
    logs = scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return sum_event(-0.5 * z.square().sum(-1) - logs - n * HALF_LOG_2PI, event - 1)


def multivariate_normal_mean(loc: Parameter, scale_tril: Tensor) -> Tensor:
    return full(loc, scale_tril[..., 0])


def multivariate_normal_variance(loc: Parameter, scale_tril: Tensor) -> Tensor:
    """Of each cell: the diagonal of L Lᵀ."""
    found: Tensor = full(scale_tril.square().sum(-1), loc)
    return found
