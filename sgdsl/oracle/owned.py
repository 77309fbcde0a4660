"""A state_dict comes in; what a let or factor owns of it, layers and free tensors in the order in which they are written, goes
out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.oracle.stages import Layer, Layers


@dataclass(frozen=True, slots=True)
class Owned:
    """The weights that a let's or a factor's expressions own, consumed in the order in which they are written."""

    layers: Layers
    free: Iterator[Tensor]


def owned(state: Mapping[str, Tensor], prefix: str) -> Owned:
    """Layers with a bias (a gru is two), embeddings, and free tensors under names that begin so, in the state_dict's order."""
    layers = (
        Layer(state[name], torch.zeros(1)) if name.endswith(".table") else layer_of(state, *name.rsplit("weight", 1))
        for name in state
        if name.startswith(prefix) and re.fullmatch(r"weight(_[ih]h(_l0)?)?|table", name.split(".")[-1])
        if name.endswith(".table") or "bias".join(name.rsplit("weight", 1)) in state
    )
    free = (
        tensor
        for name, tensor in state.items()
        if name.startswith(prefix) and re.fullmatch(r"weight\d*", name.split(".")[-1])
        if "bias".join(name.rsplit("weight", 1)) not in state
    )
    return Owned(layers, free)


def layer_of(state: Mapping[str, Tensor], name: str, suffix: str = "") -> Layer:
    """`name`: with the dot behind it; `suffix`: of its weight and bias."""
    running = (state.get(f"{name}running_mean"), state.get(f"{name}running_var"))
    return Layer(state[f"{name}weight{suffix}"], state[f"{name}bias{suffix}"], *running)
