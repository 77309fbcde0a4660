"""Constructors of layers: stages of a network come in, the text of their torch modules goes out, in order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sgdsl.middle import ir

ACTIVATIONS = {
    "relu": "nn.ReLU()", "silu": "nn.SiLU()", "tanh": "nn.Tanh()", "elu": "nn.ELU()", "gelu": "nn.GELU()",
    "softplus": "nn.Softplus()", "sigmoid": "nn.Sigmoid()", "leaky_relu": "nn.LeakyReLU()",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """kind: "linear" reads flat features (and may be split by input), "map" a map, "recurrent" the steps of a sequence, "cell"
    one step and a state, "embed" values of classes; "flatten", "other" what stands before. `width`: the features or channels
    that it makes."""

    text: str
    kind: str
    width: int = 0


def layers(stages: Iterable[ir.Stage], copies: Sequence[int] = ()) -> list[Layer]:
    """The layers of consecutive stages; a conv is flattened where something flat follows it in the same sequence. `copies`:
    how many there are of each loop whose copies have weights of their own."""
    found: list[Layer] = []
    done = list(stages)
    for i, stage in enumerate(done):
        assert not copies or stage.kind in ("linear", "mlp"), f"no {stage.kind} has copies"
        match stage.kind:
            case "conv" | "resnet":
                found += _conv(stage) if stage.kind == "conv" else _resnet(stage)
                if i + 1 < len(done) and done[i + 1].kind not in ("conv", "resnet"):
                    found.append(Layer("nn.Flatten(-3)", "flatten"))
            case "deconv":
                found += _deconv(stage)
            case "gru" | "lstm":
                found.append(_recurrent(stage))
            case "embed":
                found.append(
                    Layer(f"Embedding({dict(stage.options)['classes']}, {stage.sizes[0]})", "embed", stage.output[0])
                )
            case _:
                found += _dense(stage, copies)
    return found


def recurrence(parts: Iterable[ir.Part], nets: Mapping[str, Sequence[ir.Part]]) -> str:
    """How the recurrent stage among the parts and the nets they name works: "sequence", "step", "" where there is none."""
    for part in parts:
        match part:
            case ir.NetUse():
                mode = recurrence(nets[part.net], nets)
            case ir.Stage():
                mode = str(dict(part.options).get("mode", ""))
        if mode:
            return mode
    return ""


def first_kind(parts: Sequence[ir.Part], nets: Mapping[str, Sequence[ir.Part]]) -> str:
    """The kind of the first stage, in a net that stands first too; "" for none."""
    if not parts:
        return ""
    first = parts[0]
    return first_kind(nets[first.net], nets) if isinstance(first, ir.NetUse) else first.kind


def runs_of(parts: Iterable[ir.Part]) -> list[list[ir.Stage] | str]:
    """Consecutive stages together, and the names of nets between them."""
    runs: list[list[ir.Stage] | str] = []
    for part in parts:
        if isinstance(part, ir.NetUse):
            runs.append(part.net)
        elif runs and isinstance(runs[-1], list):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def before_cells(run: Sequence[Layer]) -> list[list[Layer]]:
    """The layers cut where a cell comes, which reads a state too."""
    cuts = [i for i, layer in enumerate(run) if layer.kind == "cell" and i]
    return [list(run[a:b]) for a, b in pairwise((0, *cuts, len(run)))]


def _after(stage: ir.Stage, norm: str, width: int, copies: Sequence[int] = ()) -> list[Layer]:
    """Normalisation, activation, dropout behind a layer."""
    options = dict(stage.options)
    found = []
    match options.get("norm", "none"):
        case "batch":
            assert not copies, "no norm = batch has copies"
            found.append(Layer(f"BatchNorm{norm}({width})", "other"))
        case "layer" if copies:
            found.append(Layer(f"StackedLayerNorm({numbers((width, *copies))})", "other"))
        case "layer":
            found.append(Layer(f"LayerNorm2d({width})" if norm == "2d" else f"nn.LayerNorm({width})", "other"))
    if stage.kind != "linear":
        found.append(Layer(ACTIVATIONS[str(options["act"])], "other"))
    if options.get("dropout"):
        found.append(Layer(f"nn.Dropout({options['dropout']!r})", "other"))
    return found


def linear(inputs: int, size: int, copies: Sequence[int] = ()) -> str:
    """A linear layer, or one for each copy."""
    return f"StackedLinear({numbers((inputs, size, *copies))})" if copies else f"nn.Linear({inputs}, {size})"


def numbers(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def _dense(stage: ir.Stage, copies: Sequence[int]) -> list[Layer]:
    found, width = [], math.prod(stage.input)
    for size in stage.sizes:
        found += [Layer(linear(width, size, copies), "linear", size), *_after(stage, "1d", size, copies)]
        width = size
    return found


def _recurrent(stage: ir.Stage) -> Layer:
    (width,), (size,), (made,) = stage.input, stage.sizes, stage.output
    if dict(stage.options)["mode"] == "step":
        return Layer(f"{stage.kind.upper()}Cell({width}, {size})", "cell", made)
    return Layer(f"{stage.kind.upper()}({width}, {size})", "recurrent", made)


def _conv(stage: ir.Stage) -> list[Layer]:
    found, channels = [], stage.input[0]
    for size in stage.sizes:
        found += [Layer(f"Conv2d({channels}, {size}, 4, 2, 1)", "map", size), *_after(stage, "2d", size)]
        channels = size
    return found


def _resnet(stage: ir.Stage) -> list[Layer]:
    """Each block in one layer: two convolutions beside a shortcut (He et al. 2016), what follows their sum behind it."""
    found, channels = [], stage.input[0]
    inner = replace(stage, options=tuple((n, v) for n, v in stage.options if n != "dropout"))
    norm = replace(inner, kind="linear")  # without an activation
    for size in stage.sizes:
        first, second = f"Conv2d({channels}, {size}, 4, 2, 1)", f"Conv2d({size}, {size}, 3, 1, 1)"
        body = [
            first,
            *(a.text for a in _after(inner, "2d", size)),
            second,
            *(a.text for a in _after(norm, "2d", size)),
        ]
        block = f"Residual(nn.Sequential({', '.join(body)}), Conv2d({channels}, {size}, 2, 2))"
        bare = replace(stage, options=tuple((n, v) for n, v in stage.options if n != "norm"))
        found += [Layer(block, "map", size), *_after(bare, "2d", size)]
        channels = size
    return found


def _deconv(stage: ir.Stage) -> list[Layer]:
    """All but the last transposed layer, which is the head."""
    first, sides = stage.sizes[0], deconv_sides(stage)
    h, w = sides[0]
    found = [Layer(f"nn.Linear({math.prod(stage.input)}, {first * h * w})", "linear", first * h * w)]
    found += [Layer(f"nn.Unflatten(-1, ({first}, {h}, {w}))", "other"), *_after(stage, "2d", first)]
    for i, size in enumerate(stage.sizes[1:]):
        found += [
            Layer(_transposed(stage.sizes[i], size, sides[i], sides[i + 1]), "map", size),
            *_after(stage, "2d", size),
        ]
    return found


def deconv_sides(stage: ir.Stage) -> list[tuple[int, int]]:
    """Heights and widths from the linear layer's map to the output's: ⌊h/2ⁿ⌋, …, h."""
    _, h, w = stage.output
    return [(h >> k, w >> k) for k in range(len(stage.sizes), -1, -1)]


def _transposed(a: int, b: int, before: tuple[int, int], after: tuple[int, int]) -> str:
    """kernel 4, stride 2, padding 1, and the parity lost by halving."""
    lost = (after[0] - 2 * before[0], after[1] - 2 * before[1])
    return f"ConvTranspose2d({a}, {b}, 4, 2, 1{f', output_padding={lost}' if any(lost) else ''})"


def deconv_head(stage: ir.Stage, channels: int) -> str:
    """The last transposed layer, to the channels of a parameter."""
    sides = deconv_sides(stage)
    return _transposed(stage.sizes[-1], channels, sides[-2], sides[-1])
