"""A hand-written model of three finite nodes: factors are tables of logits, and every mass can be enumerated."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Parameters, Queries, Values

SIZES = {"x": 4, "y": 3, "z": 5}
ROLES = {"x": "observed", "y": "supervised", "z": "latent"}
Graph = Mapping[str, tuple[str, ...]]
Assignment = dict[str, int]
P_CHAIN: Graph = {"z": (), "y": ("z",), "x": ("y", "z")}
P_ROOTS: Graph = {"y": (), "z": ("y",), "x": ("y", "z")}
Q_LABEL_LAST: Graph = {"z": ("x",), "y": ("x", "z")}
Q_LABEL_FIRST: Graph = {"y": ("x",), "z": ("x", "y")}


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


class Tables(Queries):
    """x, y, z finite, every factor a table of logits [parents …, values]; y counts from 2."""

    FIRST = 2

    def __init__(self, p: Graph, q: Graph) -> None:
        super().__init__()
        self.graphs = {"p": p, "q": q}
        self.NODES = {n: self.info(n, p.get(n, ()), q.get(n, ())) for n in SIZES}  # type: ignore[misc]
        self.ORDER_P, self.ORDER_Q = tuple(p), tuple(q)  # type: ignore[misc]
        generator = torch.Generator().manual_seed(4)
        self.tables = {
            (side, n): torch.randn(*(SIZES[a] for a in parents), SIZES[n], generator=generator, dtype=torch.float64)
            for side, graph in self.graphs.items()
            for n, parents in graph.items()
        }

    def info(self, node: str, p: tuple[str, ...], q: tuple[str, ...]) -> NodeInfo:
        support, sizes = ("range", (2, 4)) if node == "y" else ("class", (SIZES[node],))
        family_q = "" if node == "x" else "categorical"
        return NodeInfo(ROLES[node], support, sizes, (), (), "categorical", family_q, "", p, q)

    def parameters_p(self, node: str, v: Values) -> Parameters:
        return self.parameters_of("p", node, v)

    def parameters_q(self, node: str, v: Values) -> Parameters:
        return self.parameters_of("q", node, v)

    def parameters_of(self, side: str, node: str, v: Values) -> Parameters:
        parents = self.graphs[side][node]
        index = tuple(v[a] - (self.FIRST if a == "y" else 0) for a in parents)
        return (self.tables[side, node][index] if index else self.tables[side, node][None, None],)

    # --- exact, over indices from 0 ------------------------------------------------------------------------

    def mass(self, side: str, full: Assignment, nodes: tuple[str, ...]) -> float:
        """The product of factors of some nodes at one assignment."""
        result = 1.0
        for n in nodes:
            row = self.tables[side, n][tuple(full[a] for a in self.graphs[side][n])]
            result *= float(row.softmax(-1)[full[n]])
        return result

    def joint(self, side: str, held: Assignment) -> dict[tuple[int, ...], float]:
        """Mass of every assignment (x, y, z) that agrees with what is held."""
        order = tuple(self.graphs[side])
        found = {}
        for values in itertools.product(*(range(SIZES[n]) for n in SIZES)):
            full = dict(zip(SIZES, values, strict=True))
            if all(full[n] == v for n, v in held.items()):
                found[values] = self.mass(side, full, order)
        return found


def marginal(joint: Mapping[tuple[int, ...], float], node: str) -> Tensor:
    """Normalised probabilities of one node."""
    at = list(SIZES).index(node)
    mass = torch.zeros(SIZES[node], dtype=torch.float64)
    for values, m in joint.items():
        mass[values[at]] += m
    return mass / mass.sum()
