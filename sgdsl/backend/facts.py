"""The constants of an emitted model, what its data and queries need to know: the IR and its plan come in, assignments go out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.backend.calls import runtime_family
from sgdsl.backend.copies import emit_loops
from sgdsl.backend.once import emit_once
from sgdsl.backend.writer import Writer, quoted, tuple_of
from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.plan import Plan
from sgdsl.middle.recombination import Recombination


def emit_facts(out: Writer, model: ir.Model, graphs: Graphs, plan: Plan) -> None:
    """NAME, NODES, LEVELS, the orders, GROUPS, samples and alpha."""
    out.raw(f"NAME = {quoted(model.name)}", 4)
    out.raw("NODES = {", 4)
    p, q = ({f.node for f in factors} for factors in (model.p, model.q))
    for node in model.nodes:
        out.raw(f'"{node.name}": NodeInfo(', 8)
        sides: dict[ir.Side, bool] = {"p": node.name in p, "q": node.name in q}
        for line in _node_info(model, graphs, plan, node, sides):
            out.raw(f"{line},", 12)
        out.raw("),", 8)
    out.raw("}", 4)
    out.statement(f"LEVELS = {tuple_of(tuple_of(quoted(n) for n in level) for level in plan.levels)}", 4)
    modelled = [n for n in graphs.order("p") if model.node(n).role != "given"]
    out.statement(f"ORDER_P = {tuple_of(quoted(n) for n in modelled)}", 4)
    out.statement(f"ORDER_Q = {tuple_of(quoted(n) for n in plan.draws)}", 4)
    if plan.groups:
        _grouping(out, plan.groups, plan.scopes.ranges)
    emit_once(out, model, plan)
    emit_loops(out, model, graphs, plan.scopes, plan.messages)
    out.raw(f"samples = {plan.samples}", 4)
    out.raw("alpha = 0.0", 4)


def _grouping(out: Writer, groups: Recombination, ranges: Mapping[str, ir.Range]) -> None:
    """Which draws may bear a weight, and what ties them."""
    weighed = tuple_of(map(quoted, groups.weighed))
    above = ", ".join(f"{quoted(v)}: {tuple_of(map(quoted, groups.above[v]))}" for v in groups.weighed)
    joins = tuple_of(tuple_of(map(quoted, join)) for join in groups.joins)
    loops = _copies(groups, ranges)
    out.statement(f"GROUPS = Grouping(weighed={weighed}, above={{{above}}}, joins={joins}{loops})", 4)


def _copies(groups: Recombination, ranges: Mapping[str, ir.Range]) -> str:
    """Of nodes whose copies are groups of their own the loops, each with its number of copies."""
    found = []
    for v, loops in groups.loops.items():
        inner = ", ".join(f"{quoted(r)}: {ranges[r].copies}" for r in loops)
        found += [f"{quoted(v)}: {{{inner}}}"] if loops else []
    return f", loops={{{', '.join(found)}}}" if found else ""


def _node_info(model: ir.Model, graphs: Graphs, plan: Plan, node: ir.Node, sides: Mapping[ir.Side, bool]) -> list[str]:
    prefix = {side: runtime_family(model.factor(side, node.name)) if has else "" for side, has in sides.items()}
    numbers = [tuple_of(map(str, t)) for t in (node.type.sizes, node.type.shape, node.type.event)]
    parents = {s: tuple_of(quoted(n) for n in graphs.parents(s, node.name)) for s in ("p", "q")}
    estimator = plan.choices[node.name].name if node.name in plan.choices else ""
    fields = (
        ("role", quoted(node.role)), ("support", quoted(node.type.support)), ("sizes", numbers[0]),
        ("shape", numbers[1]), ("event", numbers[2]), ("family_p", quoted(prefix["p"])),
        ("family_q", quoted(prefix["q"])), ("estimator", quoted(estimator)), ("parents_p", parents["p"]),
        ("parents_q", parents["q"]),
    )  # fmt: skip
    texts = [f"{name}={value}" for name, value in fields] + ["partial=True"] * node.type.partial
    return [*texts, *([f"loops={tuple_of(quoted(r.name) for r in node.axes)}"] if node.axes else [])]
