"""Reads an ir.Model and a state_dict by name: values of nodes come in, each factor's parameters and log-probability go out.

Shares nothing with sgdsl.runtime or sgdsl.backend. Every tensor here is [N or 1, *event], N joint outcomes of one row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir

ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "relu": torch.relu,
    "silu": functional.silu,
    "square": torch.square,
    "sin": torch.sin,
    "cos": torch.cos,
}


@dataclass(frozen=True, slots=True)
class Owned:
    """The weights that a let's or a factor's expressions own, consumed in the order in which they are written."""

    layers: Iterator[tuple[Tensor, Tensor]]
    free: Iterator[Tensor]


@dataclass(frozen=True, slots=True)
class Reader:
    """One model with one set of weights."""

    model: ir.Model
    state: Mapping[str, Tensor]

    def owned(self, prefix: str) -> Owned:
        """Linear layers (weight, bias) and free tensors under names that begin so, in the order of the state_dict."""
        layers = (
            (weight, self.state[name.removesuffix("weight") + "bias"])
            for name, weight in self.state.items()
            if name.startswith(prefix) and name.removesuffix("weight") + "bias" in self.state
        )
        free = (
            tensor
            for name, tensor in self.state.items()
            if name.startswith(prefix) and re.fullmatch(r"weight\d*", name.split(".")[-1])
            if name.removesuffix("weight") + "bias" not in self.state
        )
        return Owned(layers, free)

    # --- expressions ------------------------------------------------------------------------------------------

    def value(self, expr: ir.Expr, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """The expression at `values`; its own networks and free tensors consume `owned`."""
        match expr:
            case ir.Number():
                return torch.tensor([expr.value], dtype=torch.float64)
            case ir.Ref():
                return values[expr.name] if expr.name in values else self.let(expr.name, values)
            case ir.Operation():
                return _operate(expr, [self.value(a, values, owned) for a in expr.args])
            case ir.Call():
                return _call(expr, [self.value(a, values, owned) for a in expr.args])
            case ir.Vector():
                items = [self.value(i, values, owned) for i in expr.items]
                return torch.stack(torch.broadcast_tensors(*items), dim=1)
            case ir.Apply():
                return self.network(expr.network, values, owned)
            case ir.Weight():
                return next(owned.free)[None]

    def let(self, name: str, values: Mapping[str, Tensor]) -> Tensor:
        """The value of a let, evaluated anew at each use."""
        return self.value(self.model.let(name).value, values, self.owned(f"{name}."))

    # --- networks ---------------------------------------------------------------------------------------------

    def network(self, network: ir.Network, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """[N, width] behind the last part."""
        parts = [self._input(expr, values, owned) for expr in network.inputs]
        rows = max(len(p) for p in parts)
        hidden = torch.cat([p.expand(rows, -1) for p in parts], -1)
        return self._parts(network.parts, hidden, owned)

    def _parts(self, parts: tuple[ir.Part, ...], hidden: Tensor, owned: Owned) -> Tensor:
        for part in parts:
            match part:
                case ir.NetUse():
                    net = next(n for n in self.model.nets if n.name == part.net)
                    hidden = self._parts(net.parts, hidden, self.owned(f"{part.net}."))
                case ir.Stage():
                    hidden = _stage(part, hidden, owned)
        return hidden

    def _input(self, expr: ir.Expr, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """[N or 1, width]: a class and a count(a, b) one-hot, a count log(1 + v), the rest themselves."""
        value = self.value(expr, values, owned)
        if isinstance(expr, ir.Ref) and expr.type.one_hot:
            assert expr.type.values is not None
            value = functional.one_hot(value.long() - expr.type.first, expr.type.values)
        elif isinstance(expr, ir.Ref) and expr.type.support == "count":
            value = value.double().log1p()
        return value.double().flatten(1) if value.dim() > 1 else value.double()[:, None]

    # --- factors ----------------------------------------------------------------------------------------------

    def parameters(self, factor: ir.Factor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The family's parameters [N or 1, *shape], in their domains, by the name the factor gives them."""
        prefix = f"{factor.side}_{factor.node}"
        trunk = self.network(factor.trunk, values, self.owned(f"{prefix}.trunk.")) if factor.trunk else None
        found, owned = {}, self.owned(f"{prefix}.net")
        free = self.owned(f"{prefix}.weight")
        for parameter in factor.parameters:
            raw = self._parameter(parameter, prefix, values, trunk, Owned(owned.layers, free.free))
            given = isinstance(parameter.source, ir.Value | ir.Default)
            found[parameter.name] = _domain(parameter, raw, given)
        return found

    def _parameter(
        self, parameter: ir.Parameter, prefix: str, values: Mapping[str, Tensor], trunk: Tensor | None, owned: Owned
    ) -> Tensor:
        name = f"{prefix}.{parameter.name}"
        match parameter.source:
            case ir.Head():
                assert trunk is not None
                return self._head(name, trunk, parameter.shape)
            case ir.Own():
                trunk = self.network(parameter.source.network, values, self.owned(f"{name}_trunk."))
                return self._head(name, trunk, parameter.shape)
            case ir.Table():
                table = self.state[f"{prefix}.table.{parameter.name}"]
                index = [_cell_indices(ref, values[ref.name]) for ref in parameter.source.parents]
                return table[tuple(torch.broadcast_tensors(*(i for cells in index for i in cells)))]
            case ir.Learned():
                free = self.state[name]
                return free.reshape((1,) * (1 + len(parameter.shape))) if free.numel() == 1 else free[None]
            case ir.Value():
                raw = self.value(parameter.source.expr, values, owned).double()
                return _align(raw, 1 + len(parameter.shape)).expand(-1, *parameter.shape)
            case ir.Default():
                return torch.full((1, *parameter.shape), parameter.source.value, dtype=torch.float64)

    def _head(self, name: str, hidden: Tensor, shape: ir.Shape) -> Tensor:
        out = functional.linear(hidden, self.state[f"{name}.weight"], self.state[f"{name}.bias"])
        return out.reshape(-1, *shape)

    def log_prob(self, factor: ir.Factor, values: Mapping[str, Tensor]) -> Tensor:
        """log p(node | given) or log q(node | given), [N or 1], summed over cells."""
        node = self.model.node(factor.node)
        parameters = self.parameters(factor, values)
        cells = _cell_log_prob(node.type, factor.family, parameters, values[node.name])
        return cells.flatten(1).sum(1) if cells.dim() > 1 else cells


