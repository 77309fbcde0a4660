"""Libraries beside the emitted step of a loop: copies, rows and weights come in, contestants go out."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from benchmarks.peers import Contestant

Kind = Literal["sequence", "plate"]
Layers = list[tuple[np.ndarray, np.ndarray]]
CLASSES, FLOOR = 5, {"z": 1e-4, "x": 1e-2}  # of a scale


@dataclass(frozen=True, slots=True)
class Loop:
    """`x` [rows, copies, 8]; `nets[factor]`: weight [out, in] and bias of each layer, the heads in one; `gru`: its four arrays,
    in torch's order; `prior`: the logits of c. A sequence is models/loops/dkf.sgm, a plate benchmarks/loops.py's."""

    kind: Kind
    copies: int
    x: np.ndarray
    nets: dict[str, Layers]
    gru: tuple[np.ndarray, ...] = ()
    prior: np.ndarray | None = None


def loop_of(kind: Kind, copies: int, x: np.ndarray, state: dict[str, np.ndarray]) -> Loop:
    """From the weights of the emitted model: factors by side and node, of a sequence's z `first` and `next`."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, value in state.items():
        factor, _, rest = name.partition(".")
        part = "first" if factor.endswith("_1") else "next" if "_t_2_" in factor else ""
        found.setdefault(f"{factor[:3]}{part and '_'}{part}", {})[rest] = value
    gru = tuple(found.pop("h").values()) if "h" in found else ()
    prior = found.pop("p_c", {}).get("logits")
    return Loop(kind, copies, x, {factor: list(_layers(values)) for factor, values in found.items()}, gru, prior)


def _layers(values: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    names = [n.removesuffix(".weight") for n in values if n.endswith(".weight")]
    trunk = [n for n in names if n.startswith("trunk.")]
    yield from ((values[f"{n}.weight"], values[f"{n}.bias"]) for n in trunk)
    heads = [n for n in names if n not in trunk]
    yield np.concatenate([values[f"{n}.weight"] for n in heads]), np.concatenate([values[f"{n}.bias"] for n in heads])


PEERS = {"Pyro": ("by_pyro", "pyro"), "NumPyro, jit": ("by_numpyro", "numpyro")}


def contestants(loop: Loop) -> dict[str, Contestant]:
    """Those whose library is installed."""
    there = {title: module for title, (module, needs) in PEERS.items() if find_spec(needs)}
    return {t: importlib.import_module(f"benchmarks.peers.loops.{m}").build(loop) for t, m in there.items()}
