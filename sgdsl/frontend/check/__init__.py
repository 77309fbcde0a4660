"""A Draft comes in; types, supports, shapes and parameters are checked (E03), and the ir.Model goes out."""

from __future__ import annotations

from dataclasses import replace

from sgdsl.base.diagnostics import Sink
from sgdsl.frontend import syntax
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
    order = {name: i for i, name in enumerate(draft.file_lets)}
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
        draft.axes,
        uses=tuple(draft.uses.values()),
        made=draft.lines,
    )


def _factors(context: Context) -> list[ir.Factor]:
    found = []
    for written in context.draft.factors:
        try:
            found.append(factor(written, context))
        except Refused as refused:
            report(context.sink, _named(refused, written, context))
    return found


def _named(refused: Refused, written: syntax.Factor, context: Context) -> Refused:
    """A mistake that shows in a made factor says in which, since its place is another line."""
    found = refused.diagnostic
    if found is None or written.side == "p" or written.text not in context.draft.made:
        return refused
    return Refused(replace(found, notes=(*found.notes, f"in the made factor {written.text}")))
