"""A factor whose parameters are computed once for all samples where they are the same: its method comes in, statements go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgdsl.backend.writer import Writer, quoted, tuple_of
from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_reads
from sgdsl.middle.plan import Plan
from sgdsl.middle.rewrites import Once

if TYPE_CHECKING:
    from sgdsl.backend.methods import Method
    from sgdsl.backend.valued import Valued


def emit_once(out: Writer, model: ir.Model, plan: Plan) -> None:
    """The fact VARYING: the level of each such factor, and the nodes that must be known there."""
    found = [r for r in plan.rewrites if isinstance(r, Once)]
    if found:
        out.raw("VARYING = {", 4)
        for r in found:
            level = " ".join(plan.scopes.union(factor_reads(model.factor(r.side, r.node))))
            nodes = tuple_of(map(quoted, r.nodes))
            out.raw(f'"{r.side}_{r.node}": ({quoted(level)}, {nodes}),', 8)
        out.raw("}", 4)


def call_once(step: Valued, method: Method, targets: Sequence[str], rewrite: Once) -> None:
    """The call of its method on what is computed, and every sample's parameters from that."""
    for name in method.reads:
        step.let(name)
    level, scopes = step.plan.scopes.union(method.reads), step.plan.scopes
    values = {n: step.raised(step.value(n), scopes[n], level) if n in rewrite.varying else "" for n in method.reads}
    once = step.named.locals.new(f"once_{rewrite.node}")
    sampled = [n for n in rewrite.nodes if step.plan.choices[n].name == "sum_and_sample"]
    known = " and ".join(f"{n} is known" + " or the likeliest" * (n in sampled) for n in rewrite.nodes)
    step.say(f'{once} = batch.varying["{rewrite.side}_{rewrite.node}"].over(samples)  # once where {known}')
    args = [f"{once}.into({values[n]})" if values[n] else step.value(n) for n in method.reads]
    for name in method.lifts:
        at = scopes[name]
        index = f"{once}.entry" if at == level else f"{once}.of({step.index(level, at)})"
        args.append(f"{step.named.derived['up', name]}={index}")
    call = f"self.{method.name}({', '.join(args)})"
    left = ", ".join(targets) if len(targets) > 1 else f"({targets[0]},)"
    step.say(f"{left} = {once}.back({'*' if len(targets) > 1 else ''}{call})")
