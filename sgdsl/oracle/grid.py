"""One row of data, its unknown nodes at every joint outcome: log p, and log q of every node, as flat tensors [G].

A finite node's outcomes are its values; a Delta has the one that it is. A Normal node's outcomes are Gauss-Hermite points
of its noise, so that expectations over it are quadrature; their probability is the point's weight, while its density is
that of the value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.interpret import Reader

POINTS = 12
LIMIT = 2_000_000


@dataclass(frozen=True, slots=True)
class Grid:
    """`sizes[node]`: outcomes of each unknown node, in q's order, the last fastest in G; `known`: the labels' nodes;
    `log_p` [G] = log p(everything); `log_q[node]` [G], log density; `log_draw[node]` [G], log probability of the outcome."""

    sizes: Mapping[str, int]
    known: tuple[str, ...]
    log_p: Tensor
    log_q: Mapping[str, Tensor]
    log_draw: Mapping[str, Tensor]

    @property
    def log_r(self) -> Tensor:
        """log density of what is unknown, [G]."""
        return sum((self.log_q[n] for n in self.sizes), self.log_p.new_zeros(()))

    @property
    def log_w(self) -> Tensor:
        """log q of the labels given their parents, [G]."""
        return sum((self.log_q[n] for n in self.known), torch.zeros_like(self.log_p))

    @property
    def log_proposal(self) -> Tensor:
        """log probability of the joint outcome, [G]."""
        return sum((self.log_draw[n] for n in self.sizes), torch.zeros_like(self.log_p))


def parents(model: ir.Model, names: tuple[str, ...]) -> set[str]:
    """The nodes that nodes and lets stand for, lets contracted."""
    lets = {let.name: let for let in model.lets}
    found: set[str] = set()
    for name in names:
        found |= parents(model, _references(lets[name].value)) if name in lets else {name}
    return found


def _references(expr: object) -> tuple[str, ...]:
    """Names in an expression, found by walking its frozen fields."""
    if isinstance(expr, ir.Ref):
        return (expr.name,)
    if isinstance(expr, tuple):
        return tuple(n for e in expr for n in _references(e))
    inner = [getattr(expr, k) for k in ("args", "items", "network", "inputs") if hasattr(expr, k)]
    return tuple(n for e in inner if not callable(e) for n in _references(e))


def q_order(model: ir.Model) -> tuple[str, ...]:
    """The inferred nodes, each after its parents."""
    order: list[str] = []
    todo = {f.node: parents(model, f.given) for f in model.q}
    while todo:
        ready = [n for n, above in todo.items() if not above & todo.keys()]
        assert ready, "q has a cycle"
        order += ready
        todo = {n: above for n, above in todo.items() if n not in ready}
    return tuple(order)


def hermite(points: int = POINTS) -> tuple[Tensor, Tensor]:
    """Points of a standard normal and their log weights, [points] each."""
    at, weight = numpy.polynomial.hermite_e.hermegauss(points)
    return torch.tensor(at), torch.tensor(numpy.log(weight / math.sqrt(2 * math.pi)))


def finite_values(kind: ir.Type) -> Tensor:
    """Every value of a finite node, [values ** cells, *event], the last cell fastest."""
    assert kind.values is not None
    axis = torch.arange(kind.first, kind.first + kind.values)
    return torch.cartesian_prod(*[axis] * kind.cells).reshape(-1, *kind.shape).double()


def product(sizes: list[int]) -> Tensor:
    """All digits, [∏ sizes, len(sizes)], the last fastest."""
    assert math.prod(sizes) <= LIMIT, "too many outcomes"
    if not sizes:
        return torch.zeros(1, 0, dtype=torch.long)
    return torch.cartesian_prod(*(torch.arange(s) for s in sizes)).reshape(-1, len(sizes))


def make_grid(reader: Reader, row: Mapping[str, Tensor], known: tuple[str, ...], points: int = POINTS) -> Grid:
    """`row[node]` [*event]: the observed and given nodes, and the labels in `known` (what else it holds is not read)."""
    model = reader.model
    order = q_order(model)
    unknown = [n for n in order if n not in known]
    sizes = {n: _outcomes(model, n, points) for n in unknown}
    digits = product(list(sizes.values()))
    values = {n.name: row[n.name][None].double() for n in model.nodes if n.role in ("observed", "given")}
    log_q, log_draw = {}, {}
    for name in order:
        factor = model.factor("q", name)
        if name in known:
            values[name] = row[name][None].double()
            log_q[name] = reader.log_prob(factor, values)
        else:
            digit = digits[:, unknown.index(name)]
            values[name], log_weight = _outcome(reader, factor, values, digit, points)
            log_q[name] = reader.log_prob(factor, values) if factor.family != "Delta" else torch.zeros(1).double()
            log_draw[name] = log_q[name] if log_weight is None else log_weight
    total = len(digits)
    log_p = sum((reader.log_prob(f, values) for f in model.p), torch.zeros(total, dtype=torch.float64))
    spread = [{n: t.expand(total) for n, t in found.items()} for found in (log_q, log_draw)]
    return Grid(sizes, tuple(n for n in order if n in known), log_p, spread[0], spread[1])


def _outcomes(model: ir.Model, name: str, points: int) -> int:
    kind = model.node(name).type
    if model.factor("q", name).family == "Delta":
        return 1
    if kind.cardinality is not None:
        return kind.cardinality
    assert kind.support == "real", "only finite and real nodes can be unknown here"
    return int(points**kind.cells)


def _outcome(
    reader: Reader, factor: ir.Factor, values: Mapping[str, Tensor], digit: Tensor, points: int
) -> tuple[Tensor, Tensor | None]:
    """The node's value at each joint outcome, [G, *event], and the log weight of its noise where it is real."""
    kind = reader.model.node(factor.node).type
    if factor.family == "Delta":
        return reader.parameters(factor, values)["value"], None
    if kind.cardinality is not None:
        return finite_values(kind)[digit], None
    assert factor.family == "Normal"
    at, log_weight = hermite(points)
    parameters = reader.parameters(factor, values)
    each = torch.stack([digit // points**k % points for k in reversed(range(kind.cells))], -1)
    noise = at[each].reshape(-1, *kind.shape)
    return parameters["loc"] + parameters["scale"] * noise, log_weight[each].sum(-1)
