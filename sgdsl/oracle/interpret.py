"""Reads an ir.Model and a state_dict by name: values of nodes come in, each factor's parameters and log-probability go out.

Shares nothing with sgdsl.runtime or sgdsl.backend. Every tensor here is [N or 1, *event], N joint outcomes of one row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.middle import ir
from sgdsl.oracle.densities import cell_log_prob, domain
from sgdsl.oracle.expressions import aligned, call, operate
from sgdsl.oracle.stages import Layer, Layers, join_maps, run_stage, up


@dataclass(frozen=True, slots=True)
class Owned:
    """The weights that a let's or a factor's expressions own, consumed in the order in which they are written."""

    layers: Layers
    free: Iterator[Tensor]


@dataclass(frozen=True, slots=True)
class Reader:
    """One model with one set of weights."""

    model: ir.Model
    state: Mapping[str, Tensor]

    def owned(self, prefix: str) -> Owned:
        """Layers with a bias and free tensors under names that begin so, in the order of the state_dict."""
        layers = (
            self._layer(name.removesuffix("weight"))
            for name in self.state
            if name.startswith(prefix)
            and name.endswith("weight")
            and name.removesuffix("weight") + "bias" in self.state
        )
        free = (
            tensor
            for name, tensor in self.state.items()
            if name.startswith(prefix) and re.fullmatch(r"weight\d*", name.split(".")[-1])
            if name.removesuffix("weight") + "bias" not in self.state
        )
        return Owned(layers, free)

    def _layer(self, name: str) -> Layer:
        running = (self.state.get(f"{name}running_mean"), self.state.get(f"{name}running_var"))
        return Layer(self.state[f"{name}weight"], self.state[f"{name}bias"], *running)

    # --- expressions ------------------------------------------------------------------------------------------

    def value(self, expr: ir.Expr, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """The expression at `values`; its own networks and free tensors consume `owned`."""
        match expr:
            case ir.Number():
                return torch.tensor([expr.value], dtype=torch.float64)
            case ir.Ref():
                return _number(expr.type, self.raw(expr, values))
            case ir.Operation():
                return operate(expr, [self.value(a, values, owned) for a in expr.args])
            case ir.Call():
                return call(expr, [self.value(a, values, owned) for a in expr.args])
            case ir.Vector():
                items = [self.value(i, values, owned) for i in expr.items]
                return torch.stack(torch.broadcast_tensors(*items), dim=1)
            case ir.Apply():
                return self.network(expr.network, values, owned)
            case ir.Weight():
                return next(owned.free)[None]

    def raw(self, ref: ir.Ref, values: Mapping[str, Tensor]) -> Tensor:
        """The value of a node or, evaluated anew at each use, of a let; a relaxed class stays a vector of weights."""
        if ref.name in values:
            return values[ref.name]
        value = self.model.let(ref.name).value
        return (
            self.raw(value, values)
            if isinstance(value, ir.Ref)
            else self.value(value, values, self.owned(f"{ref.name}."))
        )

    # --- networks ---------------------------------------------------------------------------------------------

    def network(self, network: ir.Network, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """[N, width], or a map [N, c, h, w], behind the last part."""
        stages = list(self._stages(network.parts, owned))
        inputs = [self._input(expr, values, owned) for expr in network.inputs]
        maps = [self.value(e, values, owned).double() for e in network.inputs if len(e.shape) == 3]
        if stages and stages[0][0].kind == "conv":
            aside = [v for e, v in zip(network.inputs, inputs, strict=True) if len(e.shape) != 3]
            hidden = join_maps(maps)
        else:
            hidden, aside = inputs[0], inputs[1:]
            if not stages:
                return join_maps(inputs)
        for stage, layers in stages:
            hidden = run_stage(stage, hidden, aside, layers)
        return join_maps([hidden, *aside]) if aside else hidden

    def _stages(self, parts: tuple[ir.Part, ...], owned: Owned) -> Iterator[tuple[ir.Stage, Layers]]:
        """Each stage with the layers it takes from; those of a shared net start anew at each use."""
        for part in parts:
            if isinstance(part, ir.NetUse):
                net = next(n for n in self.model.nets if n.name == part.net)
                yield from self._stages(net.parts, self.owned(f"{part.net}."))
            else:
                yield part, owned.layers

    def _input(self, expr: ir.Expr, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """[N or 1, width]: a class and a count(a, b) one-hot, a count log(1 + v), the rest themselves."""
        value = self.raw(expr, values) if isinstance(expr, ir.Ref) else self.value(expr, values, owned)
        if isinstance(expr, ir.Ref) and expr.type.one_hot:
            return torch.cat(_weights(expr.type, value), -1)
        if isinstance(expr, ir.Ref) and expr.type.support == "count":
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
            raw = self._parameter(factor, parameter, values, trunk, Owned(owned.layers, free.free))
            given = isinstance(parameter.source, ir.Value | ir.Default)
            found[parameter.name] = domain(factor.family, parameter, raw, given)
        return found

    def _parameter(
        self,
        factor: ir.Factor,
        parameter: ir.Parameter,
        values: Mapping[str, Tensor],
        trunk: Tensor | None,
        owned: Owned,
    ) -> Tensor:
        """Before its map into its domain; `owned`: what value expressions of the factor take from."""
        prefix = f"{factor.side}_{factor.node}"
        name = f"{prefix}.{parameter.name}"
        match parameter.source:
            case ir.Head():
                assert trunk is not None
                return self._head(name, factor.trunk, trunk, parameter.shape)
            case ir.Own():
                network = parameter.source.network
                hidden = self.network(network, values, self.owned(f"{name}_trunk."))
                return self._head(name, network, hidden, parameter.shape)
            case ir.Table():
                table = self.state[f"{prefix}.table.{parameter.name}"]
                cells = [w for ref in parameter.source.parents for w in _weights(ref.type, values[ref.name])]
                rows: Tensor = torch.tensordot(_outer(cells), table.flatten(0, len(cells) - 1), 1)
                return rows
            case ir.Learned():
                free = self.state[name]
                return free.reshape((1,) * (1 + len(parameter.shape))) if free.numel() == 1 else free[None]
            case ir.Value():
                raw = self.value(parameter.source.expr, values, owned).double()
                return aligned([raw], 1 + len(parameter.shape))[0].expand(-1, *parameter.shape)
            case ir.Default():
                return torch.full((1, *parameter.shape), parameter.source.value, dtype=torch.float64)
            case ir.Bayes() | ir.Product() | ir.Mixture():
                raise AssertionError("refused by verify")

    def _head(self, name: str, network: ir.Network | None, hidden: Tensor, shape: ir.Shape) -> Tensor:
        """A linear layer; behind a deconv its last transposed layer."""
        layer = self._layer(f"{name}.")
        last = network.parts[-1] if network and network.parts else None
        if isinstance(last, ir.Stage) and last.kind == "deconv":
            return up(last, hidden, 0, layer)
        return layer.linear(hidden.flatten(1)).reshape(-1, *shape)

    def log_prob(
        self, factor: ir.Factor, values: Mapping[str, Tensor], soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """log p(node | given) or log q(node | given), [N or 1], summed over cells; `soft`: relaxed nodes' probabilities,
        scored instead of their values."""
        node = self.model.node(factor.node)
        parameters = self.parameters(factor, values)
        value = (soft or {}).get(node.name, values[node.name])
        cells = cell_log_prob(node.type, factor.family, parameters, value)
        return cells.flatten(1).sum(1) if cells.dim() > 1 else cells


def _number(kind: ir.Type, value: Tensor) -> Tensor:
    """A finite value in arithmetic: of a relaxed count the number that its weights expect."""
    if not kind.one_hot or value.dim() == 1 + len(kind.event):
        return value
    assert kind.values is not None
    return value @ torch.arange(kind.first, kind.first + kind.values, dtype=torch.float64)


def _weights(kind: ir.Type, value: Tensor) -> list[Tensor]:
    """For each cell of a finite value, row-major, the weight of each of its values, [N, values]: one-hot or relaxed."""
    assert kind.values is not None
    if kind.support == "binary":
        return [torch.stack((1 - c, c), -1) for c in value.double().reshape(len(value), -1).unbind(1)]
    if value.dim() == 1 + len(kind.event):
        value = functional.one_hot(value.long() - kind.first, kind.values)
    return list(value.double().reshape(len(value), -1, kind.values).unbind(1))


def _outer(weights: list[Tensor]) -> Tensor:
    """Joint weights, [N, ∏ values], the last fastest."""
    joint = weights[0]
    for more in weights[1:]:
        joint = (joint[:, :, None] * more[:, None, :]).flatten(1)
    return joint
