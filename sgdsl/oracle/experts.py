"""Missing cells, products and mixtures on [N or 1, *event] tensors: values that are NaN or below the first class where a cell is
missing, and experts' parameters, come in; masks, parameters and weights go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.densities import cell_log_prob

Parameters = Mapping[str, Tensor]


def present(kind: ir.Type, value: Tensor) -> Tensor:
    """Which cells are there."""
    return value >= kind.first if kind.one_hot else ~value.isnan()


def filled(kind: ir.Type, value: Tensor, fill: float) -> Tensor:
    """The value with `fill` in the missing cells of a partial node."""
    return torch.where(present(kind, value), value, torch.full_like(value, fill)) if kind.partial else value


def legal(kind: ir.Type) -> float:
    """A value that every density takes."""
    return kind.first if kind.values else 0.5


def side_by_side(kind: ir.Type, value: Tensor, network_input: Tensor) -> Tensor:
    """[N, width] of a partial node: 0 where a cell is missing, and the mask behind it."""
    there = present(kind, value).reshape(len(value), -1, 1)
    zeroed = network_input.reshape(len(value), there.shape[1], -1) * there
    return torch.cat((zeroed.flatten(1), there[..., 0].double()), 1)


def on_circle(kind: ir.Type, value: Tensor, legal: Tensor) -> Tensor:
    """Of angles the cosines, then the sines, 0 where a cell is missing; the mask of a partial node behind."""
    there = present(kind, value).double().reshape(len(value), -1)
    parts = [f(legal.double()).reshape(len(value), -1) * there for f in (torch.cos, torch.sin)]
    return torch.cat([*parts, there] if kind.partial else parts, 1)


def told(model: ir.Model, expert: ir.Expert, values: Mapping[str, Tensor]) -> Tensor | None:
    """Rows in which a partial node that it reads has a cell."""
    masks = [present(model.node(n).type, values[n]).reshape(len(values[n]), -1) for n in expert.partial]
    return torch.cat(masks, 1).any(1) if masks else None


def counted(told: Sequence[Tensor | None]) -> list[Tensor]:
    """In which rows each expert counts, [N or 1] each: where it is told something, or no expert is."""
    always = torch.ones(1, dtype=torch.bool)
    masks = [always if mask is None else mask for mask in told]
    none = ~torch.stack(torch.broadcast_tensors(*masks)).any(0)
    return [mask | none for mask in masks]


def product(experts: Sequence[Parameters], masks: Sequence[Tensor]) -> dict[str, Tensor]:
    """Precisions add, means are weighed by them."""
    precisions = [
        at["scale"] ** -2 * mask.double().reshape(-1, *[1] * (at["scale"].dim() - 1))
        for at, mask in zip(experts, masks, strict=True)
    ]
    total = sum(precisions, torch.zeros(1, dtype=torch.float64))
    mean = sum((p * at["loc"] for p, at in zip(precisions, experts, strict=True)), torch.zeros(1, dtype=torch.float64))
    return {"loc": mean / total, "scale": total.rsqrt()}


def log_weights(masks: Sequence[Tensor]) -> Tensor:
    """Equal weights of the experts that count, [N or 1, experts]."""
    there = torch.stack(torch.broadcast_tensors(*masks), -1)
    return torch.where(there, 1 / there.sum(-1, keepdim=True).double(), 0.0).log()


def stacked(experts: Sequence[Parameters], masks: Sequence[Tensor]) -> dict[str, Tensor]:
    """Parameters side by side, [N or 1, experts, *event], and "weights"."""
    names = experts[0].keys()
    found = {n: torch.stack(torch.broadcast_tensors(*(at[n] for at in experts)), 1) for n in names}
    return {"weights": log_weights(masks), **found}


def mixed_log_prob(kind: ir.Type, family: str, parameters: Mapping[str, Tensor], value: Tensor) -> Tensor:
    """log Σ weight · density over the experts."""
    weights, found = parameters["weights"], []
    for k in range(weights.shape[1]):
        own = {n: p[:, k] for n, p in parameters.items() if n != "weights"}
        cells = cell_log_prob(kind, family, own, value)
        found.append(weights[:, k] + (cells.flatten(1).sum(1) if cells.dim() > 1 else cells))
    return torch.stack(torch.broadcast_tensors(*found), -1).logsumexp(-1)
