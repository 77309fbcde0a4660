"""Inputs of layers as text: what a dense layer, a conv or a head reads, and the calls that apply them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgdsl.backend.layers import Layer
from sgdsl.middle import ir

ELEMENTWISE = {
    "exp": "torch.exp", "log": "torch.log", "sqrt": "torch.sqrt", "abs": "torch.abs", "sigmoid": "torch.sigmoid",
    "tanh": "torch.tanh", "softplus": "F.softplus", "relu": "torch.relu", "square": "torch.square", "sin": "torch.sin",
    "cos": "torch.cos",
}  # fmt: skip
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


@dataclass(frozen=True, slots=True)
class Input:
    """A parent inside a method: its variable, its type, whether it comes relaxed (a vector of weights), and the index
    that lifts it to the method's level ("": it is there); `present`: the variable of a partial node's mask."""

    name: str
    type: ir.Type
    relaxed: bool = False
    up: str = ""
    present: str = ""

    @property
    def lifted(self) -> str:
        return f"lift({self.name}, {self.up})" if self.up else self.name


@dataclass(frozen=True, slots=True)
class Feature:
    """An input of a dense layer: `classes` > 0: an index to be looked up; `map`: its shape where it is one; `cast`: its
    dtype may not be the weights' (dense takes care of that); `by`: what put it apart by copy, "" where it stands on a level."""

    text: str
    width: int
    classes: int = 0
    up: str = ""
    map: ir.Shape = ()
    cast: bool = False
    by: str = ""

    @property
    def plain(self) -> bool:
        """Whether a layer can read it as it is."""
        return not (self.classes or self.up or self.cast)


def affine(layer: str, features: Sequence[Feature], fused: bool) -> str:
    """A linear layer on inputs that may stand on different levels. `fused`: each input's part is computed on its own
    level; else they are lifted and put together."""
    if len(features) == 1 and features[0].plain:
        return f"{layer}({flat(features[0])})"
    if not fused:
        return f"dense({layer}, {joined(features)}, 0) + {layer}.bias"
    return f"affine({layer}, {', '.join(map(part, features))})"


def applied(path: str, features: Sequence[Feature], start: int, stop: int, whole: bool, fused: bool) -> str:
    """Layers start … stop of a sequence; `fused`: the first is linear, and they are one function of several inputs."""
    if not fused:
        return called(path, flat(features[0]), start, stop, whole)
    bounds = "" if whole else f", start={start}, stop={stop}"
    return f"through({path}, {', '.join(map(part, features))}{bounds})"


def part(feature: Feature) -> str:
    """An input as `affine` and `through` read it."""
    if not (feature.up or feature.classes):
        return flat(feature)
    up = f", {feature.up}" if feature.up else ""
    return f"Read({flat(feature)}{up}{f', classes={feature.classes}' if feature.classes else ''})"


def flat(feature: Feature) -> str:
    return f"{feature.text}.flatten(-3)" if feature.map else feature.text


def lone(feature: Feature) -> str:
    text = f"one_hot({feature.text}, {feature.classes})" if feature.classes else flat(feature)
    return f"lift({text}, {feature.up})" if feature.up else text


def joined(features: Sequence[Feature]) -> str:
    """All of them side by side, on the method's level."""
    return f"joined({', '.join(map(lone, features))}, dim=-1)"


def sequential(run: Sequence[Layer]) -> str:
    return f"nn.Sequential({', '.join(layer.text for layer in run)})"


def called(path: str, value: str, start: int, stop: int, whole: bool) -> str:
    return f"{path}({value})" if whole else f"run({path}, {value}, {start}, {stop})"


def flat_value(text: str, rank: int) -> str:
    return f"{text}[..., None]" if rank == 0 else text if rank == 1 else f"{text}.flatten({-rank})"


def padded(text: str, expr: ir.Expr, rank: int) -> str:
    """Room in front for the event dimensions that the value lacks."""
    lacking = rank - len(expr.shape)
    return text if lacking == 0 or isinstance(expr, ir.Number) else f"pad({strip(text)}, {lacking})"


def strip(text: str) -> str:
    """Without the brackets around the whole."""
    if text.startswith("(") and text.endswith(")"):
        depth = 0
        for i, c in enumerate(text):
            depth += (c == "(") - (c == ")")
            if depth == 0:
                return text[1:-1] if i == len(text) - 1 else text
    return text


def size_of(shape: ir.Shape) -> str:
    """A shape as the argument of torch.zeros."""
    return sizes(shape) or "()"


def sizes(shape: ir.Shape) -> str:
    return ", ".join(map(str, shape))


def conv_output(run: Sequence[Layer], maps: Sequence[Feature], stop: int) -> tuple[int, ir.Shape]:
    """Width and shape of a map after the conv layers in run[:stop]."""
    _, h, w = maps[0].map
    channels = 0
    for layer in run[:stop]:
        if layer.kind == "map":
            channels = layer.width
            h, w = h // 2, w // 2
    return channels * h * w, (channels, h, w)


def after(run: Sequence[Layer], text: str) -> Feature:
    """What a dense run leaves: features of the last linear layer's width, or a map behind a deconv (not flattened)."""
    return Feature(text, next(r.width for r in reversed(run) if r.kind in ("linear", "recurrent")))
