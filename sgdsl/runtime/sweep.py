"""One node of a model moved, cell by cell: an emitted model and one state of all nodes come in; what follows goes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries

QUANTILES = 4001  # draws behind the quantiles of a node that is not real


class Swept(NamedTuple):
    """`points` [cells, steps]: the values a cell took; `values[node]` [cells, steps, *event]."""

    points: Tensor
    values: dict[str, Tensor]


def state_of(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, inferred: bool
) -> dict[str, Tensor]:
    """Every node of one row, [1, 1, *event], in loops [1, 1, copies, …, *event], by its mean or likeliest value: along q given
    `values`, or, not `inferred`, along p with `values` held."""
    likeliest = ask.Likeliest(draws.generator)
    if inferred:
        return model.draw_q(values, known, likeliest, 1).values
    return model.draw_p(values, known, likeliest, 1, rows=1).values


def sweep(
    model: Queries, state: Mapping[str, Tensor], node: str, cells: Sequence[int], steps: int, span: float, draws: Draws
) -> Swept:
    """Each of `cells` (flat indices into the node's event, of one in loops into all copies' events) moved alone, over the values
    of a finite node, once around of an angle, else over `span` standard deviations to both sides of its mean under p given
    its parents (of a node that is not real, over the quantiles at the same places of a normal distribution). What descends
    from the node in p follows by its mean; all else stays."""
    points = points_of(model, state, node, steps, span, draws)[list(cells)]
    rows = points.numel()
    many = {n: v.expand(1, rows, *v.shape[2:]) for n, v in state.items()}
    moved = many[node].reshape(1, rows, -1).clone()
    column = torch.arange(len(cells), device=points.device).repeat_interleave(points.shape[1])
    at = torch.tensor(cells, device=points.device)[column]
    moved[0, torch.arange(rows, device=points.device), at] = points.flatten().to(moved.dtype)
    changes = {node: legal_again(model.NODES[node].support, many[node], moved.reshape(many[node].shape))}
    known = {n: ask.certain_mask(model, n, many[n][0]) for n in model.ORDER_Q}
    found = ask.edit(model, many, known, changes, draws)
    return Swept(points, {n: v.reshape(*points.shape, *v.shape[1:]) for n, v in found.items()})


def legal_again(support: str, before: Tensor, moved: Tensor) -> Tensor:
    """A vector of which one cell was moved as a legal one again, the other cells in their proportions: shares that sum to 1, a
    direction of length 1."""
    if support not in ("simplex", "direction"):
        return moved
    still = moved == before
    if support == "direction":
        others = F.normalize(torch.where(still, before, 0.0), dim=-1)
        left = (1 - torch.where(still, 0.0, moved).square().sum(-1, keepdim=True)).clamp(min=0).sqrt()
        return torch.where(still, others * left, moved)
    rest = torch.where(still, before.clamp(min=torch.finfo(before.dtype).eps), 0.0)
    left = 1 - torch.where(still, 0.0, moved).sum(-1, keepdim=True)
    return torch.where(still, rest * (left / rest.sum(-1, keepdim=True)), moved)


def points_of(model: Queries, state: Mapping[str, Tensor], node: str, steps: int, span: float, draws: Draws) -> Tensor:
    """The values that each cell of a node takes, [cells, steps]."""
    info = model.NODES[node]
    count, device = state[node][0, 0].numel(), state[node].device
    if info.classes:
        return torch.arange(info.first, info.first + info.classes, device=device).expand(count, info.classes)
    places = torch.linspace(-span, span, steps, device=device)
    if info.support == "angle":
        return math.pi * torch.linspace(-1, 1, steps + 1, device=device)[1:].expand(count, steps)
    if info.support == "real":
        mean, variance = (m.reshape(count, 1) for m in model.moments_at(node, state))
        return mean + variance.sqrt() * places
    others = {n: v for n, v in state.items() if n != node}
    known = {n: ask.certain_mask(model, n, v[0]) for n, v in others.items()}
    drawn = model.draw_p(others, known, draws, QUANTILES).values[node].reshape(QUANTILES, count)
    return drawn.quantile(torch.special.ndtr(places).to(drawn.dtype), dim=0).t()
