"""A Draft comes in; types, supports, shapes and parameters are checked (E03), and the ir.Model goes out."""

from __future__ import annotations

from sgdsl.base.diagnostics import Sink
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.factors import factor
from sgdsl.frontend.check.lets import read_lets, read_nets, used_nets
from sgdsl.frontend.draft import Draft
from sgdsl.frontend.report import Refused, report
from sgdsl.middle import ir


def check(draft: Draft, sink: Sink) -> ir.Model:
    """The typed model. Adds E03, E0502; what was refused is missing in it."""
    context = Context(draft, sink)
    read_nets(context)
    read_lets(context)
    factors = _factors(context)
    order = {name: i for i, (kind, name) in enumerate(draft.statements) if kind == "let"}
    return ir.Model(
        draft.model.name.text,
        draft.model.doc,
        tuple(draft.nodes.values()),
        tuple(sorted(context.lets.values(), key=lambda h: order[h.name])),
        used_nets(context),
        tuple(f for f in factors if f.side == "p"),
        tuple(f for f in factors if f.side == "q"),
        draft.statements,
        draft.objective,
        draft.train,
        draft.data,
        draft.source,
    )


def _factors(context: Context) -> list[ir.Factor]:
    found = []
    for written in context.draft.factors:
        try:
            found.append(factor(written, context))
        except Refused as refused:
            report(context.sink, refused)
    return found
