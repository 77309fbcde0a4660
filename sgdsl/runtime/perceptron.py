"""Linear layers with ReLU between them, and the heads behind them, as one function of their inputs, with its gradient written
out: values on their own levels come in, features at the level of all go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdsl.runtime.densities_real import refuse_second_derivative
from sgdsl.runtime.few import are_few, one_by_one
from sgdsl.runtime.first_layer import Place, first, first_backward, levelled

_threshold = torch.ops.aten.threshold_backward.default
_threshold_out = torch.ops.aten.threshold_backward.grad_input


class Ahead(NamedTuple):
    """An input whose part of the first layer was computed before: `part` [S or 1, entries, n], of `width` columns."""

    part: Tensor
    width: int


class Read(NamedTuple):
    """An input of a first layer: `value` [S or 1, entries there, n], or with `classes` int64 [S or 1, entries there], read
    one-hot; `up`: the entry there of each entry of the level, None where it is that level."""

    value: Tensor | Ahead
    up: Tensor | None = None
    classes: int = 0


Input = Tensor | Read | Ahead


Then = nn.Linear | Sequence[nn.Linear] | None


@overload
def through(
    layers: nn.Sequential, *inputs: Input, then: nn.Linear | None = None, start: int = 0, stop: int | None = None
) -> Tensor: ...


@overload
def through(
    layers: nn.Sequential, *inputs: Input, then: Sequence[nn.Linear], start: int = 0, stop: int | None = None
) -> Sequence[Tensor]: ...


def through(
    layers: nn.Sequential, *inputs: Input, then: Then = None, start: int = 0, stop: int | None = None
) -> Tensor | Sequence[Tensor]:
    """layers[start:stop], the first of them linear and reading its inputs side by side: → [S or 1, entries, n]; `then` a head,
    or several of the same features: → [S or 1, entries, m] each, in the dtype of the weights."""
    todo = list(layers)[start:stop]
    length = 0
    while length < len(todo) and type(todo[length]) is (nn.ReLU if length % 2 else nn.Linear):
        length += 1
    linear = [layer for layer in todo[:length:2] if isinstance(layer, nn.Linear)]
    last = () if then is None else (then,) if isinstance(then, nn.Linear) else then
    rectified, whole = length % 2 == 0, length == len(todo)
    if last and rectified and whole:
        found = _applied(linear, last, False, inputs)
    else:
        (value,) = _applied(linear, (), rectified, inputs)
        for layer in todo[length:]:
            value = layer(value)
        found = _applied([], last, False, (value,)) if last else (value,)
    return found[0] if then is None or isinstance(then, nn.Linear) else found


def affine(layer: nn.Linear, *inputs: Input) -> Tensor:
    """A linear layer that reads its inputs side by side: → [S or 1, entries, n]."""
    return _applied([layer], (), False, inputs)[0]


def heads(features: Tensor, *layers: nn.Linear) -> Sequence[Tensor]:
    """Linear layers of the same features as one product: [S or 1, entries, n] → [S or 1, entries, m] each."""
    return _applied([], layers, False, (features,))


class _Form(NamedTuple):
    """What is no tensor that a gradient could reach: the places of the inputs, the number of layers, the columns of the
    heads behind them, whether the last layer is rectified, the dtype they are computed in."""

    places: list[Place]
    layers: int
    heads: list[int]
    rectified: bool
    dtype: torch.dtype


def _applied(
    layers: Sequence[nn.Linear], heads: Sequence[nn.Linear], rectified: bool, inputs: Sequence[Input]
) -> Sequence[Tensor]:
    every = (*layers, *heads)
    real = [value for value in inputs if isinstance(value, Tensor)]
    if len(real) == len(inputs) and are_few(every, real):
        return one_by_one(layers, heads, rectified, real)
    places, values = [], []
    for read in inputs:
        value, up, classes = read if isinstance(read, Read) else (read, None, 0)
        part, width = value if isinstance(value, Ahead) else (value, 0)
        places.append(Place(up, classes, width))
        values.append(part)
    weights = [layer.weight for layer in every]
    dtype, device = weights[0].dtype, weights[0].device.type
    if dtype == torch.float32 and torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    form = _Form(places, len(layers), [layer.out_features for layer in heads], rectified, dtype)
    found = _Perceptron.apply(form, *values, *weights, *(layer.bias for layer in every))  # type: ignore[no-untyped-call]
    return (found,) if isinstance(found, Tensor) else found


class _Perceptron(torch.autograd.Function):
    """Values of the inputs, then weights and biases of the layers and heads: keeps the inputs, the weights and what is
    rectified."""

    @staticmethod
    def forward(ctx: Any, form: _Form, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        inputs, each = len(form.places), form.layers + len(form.heads)
        weights = _with_heads(tensors[inputs : inputs + each], form)
        biases = _with_heads(tensors[inputs + each :], form)
        groups = levelled(form.places, tensors[:inputs], form.dtype)
        h = first(groups, weights[0], biases[0])
        lead, hidden = h.shape[:-1], []
        h = h.flatten(0, -2)
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            hidden.append(h.relu_())
            h = F.linear(h, weight, bias)
        if form.rectified:
            hidden.append(h.relu_())
        values = [value for group in groups for value in group.values]
        ctx.save_for_backward(*weights, *hidden, *values)
        for group in groups:
            group.values.clear()
        ctx.form, ctx.groups, ctx.lead, ctx.kept = form, groups, lead, len(hidden)
        ctx.dtypes = [t.dtype for t in tensors[: inputs + 1]]
        if not form.heads:
            return h.view(*lead, -1)
        h = h.to(tensors[inputs].dtype).view(*lead, -1)
        return h if len(form.heads) == 1 else h.split(form.heads, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        form, needed, inputs = ctx.form, ctx.needs_input_grad[1:], len(ctx.form.places)
        saved, last = ctx.saved_tensors, form.layers + (len(form.heads) > 0)
        weights, hidden, values = saved[:last], saved[last : last + ctx.kept], saved[last + ctx.kept :]
        trained = _trained(needed[inputs:], form)
        of_weights: list[Tensor | None] = [None] * last
        of_biases: list[Tensor | None] = [None] * last
        g = gradients[0] if len(gradients) == 1 else torch.cat(gradients, -1)
        g = g.reshape(-1, g.shape[-1]).to(form.dtype)
        if form.rectified:
            g = _threshold(g, hidden[-1], 0)
        for i in range(last - 1, 0, -1):
            if trained[i]:
                of_weights[i], of_biases[i] = torch.mm(g.t(), hidden[i - 1]), g.sum(0)
            g = _masked(torch.mm(g, weights[i]), hidden[i - 1])
        of_values, of_weights[0], of_biases[0] = first_backward(
            ctx.groups, iter(values), weights[0], g.view(*ctx.lead, -1), needed[:inputs], trained[0]
        )
        *dtypes, trained_in = ctx.dtypes
        of_trained = (*of_weights, *of_biases)
        if trained_in != form.dtype:
            of_trained = tuple(t if t is None else t.to(trained_in) for t in of_trained)
        of_values = [t if t is None else t.to(d) for t, d in zip(of_values, dtypes, strict=True)]
        return None, *of_values, *_without_heads(of_trained[:last], form), *_without_heads(of_trained[last:], form)


def _masked(g: Tensor, rectified: Tensor) -> Tensor:
    """The gradient before a ReLU, in the place of that behind it; not so in two bytes, where that takes twice as long."""
    in_place = g.dtype.itemsize > 2
    masked: Tensor = _threshold_out(g, rectified, 0, grad_input=g) if in_place else _threshold(g, rectified, 0)
    return masked


def _with_heads(tensors: tuple[Tensor, ...], form: _Form) -> list[Tensor]:
    """The weights or biases of the layers, and of all heads as one, in the dtype that they are computed in."""
    found = list(tensors[: form.layers])
    if form.heads:
        found.append(torch.cat(tensors[form.layers :]) if len(form.heads) > 1 else tensors[-1])
    return found if found[0].dtype == form.dtype else [t.to(form.dtype) for t in found]


def _without_heads(found: Sequence[Tensor | None], form: _Form) -> Sequence[Tensor | None]:
    """The opposite, of gradients."""
    if len(form.heads) <= 1:
        return found
    of_heads = found[-1]
    return *found[:-1], *([None] * len(form.heads) if of_heads is None else of_heads.split(form.heads))


def _trained(needed: Sequence[bool], form: _Form) -> list[bool]:
    """Whether a layer's weight or bias needs a gradient; heads are one layer. `needed`: of the weights, then the biases."""
    half = len(needed) // 2
    each = [a or b for a, b in zip(needed[:half], needed[half:], strict=True)]
    return [*each[: form.layers], any(each[form.layers :])] if form.heads else each
