"""Loops `1..k` in words: a model and its plan come in; whether one pass of the copies serves every k, and if not
why, goes out."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.plan import Plan
from sgdsl.middle.written import copy_text, written


def counts_in_words(model: ir.Model, graphs: Graphs, plan: Plan) -> tuple[str, ...]:
    """A line a loop over 1..k: how the values of k are treated."""
    return tuple(_line(model, graphs, plan, axis) for axis in model.axes if axis.count)


def _line(model: ir.Model, graphs: Graphs, plan: Plan, axis: ir.Axis) -> str:
    k = axis.count
    assert k
    loop, kind = f"{axis.name}=1..{k}", model.node(k).type
    if k not in plan.choices:
        return f"{loop}: {k} is known in every row"
    if not plan.choices[k].listed:
        return f"{loop}: each sample has the copies of its {k}"
    ranges = {name for name, r in plan.scopes.ranges.items() if r.axis == axis.name}
    together = [t for t in plan.terms if k in t.level and ranges & set(t.level)]
    if not together:
        return f"{loop}: one pass of the {axis.copies} copies serves every {k}"
    values = f"{kind.first}..{kind.first + (kind.cardinality or 1) - 1}"
    whys = (
        *_whys(model, graphs, axis, k),
        f"it is summed with other values outside of the loop, for {_head(model, together[0].side, together[0].node)}",
    )
    return f"{loop}: {k} is a level of its own, {values}, with the {axis.copies} copies at each value: {whys[0]}"


def _whys(model: ir.Model, graphs: Graphs, axis: ir.Axis, k: str) -> Iterator[str]:
    """What keeps one pass from serving every k."""
    contracted = graphs.lets.contracted
    copied = {n.name for n in model.nodes if any(r.axis == axis.name for r in n.axes)}
    for let in model.lets:
        if any(r.axis == axis.name for r in let.axes) and k in contracted([let.name]):
            yield f"let {copy_text(let.name, let.axes)} reads {k}"
    for factor in (*model.p, *model.q):
        reads = contracted(factor.given)
        if factor.node in copied and k in reads:
            yield f"{_head(model, factor.side, factor.id)} reads {k}"
        if factor.side == "q" and factor.node not in copied and copied & set(reads):
            yield f"{_head(model, 'q', factor.id)} reads copies"


def _head(model: ir.Model, side: ir.Side, node: str) -> str:
    factor = model.factor(side, node)
    return ir.head(side, copy_text(factor.node, factor.place), (written(model, g) for g in factor.given))
