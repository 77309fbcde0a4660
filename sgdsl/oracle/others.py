"""Factors of other models: what a model gives them and its weights come in; their parameters and means go out.

`reader`: the interpret.Reader of the model that uses another. That one is read as it would be alone, with the part of the
weights that has its name in front.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.middle.unrolled import unrolled
from sgdsl.oracle import densities
from sgdsl.oracle.shared import shared

Args = tuple[tuple[str, ir.Expr], ...]


def parameters(reader: Any, source: ir.Used, values: Mapping[str, Tensor], owned: object) -> dict[str, Tensor]:
    """Of a right-hand side that is another model's factor, [N or 1, *shape] each."""
    use = reader.model.use(source.use)
    return _parameters(reader, use, source.side, source.node, source.args, values, owned)


def mean(reader: Any, expr: ir.Mean, values: Mapping[str, Tensor], owned: object) -> Tensor:
    """The mean of another model's node, [N or 1, *shape]."""
    use = reader.model.use(expr.use)
    factor, kind = use.factor("p", expr.node), use.node(expr.node).type
    found = densities.mean(kind, factor.family, _parameters(reader, use, "p", expr.node, expr.args, values, owned))
    return found.expand(-1, *expr.shape)


def _parameters(
    reader: Any, use: ir.Use, side: ir.Side, node: str, args: Args, values: Mapping[str, Tensor], owned: object
) -> dict[str, Tensor]:
    prefix = f"{use.name}."
    state = {name.removeprefix(prefix): t for name, t in reader.state.items() if name.startswith(prefix)}
    given = {name: _given(reader, use.node(name).type, expr, values, owned) for name, expr in args}
    if use.model.axes:
        return _of_copies(replace(reader, state=state), use, side, node, given)
    found: dict[str, Tensor] = replace(reader, model=use.model, state=state).parameters(
        use.model.factor(side, node), given
    )
    return found


def _of_copies(reader: Any, use: ir.Use, side: ir.Side, node: str, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of a model with loops, written out for the number of copies that each row says: those of all copies, stacked."""
    model = use.model
    counts = [k for k in dict.fromkeys(a.count for a in model.axes) if k and k in given]
    most = {a.count: a.last for a in model.axes if a.count}
    if not counts:
        return _written_out(reader, use, side, node, given, most)
    rows = max(len(v) for v in given.values())
    full = {n: v.expand(rows, *v.shape[1:]) for n, v in given.items()}
    parts, places = [], []
    for number in torch.stack([full[k].long() for k in counts], 1).unique(dim=0):
        at = torch.stack([full[k].long() == n for k, n in zip(counts, number, strict=True)]).all(0).nonzero()[:, 0]
        own = most | {k: int(n) for k, n in zip(counts, number, strict=True)}
        found = _written_out(reader, use, side, node, {n: v[at] for n, v in full.items()}, own)
        parts.append({n: t.expand(len(at), *t.shape[1:]) for n, t in found.items()})
        places.append(at)
    order = torch.cat(places).argsort()
    return {n: torch.cat([p[n] for p in parts])[order] for n in parts[0]}


def _written_out(
    reader: Any, use: ir.Use, side: ir.Side, node: str, given: Mapping[str, Tensor], counts: Mapping[str, int]
) -> dict[str, Tensor]:
    flat = unrolled(use.model, counts)
    apart = dict[str, Tensor]()
    for copy, (name, places) in flat.copies.items():
        if name in given:
            apart[copy] = given[name]
            for p, r in zip(places, use.model.node(name).axes, strict=True):
                apart[copy] = apart[copy][:, p - r.first]
    flat_reader = replace(reader, model=flat.model, state=shared(flat, reader.state))
    names = [copy for copy, (name, _) in flat.copies.items() if name == node]
    found = [flat_reader.parameters(flat.model.factor(side, copy), apart) for copy in names]
    numbers = [r.copies for r in use.model.node(node).axes]

    def stacked(name: str) -> Tensor:
        parts = torch.broadcast_tensors(*(p[name] for p in found))
        return torch.stack(parts, 1).reshape(-1, *numbers, *parts[0].shape[1:]) if numbers else parts[0]

    return {name: stacked(name) for name in found[0]}


def _given(reader: Any, kind: ir.Type, expr: ir.Expr, values: Mapping[str, Tensor], owned: object) -> Tensor:
    """A class, or what may lack cells, as it is; else the number that it is."""
    if isinstance(expr, ir.Ref) and (kind.values is not None or kind.partial):
        return reader.raw(expr, values)  # type: ignore[no-any-return]
    return reader.value(expr, values, owned)  # type: ignore[no-any-return]
