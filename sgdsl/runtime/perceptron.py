"""Linear layers with ReLU between them as one function of their inputs, with its gradient written out: values on their own
levels come in, features at the level of all go out. A first layer is the sum of a part for each input, computed where that one
stands and lifted afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdsl.runtime.densities_real import refuse_second_derivative
from sgdsl.runtime.few import are_few, one_by_one

NARROW = 128  # columns that are cheaper side by side than one product each


class Read(NamedTuple):
    """An input of a first layer: `value` [S or 1, entries there, n], or with `classes` int64 [S or 1, entries there], read
    one-hot; `up`: the entry there of each entry of the level, None where it is that level."""

    value: Tensor | Ahead
    up: Tensor | None = None
    classes: int = 0


class Ahead(NamedTuple):
    """An input whose part of the first layer was computed before: `part` [S or 1, entries, n], of `width` columns."""

    part: Tensor
    width: int


Input = Tensor | Read | Ahead


def through(layers: nn.Sequential, *inputs: Input, start: int = 0, stop: int | None = None) -> Tensor:
    """layers[start:stop], the first of them linear and reading its inputs side by side: → [S or 1, entries, n]."""
    todo = list(layers)[start:stop]
    length = 1
    while length < len(todo) and type(todo[length]) is (nn.ReLU if length % 2 else nn.Linear):
        length += 1
    value = _applied([layer for layer in todo[:length:2] if isinstance(layer, nn.Linear)], length % 2 == 0, inputs)
    for layer in todo[length:]:
        value = layer(value)
    return value


def affine(layer: nn.Linear, *inputs: Input) -> Tensor:
    """A linear layer that reads its inputs side by side: → [S or 1, entries, n]."""
    return _applied([layer], False, inputs)


def heads(features: Tensor, *layers: nn.Linear) -> list[Tensor]:
    """Linear layers of the same features as one product: [S or 1, entries, n] → [S or 1, entries, m] each."""
    weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    return list(F.linear(features, weight, bias).split([layer.out_features for layer in layers], -1))


@dataclass(frozen=True, slots=True)
class _Form:
    """What is no tensor that a gradient could reach: `ups` and `classes` of the inputs, columns of those computed `ahead`, the
    number of layers, whether the last one is rectified, the dtype they are computed in."""

    ups: tuple[Tensor | None, ...]
    classes: tuple[int, ...]
    ahead: tuple[int, ...]
    layers: int
    rectified: bool
    dtype: torch.dtype


def _applied(layers: list[nn.Linear], rectified: bool, inputs: tuple[Input, ...]) -> Tensor:
    parts = [part if isinstance(part, Read) else Read(part) for part in inputs]  # an Ahead may stand in a Read
    real = [p.value for p in parts if isinstance(p.value, Tensor) and p.up is None and not p.classes]
    if len(real) == len(parts) and are_few(layers, real):
        return one_by_one(layers, rectified, real)
    ahead = tuple(p.value.width if isinstance(p.value, Ahead) else 0 for p in parts)
    dtype, device = layers[0].weight.dtype, layers[0].weight.device.type
    if dtype == torch.float32 and torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    form = _Form(tuple(p.up for p in parts), tuple(p.classes for p in parts), ahead, len(layers), rectified, dtype)
    values = (p.value.part if isinstance(p.value, Ahead) else p.value for p in parts)
    weights, biases = (n.weight for n in layers), (n.bias for n in layers)
    result: Tensor = _Perceptron.apply(form, *values, *weights, *biases)  # type: ignore[no-untyped-call]
    return result


class _Perceptron(torch.autograd.Function):
    """Values of the inputs, then weights and biases of the layers: keeps the inputs, the weights and what is rectified."""

    @staticmethod
    def forward(ctx: Any, form: _Form, *tensors: Tensor) -> Tensor:
        inputs = len(form.ups)
        weights, biases = (
            [t.to(form.dtype) for t in tensors[i:][: form.layers]] for i in (inputs, inputs + form.layers)
        )
        groups = _groups(form, tensors[:inputs])
        h = _first(groups, weights[0], biases[0])
        lead, hidden = h.shape[:-1], []
        h = h.flatten(0, -2)
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            hidden.append(h.relu_())
            h = torch.addmm(bias, h, weight.t())
        if form.rectified:
            hidden.append(h.relu_())
        ctx.save_for_backward(*weights, *hidden, *(block.value for group in groups for block in group.blocks))
        for block in (b for group in groups for b in group.blocks):
            del block.value
        ctx.form, ctx.groups, ctx.lead, ctx.dtypes = form, groups, lead, [t.dtype for t in tensors]
        return h.view(*lead, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        form, needed, inputs = ctx.form, ctx.needs_input_grad[1:], len(ctx.form.ups)
        saved, last = ctx.saved_tensors, 2 * form.layers - 1 + form.rectified
        weights, hidden, values = saved[: form.layers], saved[form.layers : last], saved[last:]
        of_weights: list[Tensor | None] = [None] * form.layers
        of_biases: list[Tensor | None] = [None] * form.layers
        g = gradient.reshape(-1, gradient.shape[-1])
        if form.rectified:
            g = torch.ops.aten.threshold_backward(g, hidden[-1], 0)
        for i in range(form.layers - 1, 0, -1):
            if needed[inputs + i] or needed[inputs + form.layers + i]:
                of_weights[i], of_biases[i] = g.t() @ hidden[i - 1], g.sum(0, dtype=ctx.dtypes[inputs + i])
            g = g @ weights[i]
            torch.ops.aten.threshold_backward.grad_input(g, hidden[i - 1], 0, grad_input=g)
        trained = needed[inputs] or needed[inputs + form.layers]
        of_values, of_weights[0], of_biases[0] = _first_backward(
            ctx.groups, iter(values), weights[0], g.view(*ctx.lead, -1), (*needed[:inputs], trained)
        )
        found = (*of_values, *of_weights, *of_biases)
        return None, *(t if t is None else t.to(d) for t, d in zip(found, ctx.dtypes, strict=True))


@dataclass(slots=True)
class _Block:
    """Inputs that are read by one product, or one class, or what was computed of one: [all entries, n], its columns of the
    weight, and the place and width of each input."""

    value: Tensor
    columns: slice
    members: list[tuple[int, int]]
    classes: int = 0
    ahead: bool = False


@dataclass(slots=True)
class _Group:
    """The inputs that stand on one level, [S or 1, entries], of a sequence [S or 1, entries, steps]."""

    up: Tensor | None
    lead: torch.Size
    blocks: list[_Block]


def _groups(form: _Form, values: Sequence[Tensor]) -> list[_Group]:
    """The levels of the inputs, the one with the fewest entries first; narrow neighbours on one level are put together."""
    found: dict[tuple[torch.Size, int], _Group] = {}
    start = 0
    for i, (value, up, classes, ahead) in enumerate(zip(values, form.ups, form.classes, form.ahead, strict=True)):
        lead, width = value.shape if classes else value.shape[:-1], classes or ahead or value.shape[-1]
        blocks = found.setdefault((lead, id(up)), _Group(up, lead, [])).blocks
        flat = value.flatten() if classes else value.flatten(0, -2).to(form.dtype)
        before = blocks[-1] if blocks else None
        narrow = before is not None and before.columns.stop == start and before.value.shape[-1] + width <= NARROW
        if before is not None and narrow and not (classes or ahead or before.classes or before.ahead):
            before.value = torch.cat([before.value, flat], 1)
            before.columns = slice(before.columns.start, start + width)
            before.members.append((i, width))
        else:
            blocks.append(_Block(flat, slice(start, start + width), [(i, width)], classes, ahead > 0))
        start += width
    return sorted(found.values(), key=lambda group: group.lead.numel())


def _first(groups: list[_Group], weight: Tensor, bias: Tensor) -> Tensor:
    """The first layer, [S or 1, entries, n], in a buffer of its own. The bias joins where entries are fewest."""
    sums: list[Tensor] = []
    added: Tensor | None = bias
    for group in groups:
        total: Tensor | None = None
        for block in group.blocks:
            total, added = _add_block(total, added, block, weight[:, block.columns]), None
        assert total is not None
        total = total.view(*group.lead, -1)
        sums.append(total if group.up is None else total.index_select(1, group.up))
    h, *others = sorted(sums, key=Tensor.numel, reverse=True)
    for other in others:
        h = h.add_(other) if all(a in (1, b) for a, b in zip(other.shape, h.shape, strict=True)) else h + other
    return h


def _add_block(total: Tensor | None, bias: Tensor | None, block: _Block, weight: Tensor) -> Tensor:
    """total + bias + the part of one block, [all entries, n]; overwrites the total."""
    if block.classes:
        table = weight.t() if bias is None else weight.t() + bias
        part = table.contiguous().index_select(0, block.value)
        return part if total is None else total.add_(part)
    if block.ahead:
        base = bias if total is None else total
        return block.value.clone() if base is None else base.add_(block.value) if base is total else base + block.value
    if total is not None:
        return total.addmm_(block.value, weight.t())
    return block.value @ weight.t() if bias is None else torch.addmm(bias, block.value, weight.t())


def _first_backward(
    groups: list[_Group], values: Iterator[Tensor], weight: Tensor, g: Tensor, needed: Sequence[bool]
) -> tuple[list[Tensor | None], Tensor | None, Tensor | None]:
    """The gradients of the inputs, the weight and the bias of a first layer, from that of its output [S or 1, entries, n].
    `values`: of the blocks."""
    of_values: list[Tensor | None] = [None] * (len(needed) - 1)
    of_weight = torch.empty_like(weight) if needed[-1] else None
    of_bias = None
    for group in groups:
        own = _down(g, group).flatten(0, -2)
        for block in group.blocks:
            value, members = next(values), [i for i, _ in block.members]
            if any(needed[i] for i in members):
                of_block = own if block.ahead else own @ weight[:, block.columns]
                widths = [of_block.shape[1]] if block.ahead else [w for _, w in block.members]
                for i, part in zip(members, of_block.view(*group.lead, -1).split(widths, -1), strict=True):
                    of_values[i] = part if needed[i] else None
            if of_weight is not None and block.ahead:
                of_weight[:, block.columns] = 0  # its gradient comes by the part
            elif of_weight is not None and block.classes:
                table = torch.ops.aten.embedding_dense_backward(own, value, block.classes, -1, False)
                of_weight[:, block.columns] = table.t()
            elif of_weight is not None and len(weight[0]) == value.shape[1]:
                of_weight = own.t() @ value
            elif of_weight is not None:  # into rows of another length a product is slower than a copy
                of_weight[:, block.columns] = own.t() @ value
        if of_weight is not None and of_bias is None:
            of_bias = own.sum(0, dtype=torch.float32 if own.dtype == torch.bfloat16 else None)
    return of_values, of_weight, of_bias


def _down(g: Tensor, group: _Group) -> Tensor:
    """The gradient at a group's own entries: sums over the samples and entries that it was lifted to."""
    if group.lead[0] < g.shape[0]:
        g = g.sum(0, keepdim=True)
    if group.up is not None:
        return g.new_zeros(g.shape[0], group.lead[1], *g.shape[2:]).index_add_(1, group.up, g)
    return g.sum_to_size(*group.lead, g.shape[-1])
