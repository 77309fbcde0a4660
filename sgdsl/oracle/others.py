"""Factors of other models: what a model gives them and its weights come in; their parameters and means go out.

`reader`: the interpret.Reader of the model that uses another. That one is read as it would be alone, with the part of the
weights that has its name in front.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle import densities

Args = tuple[tuple[str, ir.Expr], ...]


def parameters(reader: Any, source: ir.Used, values: Mapping[str, Tensor], owned: object) -> dict[str, Tensor]:
    """Of a right-hand side that is another model's factor, [N or 1, *shape] each."""
    use = reader.model.use(source.use)
    return _parameters(reader, use, use.model.factor(source.side, source.node), source.args, values, owned)


def mean(reader: Any, expr: ir.Mean, values: Mapping[str, Tensor], owned: object) -> Tensor:
    """The mean of another model's node, [N or 1, *shape]."""
    use = reader.model.use(expr.use)
    factor, kind = use.model.factor("p", expr.node), use.model.node(expr.node).type
    found = densities.mean(kind, factor.family, _parameters(reader, use, factor, expr.args, values, owned))
    return found.expand(-1, *expr.shape)


def _parameters(
    reader: Any, use: ir.Use, factor: ir.Factor, args: Args, values: Mapping[str, Tensor], owned: object
) -> dict[str, Tensor]:
    prefix = f"{use.name}."
    state = {name.removeprefix(prefix): t for name, t in reader.state.items() if name.startswith(prefix)}
    given = {name: _given(reader, use.model.node(name).type, expr, values, owned) for name, expr in args}
    found: dict[str, Tensor] = replace(reader, model=use.model, state=state).parameters(factor, given)
    return found


def _given(reader: Any, kind: ir.Type, expr: ir.Expr, values: Mapping[str, Tensor], owned: object) -> Tensor:
    """A class, or what may lack cells, as it is; else the number that it is."""
    if isinstance(expr, ir.Ref) and (kind.values is not None or kind.partial):
        return reader.raw(expr, values)  # type: ignore[no-any-return]
    return reader.value(expr, values, owned)  # type: ignore[no-any-return]
