"""Libraries beside the emitted step of a loop: copies, rows and weights come in, contestants go out."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from benchmarks.peers import Contestant

Kind = Literal["sequence", "plate", "counting"]
Layers = list[tuple[np.ndarray, np.ndarray]]
CLASSES, FLOOR = 5, {"z": 1e-4, "x": 1e-2}  # of a scale
HEADS = ("loc", "scale", "logits")


@dataclass(frozen=True, slots=True)
class Loop:
    """`x` [rows, copies, 8], or of canvases [rows, 1, 50, 50]; `nets[factor]`: weight [out, in, …] and bias of each layer, the
    heads in one; `gru`: its four arrays, in torch's order; `prior`: the logits of c. A sequence is models/loops/dkf.sgm, a plate
    benchmarks/loops.py's, the counting model models/loops/multi_mnist.sgm."""

    kind: Kind
    copies: int
    x: np.ndarray
    nets: dict[str, Layers]
    gru: tuple[np.ndarray, ...] = ()
    prior: np.ndarray | None = None


def loop_of(kind: Kind, copies: int, x: np.ndarray, state: dict[str, np.ndarray]) -> Loop:
    """From the weights of the emitted model: factors by side and node, of a sequence's z `first` and `next`; those of the digit
    that a canvas is made of stand among them."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, value in state.items():
        factor, _, rest = name.removeprefix("digit.").partition(".")
        factor = re.sub(r"_t_2_\d+$", "_next", re.sub(r"_1$", "_first", factor))
        found.setdefault(factor, {})[rest] = value
    gru = tuple(found.pop("h").values()) if kind == "sequence" else ()
    prior = found.pop("p_c", {}).get("logits")
    return Loop(kind, copies, x, {factor: list(_layers(values)) for factor, values in found.items()}, gru, prior)


def _layers(values: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    names = [n.removesuffix(".weight") for n in values if n.endswith(".weight")]
    yield from ((values[f"{n}.weight"], values[f"{n}.bias"]) for n in names if n not in HEADS)
    if heads := [n for n in names if n in HEADS]:
        yield (
            np.concatenate([values[f"{n}.weight"] for n in heads]),
            np.concatenate([values[f"{n}.bias"] for n in heads]),
        )


PEERS = {"Pyro": ("by_pyro", "pyro"), "NumPyro, jit": ("by_numpyro", "numpyro")}


def missing() -> list[str]:
    """Those whose library is not installed."""
    return [title for title, (_, needs) in PEERS.items() if not find_spec(needs)]


def contestants(loop: Loop) -> dict[str, Contestant]:
    """Those whose library is installed."""
    folder = f"{__name__}.counting" if loop.kind == "counting" else __name__
    there = {title: module for title, (module, _) in PEERS.items() if title not in missing()}
    return {title: importlib.import_module(f"{folder}.{module}").build(loop) for title, module in there.items()}
