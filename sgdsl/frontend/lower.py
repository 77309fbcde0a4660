"""A syntax tree comes in; a Draft goes out, in which every name is known to stand for something (E02) and every
constant, type (E0303, E0312) and setting (E06) is a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import NOWHERE, Source
from sgdsl.frontend import syntax
from sgdsl.frontend.auto import read_auto
from sgdsl.frontend.constants import constant
from sgdsl.frontend.copies import resolve
from sgdsl.frontend.draft import Draft, ranges_of
from sgdsl.frontend.names import Declaration, Visible, check_names, declare, reads, typed_by
from sgdsl.frontend.order import ordered
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.frontend.sections import Settings
from sgdsl.frontend.sides import check_factor
from sgdsl.frontend.types import resolve_type
from sgdsl.middle import ir

_PARTIAL = {
    "given": "what is conditioned on is always there: give it a value, and a mask as a further given node",
    "supervised": "a label is known or not as a whole: leave `partial` out, or declare a node for each part",
    "latent": "a latent node is never in the data: leave `partial` out",
}
Body = TypeVar("Body", syntax.Let, syntax.Net)


def lower(tree: syntax.File, source: Source, sink: Sink, overrides: Sequence[str] = ()) -> Draft:
    """The draft of a file. Adds E02, E0303, E0312, E0406 (a let that reads itself) and E06."""
    consts = _consts(tree.statements, sink)
    resolved = resolve(tree.statements, consts, sink)
    statements, ranges = resolved.statements, resolved.ranges
    declared = declare(statements, sink)
    nodes = {name: _node(d, consts, ranges, sink) for name, d in declared.items() if isinstance(d, syntax.Var)}
    lets = _in_order({n: d for n, d in declared.items() if isinstance(d, syntax.Let)}, declared, sink)
    nets = _in_order({n: d for n, d in declared.items() if isinstance(d, syntax.Net)}, declared, sink)
    reach = _reach(lets, nodes, declared)
    factors = tuple(s for s in statements if isinstance(s, syntax.Factor))
    _check_bodies(declared, sink)
    for factor in factors:
        check_factor(factor, declared, reach, sink)
    owners = _owners(statements)
    auto = read_auto(statements, declared, len(owners), sink)
    settings = Settings(source, sink, consts, nodes)
    settings.read(statements)
    settings.override(overrides)
    return Draft(
        source,
        tree.model or syntax.ModelLine(syntax.Name("model", NOWHERE), "", NOWHERE),
        consts,
        nodes,
        lets,
        nets,
        reach,
        factors,
        owners,
        settings.section("objective"),
        settings.section("train"),
        settings.data(),
        auto,
        axes=resolved.axes,
        ranges=ranges,
        file_lets=tuple(s.name.text for s in statements if isinstance(s, syntax.Let)),
    )


def _consts(statements: Sequence[syntax.Statement], sink: Sink) -> dict[str, float]:
    """Of two consts of one name, which `declare` refuses, the first."""
    own = {s.name.text: s for s in reversed(statements) if isinstance(s, syntax.Const)}
    own = dict(reversed(own.items()))
    order, cycles = ordered({n: reads(d.value, own) for n, d in own.items()})
    consts: dict[str, float] = dict.fromkeys((n for cycle in cycles for n in cycle), 1)
    for cycle in cycles:
        report(sink, _itself("const", cycle, own))
    for name in order:
        consts[name] = 1
        try:
            consts[name] = constant(own[name].value, consts)
        except Refused as refused:
            report(sink, refused)
    return consts


def _itself(kind: str, cycle: tuple[str, ...], declared: Mapping[str, Declaration]) -> Refused:
    path = " → ".join((*cycle, cycle[0]))
    labels = [Label(declared[n].name.span, "and this") for n in cycle[1:]]
    code = "E0406" if kind == "let" else "E0206"
    return refusal(code, f"a {kind} that reads itself: {path}", declared[cycle[0]].name.span, "reads itself",
                   labels=labels, hint="drop one of these references")  # fmt: skip


def _node(var: syntax.Var, consts: Mapping[str, float], ranges: Mapping[str, ir.Range], sink: Sink) -> ir.Node:
    try:
        kind = resolve_type(var.type, consts)
    except Refused as refused:
        report(sink, refused)
        kind = ir.Type("real")
    if var.partial is not None and var.role != "observed":
        report(sink, refusal("E0411", f"`partial` is of observed nodes, and `{var.name.text}` is {var.role}", var.partial,
                             f"{var.role} and partial", hint=_PARTIAL[var.role]))  # fmt: skip
    elif var.partial is not None:
        kind = replace(kind, partial=True)
    return ir.Node(var.name.text, var.role, kind, var.name.span, ranges_of(var.name, ranges))


def _in_order(own: dict[str, Body], declared: Mapping[str, Declaration], sink: Sink) -> dict[str, Body]:
    """Lets or nets such that each reads only earlier ones; those on a cycle are reported and left out."""
    order, cycles = ordered({n: reads(typed_by(d.value), own) for n, d in own.items()})
    for cycle in cycles:
        kind = "let" if isinstance(own[cycle[0]], syntax.Let) else "net"
        report(sink, _itself(kind, cycle, declared))
    return {name: own[name] for name in order}


def _reach(
    lets: Mapping[str, syntax.Let], nodes: Mapping[str, ir.Node], declared: Mapping[str, Declaration]
) -> dict[str, frozenset[str]]:
    """The nodes that each let reads, transitively; a let may read its own earlier copy."""
    direct = {name: reads(let.value, declared) for name, let in lets.items()}
    found: dict[str, frozenset[str]] = {}
    for name in lets:
        seen, stack = {name}, [name]
        while stack:
            more = [n for n in direct.get(stack.pop(), ()) if n not in seen]
            seen.update(more)
            stack += more
        found[name] = frozenset(n for n in seen if n in nodes)
    return found


def _check_bodies(declared: Mapping[str, Declaration], sink: Sink) -> None:
    """The names in lets (any node or let) and nets (no node or let)."""
    values = frozenset(n for n, d in declared.items() if isinstance(d, syntax.Var | syntax.Let))
    for declaration in declared.values():
        match declaration:
            case syntax.Let(implicit=False):
                check_names(declaration.value, Visible(values, "a let"), declared, sink)
            case syntax.Net():
                check_names(declaration.value, Visible(frozenset(), "a net"), declared, sink)
            case syntax.Const() | syntax.Var() | syntax.Let() | syntax.Use():
                pass


def _owners(statements: Sequence[syntax.Statement]) -> tuple[tuple[str, str], ...]:
    """(kind, name) of everything that may own weights, in the order of the file."""
    found: list[tuple[str, str]] = []
    for statement in statements:
        match statement:
            case syntax.Let(name, implicit=False):
                found.append(("let", name.text))
            case syntax.Net(name, _, _):
                found.append(("net", name.text))
            case syntax.Factor(side, node, piece=piece):
                found.append((side, f"{node.text}_{piece}" if piece else node.text))
            case _:
                pass
    return tuple(found)
