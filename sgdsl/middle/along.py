"""Sums along chains in words: a model and its plan come in; which sums each chain takes, and how many products, goes out."""

from __future__ import annotations

from sgdsl.middle import ir
from sgdsl.middle.elimination import Message
from sgdsl.middle.plan import Plan
from sgdsl.middle.written import copy_text


def chains_in_words(model: ir.Model, plan: Plan) -> tuple[str, ...]:
    """A line a chain."""
    return tuple(_line(model, plan, name) for name in plan.scopes.chains)


def _line(model: ir.Model, plan: Plan, name: str) -> str:
    node = model.node(name)
    *outer, r = node.axes
    values, readings = node.type.values or 1, plan.scopes.readings
    found = [m for m in plan.messages if m.along and m.over == name and _joins(plan, m)]
    count = model.axis(r.axis).count
    copy, loop = copy_text(name, node.axes), f"{r.axis}={r.first}..{count or r.last}"
    if not found:
        return f"{copy}: {loop} apart, a sum over {values} values a copy: nothing that is summed reads neighbours"
    weighed = any(readings.keys() & set(m.scope) and not is_forward(model, plan, m) for m in found)
    sums = "forward and backward sums" if weighed else "forward sums"
    each = f" for each {', '.join(o.axis for o in outer)}" if outer else ""
    steps = f"{f'{count} − 1' if count else r.copies - 1} steps of {values} × {values}"
    known = "; a known copy has one value" if node.role == "supervised" else ""
    return f"{copy}: the {values}^{count or r.copies} paths along {loop} by {sums}, {steps}{each}{known}"


def _joins(plan: Plan, message: Message) -> bool:
    """Whether a factor reads two neighbours."""
    readings = plan.scopes.readings
    return any(sum(n in readings for n in scope) > 1 for _, scope in message.product.factors)


def is_forward(model: ir.Model, plan: Plan, message: Message) -> bool:
    """Whether each factor is a copy's density given the copy before it, so that nothing behind a copy bears on it."""
    pieces = {f.id: f for f in model.pieces("q", message.over)}
    readings = plan.scopes.readings
    for key, scope in message.product.factors:
        unweighed = key.kind == "draw" or (key.kind == "q" and model.node(message.over).role == "latent")
        if not unweighed or key.node not in pieces:
            return False
        own = plan.scopes.own(pieces[key.node])
        if any(readings[n].offset > readings[own].offset for n in scope if n in readings):
            return False
    return True
