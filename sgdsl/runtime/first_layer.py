"""A linear layer whose inputs stand on levels of their own: the sum of a part for each input, computed where that one stands and
lifted afterwards; and its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

NARROW = 128  # columns that are cheaper side by side than one product each
FEW_CLASSES = 32  # classes that are cheaper as columns of 0 and 1 than as rows of a table


class Place(NamedTuple):
    """How an input is read. `up`: the entry there of each entry of the level, None where it is that level; `classes` > 0:
    one-hot; `ahead` > 0: its part was computed before, of so many columns."""

    up: Tensor | None = None
    classes: int = 0
    ahead: int = 0


class Block(NamedTuple):
    """Inputs that are read by one product, or one class, or what was computed of one: the columns start … start + width of
    the weight, and the place and width of each."""

    start: int
    width: int
    members: list[tuple[int, int]]
    classes: int = 0
    ahead: bool = False


class Group(NamedTuple):
    """The inputs that stand on one level, [S or 1, entries], of a sequence [S or 1, entries, steps]; the `values` of the blocks,
    [all entries, n]."""

    up: Tensor | None
    lead: torch.Size
    blocks: list[Block]
    values: list[Tensor]


def levelled(places: Sequence[Place], inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Group]:
    """The levels of the inputs, the one with the fewest entries first; narrow neighbours on one level are put together."""
    found: dict[tuple[torch.Size, int], Group] = {}
    start = 0
    for i, (value, (up, classes, ahead)) in enumerate(zip(inputs, places, strict=True)):
        lead = value.shape if classes else value.shape[:-1]
        flat = value.flatten() if classes else value.flatten(0, -2)
        if 0 < classes <= FEW_CLASSES:
            flat, classes = (flat[:, None] == torch.arange(classes, device=flat.device)).to(dtype), 0
        width = classes or ahead or flat.shape[1]
        if flat.dtype != dtype and not classes:
            flat = flat.to(dtype)
        group = found.get((lead, id(up)))
        if group is None:
            group = found[lead, id(up)] = Group(up, lead, [], [])
        before = group.blocks[-1] if group.blocks and not (classes or ahead) else None
        if before and _joins(before, start, width):
            group.values[-1] = torch.cat([group.values[-1], flat], 1)
            group.blocks[-1] = Block(before.start, before.width + width, [*before.members, (i, width)])
        else:
            group.blocks.append(Block(start, width, [(i, width)], classes, ahead > 0))
            group.values.append(flat)
        start += width
    groups = list(found.values())
    return groups if len(groups) == 1 else sorted(groups, key=lambda group: group.lead.numel())


def _joins(before: Block, start: int, width: int) -> bool:
    """Whether columns start … start + width are put together with those of a block before."""
    plain = not (before.classes or before.ahead)
    return plain and before.start + before.width == start and before.width + width <= NARROW


def first(groups: Sequence[Group], weight: Tensor, bias: Tensor) -> Tensor:
    """The layer, [S or 1, entries, n], in a buffer of its own. The bias joins where entries are fewest."""
    h: Tensor | None = None
    added: Tensor | None = bias
    for group in groups:
        below = h if h is not None and group.up is None and h.shape[:-1] == group.lead else None
        total = None if below is None else below.flatten(0, -2)
        for block, value in zip(group.blocks, group.values, strict=True):
            total, added = _add(total, added, block, value, columns(weight, block)), None
        assert total is not None
        total = total.view(*group.lead, -1)
        if group.up is not None:
            total = total.index_select(1, group.up)
        h = total if h is None or below is not None else _plus(total, h)
    assert h is not None
    return h


def _plus(a: Tensor, b: Tensor) -> Tensor:
    """a + b, in the larger one of the two where that is as large as the sum."""
    a, b = (a, b) if a.numel() >= b.numel() else (b, a)
    return a.add_(b) if all(m in (1, n) for m, n in zip(b.shape, a.shape, strict=True)) else a + b


def columns(weight: Tensor, block: Block) -> Tensor:
    """A block's part of the weight, which may be all of it."""
    return weight if block.width == weight.shape[1] else weight.narrow(1, block.start, block.width)


def _add(total: Tensor | None, bias: Tensor | None, block: Block, value: Tensor, weight: Tensor) -> Tensor:
    """total + bias + the part of one block, [all entries, n]; overwrites the total."""
    if block.classes:
        table = weight.t() if bias is None else weight.t() + bias
        part = table.contiguous().index_select(0, value)
        return part if total is None else total.add_(part)
    if block.ahead:
        base = bias if total is None else total
        return value.clone() if base is None else base.add_(value) if base is total else base + value
    return F.linear(value, weight, bias) if total is None else total.addmm_(value, weight.t())


def first_backward(
    groups: Sequence[Group], values: Iterator[Tensor], weight: Tensor, g: Tensor, needed: Sequence[bool], trained: bool
) -> tuple[list[Tensor | None], Tensor | None, Tensor | None]:
    """The gradients of the inputs where `needed`, and of the weight and the bias where `trained`, from that of the layer's output
    [S or 1, entries, n]. `values`: of the blocks."""
    of_inputs: list[Tensor | None] = [None] * len(needed)
    of_weight = of_bias = None
    for group in groups:
        own = _down(g, group)
        for block in group.blocks:
            value = next(values)
            if any(needed[i] for i, _ in block.members):
                of_block = own if block.ahead else torch.mm(own, columns(weight, block))
                _hand_out(of_block.view(*group.lead, -1), block, needed, of_inputs)
            if trained:
                of_weight = _of_columns(own, value, block, weight, of_weight)
        if trained and of_bias is None:
            of_bias = own.sum(0)
    return of_inputs, of_weight, of_bias


def _hand_out(of_block: Tensor, block: Block, needed: Sequence[bool], of_inputs: list[Tensor | None]) -> None:
    """A block's gradient to its inputs."""
    if len(block.members) == 1:
        of_inputs[block.members[0][0]] = of_block
        return
    parts = of_block.split([width for _, width in block.members], -1)
    for (i, _), part in zip(block.members, parts, strict=True):
        of_inputs[i] = part if needed[i] else None


def _of_columns(own: Tensor, value: Tensor, block: Block, weight: Tensor, of_weight: Tensor | None) -> Tensor:
    """The gradient of the weight with a block's columns filled in."""
    product = not (block.classes or block.ahead)
    if product and block.width == weight.shape[1]:
        return torch.mm(own.t(), value)
    of_weight = torch.empty_like(weight) if of_weight is None else of_weight
    here = columns(of_weight, block)
    if product and block.width <= FEW_CLASSES:  # a product with so few columns takes longer than one with so few rows
        here.copy_(torch.mm(value.t(), own).t())
    elif product:
        torch.mm(own.t(), value, out=here)
    elif block.classes:
        here.copy_(own.new_zeros(block.classes, own.shape[1]).index_add_(0, value, own).t())
    else:
        here.zero_()  # its gradient comes by the part
    return of_weight


def _down(g: Tensor, group: Group) -> Tensor:
    """The gradient at a group's own entries, [all entries, n]: sums over the samples and entries that it was lifted to."""
    if group.lead[0] < g.shape[0]:
        g = g.sum(0, keepdim=True)
    if group.up is not None:
        shape = g.shape[0], group.lead[1], *g.shape[2:]
        if len(g) == 1:  # along a first dimension of many it takes half as long
            return g.new_zeros(shape[1:]).index_add_(0, group.up, g[0]).flatten(0, -2)
        return g.new_zeros(shape).index_add_(1, group.up, g).flatten(0, -2)
    return g.sum_to_size(*group.lead, g.shape[-1]).flatten(0, -2)
