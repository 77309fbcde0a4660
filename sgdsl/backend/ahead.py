"""Parts of first layers that a short loop need not wait for: nodes of q come in; what is computed before the loop goes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sgdsl.backend.step import Step
from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.graphs import factor_expressions, references

WIDE = 128  # columns from which a part of its own costs less than the loop saves
PLAIN = ("real", "positive", "unit", "binary")  # supports that a network reads as they are


Parts = dict[tuple[str, str], str]


def parts_ahead(
    step: Step,
    nodes: Iterable[ir.Node],
    members: frozenset[str],
    each: Mapping[str, str],
    outer: Callable[[Scope], Scope],
) -> Parts:
    """What the methods of a loop's nodes are given in place of values from outside: texts by method and value. `each`: what
    holds the copies of a value by place; `outer`: a scope without the loop's own range."""
    found: Parts = {}
    for factor in (f for node in nodes for f in step.model.pieces("q", node.name)):
        method = step.methods["q", factor.id]
        read = [r.name for e in factor_expressions(factor) for r in references(e)]
        dense = factor.trunk is not None and step.plan.is_fused("q", factor.id) and _is_dense(factor.trunk)
        if not dense or members.isdisjoint(read) or isinstance(factor.place[-1], int):
            continue
        assert factor.trunk is not None
        start = 0
        for expr in factor.trunk.inputs:
            if not isinstance(expr, ir.Ref):
                break
            name = expr.name
            here = outer(step.plan.scopes[name]) == outer(method.level)
            wide = expr.type.input_width >= WIDE
            if here and wide and _is_plain(expr.type) and name not in members and read.count(name) == 1:
                own = [r for r in step.plan.scopes[name] if r not in outer(step.plan.scopes[name])]
                found[method.name, name] = _part(step, factor, expr, start, own if step.value(name) in each else [])
            start += expr.type.input_width
    return found


def _part(step: Step, factor: ir.Factor, ref: ir.Ref, start: int, own: Sequence[str]) -> str:
    """The part of one value, computed before the loop: for all copies at once where each has a value of its `own`, in the range
    of this name."""
    value, width = step.value(ref.name), ref.type.input_width
    part = step.named.locals.new(f"{value}_for_{step.named.values[factor.node]}")
    text = f"dense(self.q_{factor.id}.trunk[0], {value}, {start})"
    if not own:
        step.say(f"{part} = {text}")
        return f"Ahead({part}, {width})"
    copies = step.plan.scopes.ranges[own[0]]
    step.say(f"{part} = each_copy({text}, {copies.first}, {copies.last})")
    return f"Ahead({part}[t], {width})"


def _is_plain(kind: ir.Type) -> bool:
    return kind.support in PLAIN and len(kind.event) == 1 and not kind.partial


def _is_dense(network: ir.Network) -> bool:
    """Whether its first layer is linear, its own, and the same for all copies."""
    first: Sequence[ir.Part] = network.parts[:1]
    return (
        bool(first)
        and isinstance(first[0], ir.Stage)
        and first[0].kind in ("mlp", "linear")
        and bool(first[0].sizes)
        and not network.copies
    )
