"""The written lets and nets come in; ir.Lets and ir.Nets, with shapes, go out (E0107, E0315)."""

from __future__ import annotations

from dataclasses import replace

from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.copies import check_recursion, class_in_arithmetic, type_of_copies
from sgdsl.frontend.check.expressions import value
from sgdsl.frontend.check.networks import DEEPEST
from sgdsl.frontend.check.stages import applied, is_network, parts_of
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.middle import ir


def read_nets(context: Context) -> None:
    """The parts of every net, before it is used; one that is refused keeps no parts."""
    depth: dict[str, int] = {}
    for name, net in context.draft.nets.items():
        context.plain[name] = ()
        try:
            if not is_network(net.value, context) or applied(net.value, context)[1] is not None:
                raise refusal("E0315", "a net names a network that is applied where it is used", net.value.span, "not a network",
                              hint=f"write `net {name} = mlp(64)` and `{name}(x)`; a value is a `let`")  # fmt: skip
            parts = parts_of(net.value, context)
            if any(isinstance(p, ir.NetUse) and not context.plain[p.net] for p in parts):
                raise Refused()
            inner = [depth.get(p.net, 0) for p in parts if isinstance(p, ir.NetUse)]
            depth[name] = 1 + max(inner, default=0)
            if depth[name] > DEEPEST:
                raise refusal("E0107", f"nets are nested deeper than {DEEPEST}", net.name.span, "too deep")
            context.plain[name] = parts
        except Refused as refused:
            report(context.sink, refused)


def read_lets(context: Context) -> None:
    """Every let, each after those that it reads; one that is refused stays out, and its readers with it."""
    for name, let in context.draft.lets.items():
        try:
            found = value(let.value, context, None)
            if isinstance(found, ir.Ref) and found.type.partial and found.type.one_hot:
                raise class_in_arithmetic(found, context)
        except Refused as refused:
            report(context.sink, refused)
            continue
        context.lets[name] = ir.Let(name, found, _type(found), let.name.span, context.axes_of(name))
    for let in context.draft.lets.values():
        try:
            check_recursion(let, context)
        except Refused as refused:
            report(context.sink, refused)


def _type(value: ir.Expr) -> ir.Type:
    if isinstance(value, ir.Ref):
        return replace(value.type, partial=False)
    return type_of_copies(value) or ir.Type("real", (), value.shape)


def used_nets(context: Context) -> tuple[ir.Net, ...]:
    """The nets in the order of the file, with the shapes of their use."""
    found = []
    for name, parts in context.plain.items():
        span = context.draft.nets[name].name.span
        use = context.uses.get(name)
        found.append(ir.Net(name, use.parts if use else parts, use is not None, span))
    place = {name: i for i, (kind, name) in enumerate(context.draft.statements) if kind == "net"}
    return tuple(sorted(found, key=lambda n: place[n.name]))
