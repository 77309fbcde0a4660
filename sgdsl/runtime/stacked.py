"""Layers of which each copy of a loop has its own, stacked in front: the entries of a level come in, put apart by copy for one
batched product; they go out together again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class ByCopy:
    """`copy` [entries]: the copy of each entry, from 0; `index` [copies, width]: the entries of each copy, some entry where it
    has fewer than another; `inverse` [entries]: where each entry stands in that."""

    copy: Tensor
    index: Tensor
    inverse: Tensor

    def apart(self, value: Tensor) -> Tensor:
        """[S or 1, entries or 1, n] → [copies, width, S or 1, n]."""
        value = value.expand(-1, len(self.copy), -1).transpose(0, 1)
        return value.index_select(0, self.index.flatten()).reshape(*self.index.shape, *value.shape[1:])

    def together(self, value: Tensor) -> Tensor:
        """[copies, width, S or 1, n] → [S or 1, entries, n]."""
        return value.flatten(0, 1).index_select(0, self.inverse).transpose(0, 1)

    def own(self, stack: Tensor, dims: int = 1) -> Tensor:
        """A free parameter of each entry's copy: [copies, *event], the copies in `dims` dimensions → [1, entries, *event]."""
        return stack.flatten(0, dims - 1).index_select(0, self.copy)[None]

    def within(self, inner: ByCopy) -> ByCopy:
        """The copies of an inner loop within these, the inner ones fastest."""
        (number, width), (outer, most) = inner.index.shape, self.index.shape
        return by_copy(self.copy * number + inner.copy, outer * number, min(width, most))


def by_copy(copy: Tensor, copies: int, width: int | None = None) -> ByCopy:
    """The entries of a level by their copy, `copy` [entries] int64; `width`: no copy has more, found where it is not said."""
    order = copy.argsort(stable=True)
    number = copy.new_zeros(copies).scatter_add(0, copy, torch.ones_like(copy))
    width = int(number.max()) if width is None else width
    sorted_copy = copy.index_select(0, order)
    start = number.cumsum(0) - number
    place = sorted_copy * width + torch.arange(len(copy), device=copy.device) - start.index_select(0, sorted_copy)
    index = order.new_zeros(copies * width).index_copy(0, place, order)
    return ByCopy(copy, index.unflatten(0, (copies, width)), torch.empty_like(order).index_copy(0, order, place))


def alone(copy: int, copies: int, entries: int, device: torch.device) -> ByCopy:
    """Entries that are all of one copy."""
    at = torch.arange(entries, device=device)
    index = at.new_zeros(copies, entries)
    index[copy] = at
    return ByCopy(torch.full_like(at, copy), index, at + copy * entries)


class StackedLinear(nn.Module):
    """A linear layer for each copy, with torch's initial weights: [copies, width, S or 1, n] → [copies, width, S or 1, size]."""

    def __init__(self, inputs: int, size: int, *copies: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(*copies, size, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(*copies, size).uniform_(-bound, bound))

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight.flatten(0, -3), self.bias.flatten(0, -2)
        rows = input.to(weight.dtype).flatten(1, 2)
        made: Tensor = torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2))
        return made.reshape(*input.shape[:3], bias.shape[-1])


class StackedLayerNorm(nn.Module):
    """Layer normalisation scaled by each copy's own weights: [copies, width, S or 1, n] → the same."""

    def __init__(self, size: int, *copies: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*copies, size))
        self.bias = nn.Parameter(torch.zeros(*copies, size))

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = (p.flatten(0, -2)[:, None, None] for p in (self.weight, self.bias))
        return F.layer_norm(input, input.shape[-1:]) * weight + bias
