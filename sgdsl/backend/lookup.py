"""Off the hot path: the methods of a side come in, one that finds a factor's parameters from values by name goes out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.backend.methods import Method, relaxed
from sgdsl.backend.names import Named
from sgdsl.backend.writer import Writer, tuple_of
from sgdsl.middle import ir
from sgdsl.middle.plan import Plan

Methods = Mapping[tuple[str, str], Method]


def emit_lookup(out: Writer, model: ir.Model, plan: Plan, side: ir.Side, methods: Methods, named: Named) -> None:
    """`parameters_p` or `parameters_q`."""
    out.at = 0
    out.raw()
    out.raw(f"def parameters_{side}(self, node: str, v: Values) -> Parameters:", 4)
    out.raw(f'"""The parameters of {side}(node | …), in the order of its family."""', 8)
    out.raw("match node:", 8)
    for factor in model.p if side == "p" else model.q:
        out.raw(f'case "{factor.node}":', 12)
        method = methods[side, factor.node]
        if not method.name:
            out.statement(f"return {tuple_of(method.constants)}", 16)
            continue
        texts: list[str] = []
        for name in method.reads:
            _read(out, model, plan, methods, named, name, texts)
        call = f"self.{method.name}({', '.join(method.arguments(named))})"
        out.statement(f"return {call}" if len(method.free) > 1 else f"return ({call},)", 16)
    out.raw("raise KeyError(node)", 8)


def _read(out: Writer, model: ir.Model, plan: Plan, methods: Methods, named: Named, name: str, done: list[str]) -> None:
    """The variable of a node or let from `v`, lets computed on the way."""
    if name in done:
        return
    done.append(name)
    if ("let", name) in methods:
        method = methods["let", name]
        for inner in method.reads:
            _read(out, model, plan, methods, named, inner, done)
        value = f"self.{method.name}({', '.join(method.arguments(named))})"
    else:
        value, kind = f'v["{name}"]', model.node(name).type
        if relaxed(plan, name) and kind.one_hot:
            value = f"one_hot({value}, {kind.values}{f', {kind.first}' if kind.first else ''})"
    target = named.values[name]
    if ("let", name) not in methods and model.node(name).type.partial:
        target, value = f"{target}, {named.derived['present', name]}", f'present_cells(self.NODES["{name}"], {value})'
    out.statement(f"{target} = {value}", 16)
