"""A model and its graphs come in; notes on the independences that a written q assumes and the posterior lacks go out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.middle import ir, unread
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.moral import UNKNOWN
from sgdsl.middle.separation import add_ancestors, blanket, unfaithful
from sgdsl.middle.unread import LISTED, right_side


def remarks(model: ir.Model, graphs: Graphs) -> tuple[Diagnostic, ...]:
    """N0501 for each written factor of q that does not read all its node depends on, given what is known when it is
    drawn: x, the given, and the nodes before it (ties: made ones first, then by declaration)."""
    if model.axes:
        return unread.remarks(model)
    made = {f.node for f in model.q if f.made is not None}
    place = {n.name: (n.name not in made, i) for i, n in enumerate(model.nodes)}
    found: list[Diagnostic] = []
    factors = {f.node: f for f in model.q}
    known = {name: i for i, name in enumerate(n.name for n in model.nodes if n.role not in UNKNOWN)}
    ancestral: set[str] = set()
    add_ancestors(graphs.p, known, ancestral)
    order = [v for v in graphs.q.order(place.__getitem__) if v not in known]
    whole = len(ancestral) == len(graphs.p)
    noted = unfaithful(graphs.p, order, graphs.q.predecessors) if whole else set(order)
    for node in order:
        add_ancestors(graphs.p, (node,), ancestral)
        if node not in made and node in noted:
            why = blanket(graphs.p, node, known.keys(), ancestral)
            missing = {v: why[v] for v in sorted(why, key=known.__getitem__) if not graphs.q.has_edge(v, node)}
            if missing:
                found.append(_note(factors[node], missing))
        known[node] = len(known)
    return tuple(found)


def _note(factor: ir.Factor, missing: Mapping[str, str]) -> Diagnostic:
    names = ", ".join(f"`{v}`" for v in list(missing)[:LISTED]) + (", …" if len(missing) > LISTED else "")
    reasons = [f"{v}: {why}" for v, why in list(missing.items())[:LISTED]]
    head = f"q({factor.node} | {', '.join((*factor.given, *missing))})"
    line = f"{head} = {right_side(factor)}"
    it = "it" if len(missing) == 1 else "them"
    return Diagnostic(
        "N0501", f"in the posterior `{factor.node}` depends on {names}, and this factor does not read {it}", factor.span,
        "assumes independence", notes=tuple(reasons), hint=f"to assume less, write `{line}`", severity="note",
    )  # fmt: skip
