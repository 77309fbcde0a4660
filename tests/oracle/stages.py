"""Stages of networks from their description in language.md, section 3, on plain [N, …] tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir

ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "relu": torch.relu,
    "silu": functional.silu,
}
Layers = Iterator[tuple[Tensor, Tensor]]


def run_stage(stage: ir.Stage, hidden: Tensor, aside: list[Tensor], layers: Layers) -> Tensor:
    """`hidden` [N, width] or a map [N, c, h, w] through one stage; `aside` waits for the first stage that is no conv, and
    joins there behind the flattened map. `layers`: (weight, bias) in order."""
    if stage.kind != "conv":
        hidden = _join([hidden.flatten(1), *aside])
        aside.clear()
    sizes = stage.sizes
    if stage.kind == "deconv":
        hidden = functional.linear(hidden, *next(layers))
        hidden = _after(stage, hidden.reshape(-1, sizes[0], *_side(stage, len(sizes))), layers)
        for done in range(1, len(sizes)):
            hidden = _after(stage, up(stage, hidden, len(sizes) - done, *next(layers)), layers)
        return hidden
    for _ in sizes:
        weight, bias = next(layers)
        if stage.kind == "conv":
            hidden = functional.conv2d(hidden, weight, bias, stride=2, padding=1)
        else:
            hidden = functional.linear(hidden, weight, bias)
        hidden = hidden if stage.kind == "linear" else _after(stage, hidden, layers)
    return hidden


def up(stage: ir.Stage, hidden: Tensor, halvings: int, weight: Tensor, bias: Tensor) -> Tensor:
    """One transposed layer of a deconv, to the sides that `halvings` halvings (floors) of the output leave."""
    wanted = _side(stage, halvings)
    full = functional.conv_transpose2d(hidden, weight, bias, stride=2, padding=1, output_padding=1)
    return full[..., : wanted[0], : wanted[1]]


def join_maps(maps: list[Tensor]) -> Tensor:
    """Maps of one size side by side in their channels."""
    return _join(maps)


def _side(stage: ir.Stage, halvings: int) -> tuple[int, int]:
    _, height, width = stage.output
    return height // 2**halvings, width // 2**halvings


def _after(stage: ir.Stage, hidden: Tensor, layers: Layers) -> Tensor:
    """The norm over features (a map: over channels and places, scaled by channel), then the activation."""
    options = dict(stage.options)
    if options.get("norm", "none") == "layer":
        weight, bias = next(layers)
        shape = (-1, *[1] * (hidden.dim() - 2))
        hidden = functional.layer_norm(hidden, hidden.shape[1:]) * weight.reshape(shape) + bias.reshape(shape)
    else:
        assert options.get("norm", "none") == "none", "the oracle has no BatchNorm"
    return ACTS[str(options.get("act", "relu"))](hidden)


def _join(parts: list[Tensor]) -> Tensor:
    rows = max(len(p) for p in parts)
    return torch.cat([p.expand(rows, *p.shape[1:]) for p in parts], 1)
