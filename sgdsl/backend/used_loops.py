"""Classes of used models with loops: such a model comes in; where its copies stand, its factors of all copies at once, and a
method for each of them that is called, go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sgdsl.backend.copies import emit_loops
from sgdsl.backend.lookup import emit_lookup
from sgdsl.backend.methods import Method
from sgdsl.backend.names import Named, SubMethod
from sgdsl.backend.writer import Writer, quoted, tuple_of
from sgdsl.middle import ir
from sgdsl.middle.graphs import build
from sgdsl.middle.plan import Plan
from sgdsl.middle.scopes import scopes_of
from sgdsl.middle.standing import every_level
from sgdsl.middle.used import Called

SIDES: tuple[ir.Side, ...] = ("p", "q")
Taken = dict[
    tuple[str, str], tuple[str, ...]
]  # of each factor that is called, by side and node, the nodes that it reads


def in_loops(model: ir.Model, plan: Plan) -> Plan:
    """The plan of a used model with the levels of its copies; nothing is enumerated."""
    scopes = scopes_of(model, build(model), (), ())
    return replace(plan, scopes=scopes, levels=every_level(model, (), (), (), scopes))


def taken(use: ir.Use, calls: Iterable[Called]) -> Taken:
    return {(c.side, c.node): use.parents[c.side, c.node] for c in calls}


def called_methods(use: ir.Use, found: Taken, named: Named) -> dict[tuple[str, str], SubMethod]:
    """What calls need to know of the methods that `emit_copies` makes."""
    made = {}
    for (side, node), parents in found.items():
        count = len(use.model.pieces("p" if side == "p" else "q", node)[0].parameters)
        made[side, node] = SubMethod(_name(side, node, named), parents, (), (not parents,) * count, ())
    return made


def _name(side: str, node: str, named: Named) -> str:
    return f"all_{'decode' if side == 'p' else 'encode'}_{named.values[node]}"


def emit_facts(out: Writer, model: ir.Model, plan: Plan) -> None:
    """Levels, loops and views, and the loops of each node."""
    out.raw(f"LEVELS = {tuple_of(tuple_of(map(quoted, level)) for level in plan.levels)}", 4)
    emit_loops(out, model, plan.scopes.graphs, plan.scopes, ())
    loops = ", ".join(f"{quoted(n.name)}: {tuple_of(quoted(r.name) for r in n.axes)}" for n in model.nodes)
    out.statement(f"LOOPS = {{{loops}}}", 4)


def emit_copies(
    out: Writer, use: ir.Use, plan: Plan, named: Named, methods: Mapping[tuple[str, str], Method], found: Taken
) -> None:
    """The look-up of factors at all copies, and what is called."""
    wanted = {
        side: tuple(f for f in (use.model.p if side == "p" else use.model.q) if (side, f.node) in found)
        for side in SIDES
    }
    part = replace(use.model, p=wanted["p"], q=wanted["q"])
    for side in SIDES:
        if wanted[side]:
            emit_lookup(out, part, plan.scopes.graphs, plan, side, methods, named)
    for (kind, node), parents in found.items():
        _emit_call(out, use.factor("p" if kind == "p" else "q", node), parents, named)


def _emit_call(out: Writer, factor: ir.Factor, parents: tuple[str, ...], named: Named) -> None:
    values = [named.values[n] for n in parents]
    many = len(factor.parameters) > 1
    arguments = ", ".join(("self", *(f"{v}: Tensor" for v in values)))
    given = ", ".join(f"{quoted(n)}: {v}" for n, v in zip(parents, values, strict=True))
    shapes = tuple_of(tuple_of(map(str, p.shape)) for p in factor.parameters)
    out.raw()
    out.definition(
        f"def {_name(factor.side, factor.node, named)}({arguments})", f" -> {'Parameters' if many else 'Tensor'}:", 4
    )
    text = factor.text.replace("\\", "\\\\").replace('"', "'")
    out.raw(f'"""{text}: all copies together."""', 8)
    call = f"self.together({quoted(factor.side)}, {quoted(factor.node)}, {{{given}}}, {shapes})"
    out.statement(f"return {call}{'' if many else '[0]'}", 8)
