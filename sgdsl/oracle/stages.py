"""Stages of networks from their description in language.md, section 3, on plain [N, …] tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir
from sgdsl.oracle.inputs import own_copy

MAPS = ("conv", "resnet")  # what reads maps
EPSILON = 1e-5  # torch's, of a BatchNorm
ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "relu": torch.relu,
    "silu": functional.silu,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """Weight and bias; `mean` and `variance`: the running statistics of a BatchNorm."""

    weight: Tensor
    bias: Tensor
    mean: Tensor | None = None
    variance: Tensor | None = None

    def of(self, copies: Sequence[ir.Range]) -> Layer:
        """The layer of a copy that has weights of its own, stacked with those of the others."""
        mean, variance = (None if t is None else own_copy(t, copies) for t in (self.mean, self.variance))
        return Layer(own_copy(self.weight, copies), own_copy(self.bias, copies), mean, variance)

    def linear(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.weight, self.bias)


Layers = Iterator[Layer]


def run_stage(stage: ir.Stage, hidden: Tensor, aside: list[Tensor], layers: Layers) -> Tensor:
    """`hidden` [N, width] or a map [N, c, h, w] through one stage; `aside` waits for the first stage that reads no map, and
    joins there behind the flattened map. `layers`: in order."""
    if stage.kind not in MAPS:
        hidden = _join([hidden.flatten(1), *aside])
        aside.clear()
    sizes = stage.sizes
    if stage.kind == "deconv":
        hidden = next(layers).linear(hidden)
        hidden = _after(stage, hidden.reshape(-1, sizes[0], *_side(stage, len(sizes))), layers)
        for done in range(1, len(sizes)):
            hidden = _after(stage, up(stage, hidden, len(sizes) - done, next(layers)), layers)
        return hidden
    if stage.kind == "embed":
        table = next(layers).weight
        return (hidden.reshape(len(hidden), -1, len(table)) @ table).flatten(1)
    for _ in sizes:
        if stage.kind == "resnet":
            hidden = _block(stage, hidden, layers)
            continue
        layer = next(layers)
        if stage.kind == "conv":
            hidden = functional.conv2d(hidden, layer.weight, layer.bias, stride=2, padding=1)
        else:
            hidden = layer.linear(hidden)
        hidden = hidden if stage.kind == "linear" else _after(stage, hidden, layers)
    return hidden


def _block(stage: ir.Stage, hidden: Tensor, layers: Layers) -> Tensor:
    """Two convolutions, of kernel 4 and stride 2 and of kernel 3, and a shortcut of kernel and stride 2, added before the last
    activation."""
    first = next(layers)
    inner = _after(stage, functional.conv2d(hidden, first.weight, first.bias, stride=2, padding=1), layers)
    second = next(layers)
    inner = _normed(stage, functional.conv2d(inner, second.weight, second.bias, padding=1), layers)
    short = next(layers)
    shortcut = functional.conv2d(hidden, short.weight, short.bias, stride=2)
    return ACTS[str(dict(stage.options).get("act", "relu"))](inner + shortcut)


def up(stage: ir.Stage, hidden: Tensor, halvings: int, layer: Layer) -> Tensor:
    """One transposed layer of a deconv, to the sides that `halvings` halvings (floors) of the output leave."""
    wanted = _side(stage, halvings)
    full = functional.conv_transpose2d(hidden, layer.weight, layer.bias, stride=2, padding=1, output_padding=1)
    return full[..., : wanted[0], : wanted[1]]


def join_maps(maps: list[Tensor]) -> Tensor:
    """Maps of one size side by side in their channels."""
    return _join(maps)


def _side(stage: ir.Stage, halvings: int) -> tuple[int, int]:
    _, height, width = stage.output
    return height // 2**halvings, width // 2**halvings


def _after(stage: ir.Stage, hidden: Tensor, layers: Layers) -> Tensor:
    """The norm, then the activation; dropout is off."""
    return ACTS[str(dict(stage.options).get("act", "relu"))](_normed(stage, hidden, layers))


def _normed(stage: ir.Stage, hidden: Tensor, layers: Layers) -> Tensor:
    """norm = layer: over features (a map: over channels and places, scaled by channel); norm = batch: by its running
    statistics."""
    norm = dict(stage.options).get("norm", "none")
    if norm != "none":
        layer = next(layers)
        shape = (-1, *[1] * (hidden.dim() - 2))
        if norm == "layer":
            hidden = functional.layer_norm(hidden, hidden.shape[1:])
        else:
            assert norm == "batch", f"the oracle has no norm = {norm}"
            assert layer.mean is not None
            assert layer.variance is not None
            hidden = (hidden - layer.mean.reshape(shape)) / (layer.variance.reshape(shape) + EPSILON).sqrt()
        hidden = hidden * layer.weight.reshape(shape) + layer.bias.reshape(shape)
    return hidden


def _join(parts: list[Tensor]) -> Tensor:
    rows = max(len(p) for p in parts)
    return torch.cat([p.expand(rows, *p.shape[1:]) for p in parts], 1)
