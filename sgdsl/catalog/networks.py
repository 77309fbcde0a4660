"""The table of networks: a row is a name, its options, and one pure rule from an input's shape to the output's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from sgdsl.catalog.shapes import Misfit, Shape, written

Sizes = tuple[int, ...]
Reads = str

WIDEST = 1_000_000
MOST_WEIGHTS = 2**30


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option of a layer: one of `choices`, or a number in [low, high)."""

    name: str
    default: str | float
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """`reads`: "flat" (n,), "map" (c, h, w), "steps", each of (n,), or "class", values of a class. `rule` gives the output of
    (input, sizes); for a deconv it is the other way round: it gives the map that the first, linear layer makes, from the map
    wanted at the end."""

    name: str
    reads: Reads
    rule: Callable[[Shape, Sizes], Shape]
    options: tuple[OptionRow, ...] = ()
    bare: bool = False  # whether the name without sizes means something
    help: str = ""

    def option(self, name: str) -> OptionRow | None:
        return next((o for o in self.options if o.name == name), None)


def _dense(input: Shape, sizes: Sizes) -> Shape:
    return (sizes[-1],) if sizes else input


def _halved(input: Shape, sizes: Sizes) -> tuple[int, int]:
    """h and w after as many layers of stride 2: ⌊h/2ⁿ⌋. Raises Misfit where a side reaches 0."""
    _, h, w = input
    n = len(sizes)
    if not (h >> n and w >> n):
        layers = f"{n} layer{'s' if n > 1 else ''} of stride 2"
        raise Misfit(f"{layers} leave{'' if n > 1 else 's'} nothing of {h} × {w}: a side reaches 0")
    return h >> n, w >> n


def _conv(input: Shape, sizes: Sizes) -> Shape:
    if len(input) != 3:
        raise Misfit(f"what reads a map reads [c, h, w], not {written(input)}")
    return (sizes[-1], *_halved(input, sizes))


def _deconv(output: Shape, sizes: Sizes) -> Shape:
    if len(output) != 3:
        raise Misfit(f"a deconv makes a map [c, h, w], not {written(output)}")
    return (sizes[0], *_halved(output, sizes))


def _recurrent(input: Shape, sizes: Sizes) -> Shape:
    """Of the state that a sequence is read to."""
    if len(sizes) != 1:
        raise Misfit(f"a recurrent network has one size, not {len(sizes)}")
    return sizes


def state_size(kind: str, size: int) -> int:
    """The width of a recurrent network's state: of an lstm its hidden values, with its cells behind them."""
    return 2 * size if kind == "lstm" else size


ACTS = ("relu", "silu", "tanh", "elu", "gelu", "softplus", "sigmoid", "leaky_relu")
_LAYER = (
    OptionRow("norm", "none", ("none", "batch", "layer")),
    OptionRow("act", "relu", ACTS),
    OptionRow("dropout", 0.0, (), 0.0, 1.0),
)
_ROWS = (
    NetworkRow("linear", "flat", _dense, (), True, "linear layers; without sizes the head alone"),
    NetworkRow("mlp", "flat", _dense, _LAYER, False, "linear layers, each followed by norm, act, dropout"),
    NetworkRow("conv", "map", _conv, _LAYER, False, "layers of kernel 4, stride 2, padding 1"),
    NetworkRow("deconv", "flat", _deconv, _LAYER, False, "the mirror of conv, last before a head"),
    NetworkRow("resnet", "map", _conv, _LAYER, False, "residual blocks of the shapes of conv's layers"),
    NetworkRow("embed", "class", _dense, (), False, "a vector for each class of a node, learned, first in a network"),
    NetworkRow(
        "gru", "steps", _recurrent, (), False, "the last state of a sequence; of inputs and a state the next state"
    ),
    NetworkRow(
        "lstm", "steps", _recurrent, (), False, "the last hidden values of a sequence; of inputs and a state the next"
    ),
)

NETWORKS: dict[str, NetworkRow] = {row.name: row for row in _ROWS}
SOURCES: dict[str, str] = {
    "table": "one row for each combination of the class, binary and count(a, b) parents",
    "learned": "a free tensor of the parameter's shape; learned(1) is one number for all cells",
}


def weights(kind: str, input: Shape, sizes: Sizes) -> int:
    """How many weights the largest layer of a stage holds; for a deconv, of its transposed layers before the head."""
    match kind:
        case "conv":
            return max(16 * a * b for a, b in pairwise((input[0], *sizes)))
        case "resnet":
            return max(max(16 * a * b, 9 * b * b) for a, b in pairwise((input[0], *sizes)))
        case "deconv":
            return max((16 * a * b for a, b in pairwise(sizes)), default=0)
        case "gru" | "lstm":
            gates = 4 if kind == "lstm" else 3
            return max(gates * sizes[-1] * n for n in (*input, *sizes))
        case _:
            return max((a * b for a, b in pairwise((*input, *sizes))), default=0)