def _cell_indices(ref: ir.Ref, value: Tensor) -> list[Tensor]:
    """The table's index along each cell of a parent, row-major."""
    return [c.long() - ref.type.first for c in value.reshape(len(value), -1).unbind(1)]


def _stage(stage: ir.Stage, hidden: Tensor, owned: Owned) -> Tensor:
    options = dict(stage.options)
    assert stage.kind in ("linear", "mlp"), f"the oracle has no {stage.kind}"
    assert options.get("norm", "none") == "none", "the oracle has no norms"
    act = ELEMENTWISE[str(options.get("act", "relu"))]
    for _ in stage.sizes:
        weight, bias = next(owned.layers)
        hidden = functional.linear(hidden, weight, bias)
        hidden = hidden if stage.kind == "linear" else act(hidden)
    return hidden


def _align(value: Tensor, dim: int) -> Tensor:
    """[N, *event] with the event's missing dimensions put in front of it."""
    return value.reshape(len(value), *(1,) * (dim - value.dim()), *value.shape[1:])


def _operate(expr: ir.Operation, args: list[Tensor]) -> Tensor:
    dim = max(a.dim() for a in args)
    a, *rest = (_align(arg.double(), dim) for arg in args)
    match expr.op:
        case "neg":
            return -a
        case "add":
            return a + rest[0]
        case "sub":
            return a - rest[0]
        case "mul":
            return a * rest[0]
        case "div":
            return a / rest[0]


def _call(expr: ir.Call, args: list[Tensor]) -> Tensor:
    first = args[0].double()
    if expr.function in ELEMENTWISE:
        return ELEMENTWISE[expr.function](first)
    match expr.function:
        case "clamp":
            return torch.minimum(torch.maximum(first, args[1]), args[2])
        case "sum" if expr.axis is None:
            return first.flatten(1).sum(1)
        case "mean" if expr.axis is None:
            return first.flatten(1).mean(1)
        case "concat":
            rows = max(len(a) for a in args)
            return torch.cat([a.double().expand(rows, -1) for a in args], 1)
        case _:
            raise NotImplementedError(expr.function)


def _domain(parameter: ir.Parameter, raw: Tensor, given: bool) -> Tensor:
    """Behind a head, table or learned tensor: softplus + floor; a given value is brought into the open domain."""
    if parameter.name in ("scale", "rate"):
        floor = parameter.floor if parameter.floor is not None else 1e-4
        return raw.clamp(min=1e-4) if given else functional.softplus(raw) + floor
    return raw.clamp(1e-6, 1 - 1e-6) if parameter.name == "probs" else raw


def _cell_log_prob(kind: ir.Type, family: str, parameters: Mapping[str, Tensor], value: Tensor) -> Tensor:
    match family:
        case "Categorical":
            logits = parameters["logits"] if "logits" in parameters else parameters["probs"].log()
            index = (value.long() - kind.first)[..., None]
            rows = max(len(logits), len(index))
            log_probs = logits.log_softmax(-1).expand(rows, *logits.shape[1:])
            return log_probs.gather(-1, index.expand(rows, *index.shape[1:]))[..., 0]
        case "Bernoulli":
            if "probs" in parameters:
                probs = parameters["probs"]
                return value * probs.log() + (1 - value) * torch.log1p(-probs)
            return value * parameters["logits"] - functional.softplus(parameters["logits"])
        case "Normal":
            loc, scale = parameters["loc"], parameters["scale"]
            return -0.5 * ((value - loc) / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi)
        case "Poisson":
            rate = parameters["rate"]
            return value * rate.log() - rate - torch.lgamma(value + 1)
        case _:
            raise NotImplementedError(family)
