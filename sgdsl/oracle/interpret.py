"""Reads an ir.Model and a state_dict by name: values of nodes come in, each factor's parameters and log-probability go out.

Shares nothing with sgdsl.runtime or sgdsl.backend. Every tensor here is [N or 1, *event], N joint outcomes of one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle import experts, others
from sgdsl.oracle.densities import cell_log_prob, domain, from_head, head_shape
from sgdsl.oracle.expressions import aligned, call, operate
from sgdsl.oracle.inputs import cell_weights, flat, number, outer, own_copy, stack_raw
from sgdsl.oracle.owned import Owned, layer_of, owned
from sgdsl.oracle.recurrent import is_recurrent, recurrent
from sgdsl.oracle.stages import MAPS, Layers, join_maps, run_stage, up


@dataclass(frozen=True, slots=True)
class Reader:
    """One model with one set of weights."""

    model: ir.Model
    state: Mapping[str, Tensor]

    def owned(self, prefix: str) -> Owned:
        return owned(self.state, prefix)

    # --- expressions ------------------------------------------------------------------------------------------

    def value(self, expr: ir.Expr, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """The expression at `values`; its own networks and free tensors consume `owned`."""
        match expr:
            case ir.Number():
                return torch.tensor([expr.value], dtype=torch.float64)
            case ir.Ref():
                return number(expr.type, experts.filled(expr.type, self.raw(expr, values), 0.0))
            case ir.Operation():
                return operate(expr, [self.value(a, values, owned) for a in expr.args])
            case ir.Call():
                return call(expr, [self.value(a, values, owned) for a in expr.args])
            case ir.View() | ir.Over() | ir.Place():
                raise AssertionError("the oracle reads models whose loops are written out")
            case ir.Vector():
                items = [self.value(i, values, owned) for i in expr.items]
                return torch.stack(torch.broadcast_tensors(*items), dim=1)
            case ir.Apply():
                return self.network(expr.network, values, owned)
            case ir.Mean():
                return others.mean(self, expr, values, owned)
            case ir.Weight():
                return own_copy(next(owned.free), expr.copies)[None]

    def raw(self, ref: ir.Ref, values: Mapping[str, Tensor]) -> Tensor:
        """The value of a node or, evaluated anew at each use, of a let; a relaxed class stays a vector of weights."""
        if ref.name in values:
            return values[ref.name]
        let = self.model.let(ref.name)
        match let.value:
            case ir.Ref():
                return self.raw(let.value, values)
            case ir.Vector() if let.type.one_hot or let.type.partial:  # a stack of copies
                items = [self.raw(i, values) if isinstance(i, ir.Ref) else None for i in let.value.items]
                return stack_raw(let.type, items)
            case _:
                return self.value(let.value, values, self.owned(f"{ref.name}."))

    # --- networks ---------------------------------------------------------------------------------------------

    def network(self, network: ir.Network, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """[N, width], or a map [N, c, h, w], behind the last part."""
        stages = list(self._stages(network.parts, replace(owned, layers=(c.of(network.copies) for c in owned.layers))))
        inputs = [self._input(expr, values, owned) for expr in network.inputs]
        if is_recurrent(stages):
            return recurrent(stages, network.inputs, inputs)
        maps = [self._map(e, values, owned) for e in network.inputs if len(e.shape) == 3]
        if stages and stages[0][0].kind in MAPS:
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
        """[N or 1, width]: a class and a count(a, b) one-hot, a count log(1 + v), an angle (cos, sin), the rest themselves."""
        if not isinstance(expr, ir.Ref):
            return flat(self.value(expr, values, owned))
        value, kind = self.raw(expr, values), expr.type
        legal = experts.filled(kind, value, kind.first if kind.one_hot else 0.0)
        if kind.support == "angle":
            return experts.on_circle(kind, value, legal)
        if kind.one_hot:
            found = torch.cat(cell_weights(kind, legal), -1)
        else:
            found = flat(legal.double().log1p() if kind.support == "count" else legal)
        return experts.side_by_side(kind, value, found) if kind.partial else found

    def _map(self, expr: ir.Expr, values: Mapping[str, Tensor], owned: Owned) -> Tensor:
        """[N or 1, c, h, w]; of a partial node its mask behind it, as further channels."""
        value = self.value(expr, values, owned).double()
        if not isinstance(expr, ir.Ref) or not expr.type.partial:
            return value
        return join_maps([value, experts.present(expr.type, self.raw(expr, values)).double()])

    # --- factors ----------------------------------------------------------------------------------------------

    def parameters(self, factor: ir.Factor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The family's parameters [N or 1, *shape], in their domains, by the name the factor gives them."""
        prefix = f"{factor.side}_{factor.node}"
        match factor.parameters[0].source if factor.parameters else None:
            case ir.Bayes() as source:
                return {"logits": self._posterior(factor.node, source, values)}
            case ir.Used() as source:
                free = Owned(self.owned(f"{prefix}.net").layers, self.owned(f"{prefix}.weight").free)
                return others.parameters(self, source, values, free)
            case ir.Product() | ir.Mixture() as source:
                found = [self._parameters(f"{prefix}.expert{i}", e, values) for i, e in enumerate(source.experts, 1)]
                told = [experts.told(self.model, e, values) for e in source.experts]
                if isinstance(source, ir.Mixture):
                    return experts.stacked(found, experts.counted(told))
                if source.prior:
                    found, told = [*found, self.parameters(self.model.factor("p", factor.node), values)], [*told, None]
                return experts.product(found, experts.counted(told))
            case _:
                return self._parameters(prefix, factor, values)

    def _posterior(self, node: str, source: ir.Bayes, values: Mapping[str, Tensor]) -> Tensor:
        """Σ log p of these factors at every value of the node, [N, *event, values]; of a binary one the log odds."""
        kind = self.model.node(node).type
        assert kind.values is not None
        found = []
        for value in range(kind.first, kind.first + kind.values):
            at = {**values, node: torch.full((1, *kind.event), float(value), dtype=torch.float64)}
            found.append(sum((self.log_prob(self.model.factor("p", n), at) for n in source.factors), torch.zeros(1)))
        logits = torch.stack(torch.broadcast_tensors(*found), -1)
        logits = logits[:, 1] - logits[:, 0] if kind.support == "binary" else logits
        return logits.reshape(len(logits), *kind.event, *logits.shape[1:])

    def _parameters(
        self, prefix: str, factor: ir.Factor | ir.Expert, values: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Of a factor or expert that owns the weights under `prefix`."""
        trunk = self.network(factor.trunk, values, self.owned(f"{prefix}.trunk.")) if factor.trunk else None
        found, owned = {}, self.owned(f"{prefix}.net")
        free = self.owned(f"{prefix}.weight")
        for parameter in factor.parameters:
            own = Owned(owned.layers, free.free)
            raw = self._parameter(prefix, factor, parameter, values, trunk, own)
            given = isinstance(parameter.source, ir.Value | ir.Default)
            found[parameter.name] = domain(factor.family, parameter, raw, given)
        return found

    def _parameter(
        self,
        prefix: str,
        factor: ir.Factor | ir.Expert,
        parameter: ir.Parameter,
        values: Mapping[str, Tensor],
        trunk: Tensor | None,
        owned: Owned,
    ) -> Tensor:
        """Before its map into its domain; `trunk`: the value of the factor's; `owned`: what value expressions take from."""
        name, family, network = f"{prefix}.{parameter.name}", factor.family, factor.trunk
        match parameter.source:
            case ir.Head():
                assert trunk is not None
                return from_head(family, parameter, self._head(name, network, trunk, head_shape(family, parameter)))
            case ir.Own():
                own = parameter.source.network
                hidden = self.network(own, values, self.owned(f"{name}_trunk."))
                return from_head(family, parameter, self._head(name, own, hidden, head_shape(family, parameter)))
            case ir.Table():
                table = self.state[f"{prefix}.table.{parameter.name}"]
                table = own_copy(table, parameter.source.copies)
                cells = [w for ref in parameter.source.parents for w in cell_weights(ref.type, self.raw(ref, values))]
                rows: Tensor = torch.tensordot(outer(cells), table.flatten(0, len(cells) - 1), 1)
                return rows
            case ir.Learned():
                free = own_copy(self.state[name], parameter.source.copies)
                if tuple(free.shape) == (1,):  # one number for all cells
                    return free.reshape((1,) * (1 + len(parameter.shape))).expand(1, *parameter.shape)
                return free[None]
            case ir.Value():
                raw = self.value(parameter.source.expr, values, owned).double()
                return aligned([raw], 1 + len(parameter.shape))[0].expand(-1, *parameter.shape)
            case ir.Default() if parameter.name == "scale_tril":
                return parameter.source.value * torch.eye(parameter.shape[-1], dtype=torch.float64)[None]
            case ir.Default():
                return torch.full((1, *parameter.shape), parameter.source.value, dtype=torch.float64)
            case ir.Bayes() | ir.Product() | ir.Mixture() | ir.Used():
                raise AssertionError("a side of its own")

    def _head(self, name: str, network: ir.Network | None, hidden: Tensor, shape: ir.Shape) -> Tensor:
        """A linear layer; behind a deconv its last transposed layer."""
        layer = layer_of(self.state, f"{name}.").of(network.copies if network else ())
        last = network.parts[-1] if network and network.parts else None
        if isinstance(last, ir.Stage) and last.kind == "deconv":
            return up(last, hidden, 0, layer).reshape(-1, *shape)
        return layer.linear(hidden.flatten(1)).reshape(-1, *shape)

    def log_prob(
        self, factor: ir.Factor, values: Mapping[str, Tensor], soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """log p(node | given) or log q(node | given), [N or 1], summed over cells; `soft`: relaxed nodes' probabilities,
        scored instead of their values."""
        node = self.model.node(factor.node)
        parameters = self.parameters(factor, values)
        value = (soft or {}).get(node.name, values[node.name])
        if "weights" in parameters:
            return experts.mixed_log_prob(node.type, factor.family, parameters, value)
        cells = cell_log_prob(
            node.type, factor.family, parameters, experts.filled(node.type, value, experts.legal(node.type))
        )
        if node.type.partial:
            cells = torch.where(experts.present(node.type, value), cells, 0.0)
        return cells.flatten(1).sum(1) if cells.dim() > 1 else cells
