"""The statements of a file with loops come in; statements without, whose names stand for copies, go out, with the axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sgdsl.base.diagnostics import Sink
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import Axes, Symbol, read_axes
from sgdsl.frontend.copies.heads import declared, declared_let, factor_node, symbols, with_pieces
from sgdsl.frontend.copies.made import Made
from sgdsl.frontend.copies.references import Resolver
from sgdsl.frontend.copies.sites import Site, sites
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import Refused, report
from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Resolved:
    """`statements`: no loops and no indices but in the heads of nodes, lets and factors, where they are names of `ranges`
    or numbers; each let that is made stands before the statement that reads it."""

    statements: tuple[syntax.Statement, ...]
    axes: tuple[ir.Axis, ...]
    ranges: Mapping[str, ir.Range]


def resolve(statements: Sequence[syntax.Statement], consts: Constants, sink: Sink) -> Resolved:
    """Adds E0420 to E0429; raises DiagnosticError where a loop was refused, since nothing in it is known."""
    before = _errors(sink)
    flat = sites(statements, consts, sink)
    known = symbols(flat, consts)
    names = {
        s.statement.name.text
        for s in flat
        if isinstance(s.statement, syntax.Const | syntax.Net | syntax.Var | syntax.Let)
    }
    axes = read_axes(flat, known, consts, names, sink)
    _barrier(before, sink)
    taken = {*names, *(a.name for a in axes.axes), *(r.name for r in axes.ranges.values())}
    resolver = Resolver(known, axes, consts, Made(taken))
    found: list[syntax.Statement] = []
    for site in flat:
        try:
            statement = _statement(site, known, resolver)
            found += resolver.made.take()
            found.append(statement)
        except Refused as refused:
            report(sink, refused)
    _barrier(before, sink)
    ranges = {r.name: r for r in axes.ranges.values()}
    return Resolved(tuple(_numbered(found, ranges, taken)), axes.axes, ranges)


def _errors(sink: Sink) -> int:
    return sum(d.severity == "error" for d in sink.found)


def _barrier(before: int, sink: Sink) -> None:
    if _errors(sink) > before:
        sink.barrier()


def _statement(site: Site, known: Mapping[str, Symbol], resolver: Resolver) -> syntax.Statement:
    statement, loops, axes = site.statement, site.loops, resolver.axes
    match statement:
        case syntax.Var():
            if not loops and not statement.name.index:
                return statement
            return replace(statement, name=declared(statement.name, "node", loops, axes))
        case syntax.Let():
            plain = not loops and not statement.name.index
            name = statement.name if plain else declared_let(statement, loops, known, axes, resolver.consts)
            return replace(statement, name=name, value=resolver.expression(statement.value, loops))
        case syntax.Net():
            return replace(statement, value=resolver.expression(statement.value, ()))
        case syntax.Factor():
            symbol = known.get(statement.node.text)
            plain = not loops and symbol is None and not statement.node.index
            node = statement.node if plain else factor_node(statement, loops, symbol, axes, resolver.consts)
            given = tuple(resolver.parent(g, loops) for g in statement.given)
            return replace(statement, node=node, given=given, value=resolver.expression(statement.value, loops))
        case _:
            return statement


def _numbered(
    found: list[syntax.Statement], ranges: Mapping[str, ir.Range], taken: set[str]
) -> Iterator[syntax.Statement]:
    """The statements, each factor with its piece."""
    pieces = with_pieces((s for s in found if isinstance(s, syntax.Factor)), taken)
    for statement in found:
        yield (
            replace(statement, piece=pieces[statement.head.start])
            if isinstance(statement, syntax.Factor)
            else statement
        )
