"""Products and mixtures of experts: the experts' parameters and the rows in which each counts come in, parameters and
log-densities of the whole go out.

An expert is (told, *parameters): `told` bool [1, entries], or None for every row; parameters [S or 1, entries or 1, *event]
or numbers. In a row where no expert is told, all count.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

Expert = tuple[Any, ...]


def product_of_normals(*experts: Expert, event: int) -> tuple[Any, Any]:
    """loc and scale of the normalised product of Normal densities, numbers where all parameters are: precisions add, means
    are weighed by them."""
    masks = _counted(experts)
    precision: Any = 0.0
    weighted: Any = 0.0
    for mask, (_, loc, scale) in zip(masks, experts, strict=True):
        part = scale**-2 if mask is None else _where(mask, scale**-2, _like(experts), event)
        precision, weighted = precision + part, weighted + part * loc
    return weighted / precision, precision**-0.5


def mixture_of(*experts: Expert, event: int) -> tuple[Tensor, ...]:
    """log weights [1, entries or 1, experts], equal for the experts that count, and every parameter of all experts side by
    side, [S or 1, entries or 1, experts, *event]."""
    like, masks = _like(experts), _counted(experts)
    if all(mask is None for mask in masks):
        weights = torch.full((1, 1, len(experts)), -math.log(len(experts)), dtype=like.dtype, device=like.device)
    else:
        there = next(mask for mask in masks if mask is not None)
        counted = torch.stack([torch.ones_like(there) if mask is None else mask for mask in masks], -1)
        weights = torch.where(counted, -counted.sum(-1, keepdim=True).to(like.dtype).log(), -torch.inf)
    sides = [_side_by_side([expert[i] for expert in experts], like, event) for i in range(1, len(experts[0]))]
    return (weights, *sides)


def among(value: Tensor) -> Tensor:
    """A value beside every expert: [S or 1, entries, *event] → [S or 1, entries, 1, *event]."""
    return value[:, :, None]


def mixture_log_prob(weights: Tensor, log_probs: Tensor) -> Tensor:
    """log Σ weight · density over the experts: [S or 1, entries or 1, experts] each → [S or 1, entries]."""
    return (weights + log_probs).logsumexp(-1)


def _counted(experts: tuple[Expert, ...]) -> list[Tensor | None]:
    """Where each expert counts: all do where none is told."""
    masks = [expert[0] for expert in experts]
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks):
        return masks
    none = ~torch.stack(known).any(0)
    return [mask | none for mask in known]


def _like(experts: tuple[Expert, ...]) -> Tensor:
    """A parameter that is a tensor: numbers take its dtype and device."""
    found = [p for _, *parameters in experts for p in parameters if isinstance(p, Tensor)]
    return found[0] if found else torch.zeros(())


def _where(mask: Tensor, value: Tensor | float, like: Tensor, event: int) -> Tensor:
    value = torch.as_tensor(value, dtype=like.dtype, device=mask.device)
    return torch.where(mask.reshape(*mask.shape, *[1] * event), value, torch.zeros_like(value))


def _side_by_side(parameters: list[Tensor | float], like: Tensor, event: int) -> Tensor:
    tensors = [torch.as_tensor(p, dtype=like.dtype, device=like.device) for p in parameters]
    tensors = [t.reshape(*[1] * max(0, 2 + event - t.dim()), *t.shape) for t in tensors]
    return torch.stack(torch.broadcast_tensors(*tensors), 2)
