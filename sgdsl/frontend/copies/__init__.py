"""The statements of a file with loops come in; statements without, whose names stand for copies, go out, with the axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sgdsl.base.diagnostics import Sink
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import Axes, read_axes
from sgdsl.frontend.copies.heads import declared, declared_let, factor_node, symbols, with_pieces
from sgdsl.frontend.copies.made import Made
from sgdsl.frontend.copies.references import Resolver
from sgdsl.frontend.copies.sites import Loops, Site, sites
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
    names = _declared(flat)
    axes = read_axes(flat, known, consts, names, sink)
    _barrier(before, sink)
    ranges = axes.every
    taken = {*names, *(a.name for a in axes.axes), *ranges}
    resolver = Resolver(known, names, axes, consts, Made(taken))
    heads = [_each(s, lambda site: _head(site, resolver), sink) for s in flat]
    _barrier(before, sink)
    found: list[syntax.Statement] = []
    for site in heads:
        statement = _each(site, lambda site: _body(site, resolver), sink)
        found += (*resolver.made.take(), statement.statement)
    _barrier(before, sink)
    return Resolved(tuple(_numbered(found, axes, taken)), axes.axes, ranges)


def _declared(flat: Sequence[Site]) -> dict[str, syntax.Statement]:
    """Every name of the file, the first declaration of each."""
    names: dict[str, syntax.Statement] = {}
    for site in flat:
        if isinstance(site.statement, syntax.Const | syntax.Net | syntax.Var | syntax.Let):
            names.setdefault(site.statement.name.text, site.statement)
    return names


def _each(site: Site, resolved: Callable[[Site], syntax.Statement], sink: Sink) -> Site:
    """The site with its statement resolved, or as it was where it is refused."""
    try:
        return Site(resolved(site), site.loops)
    except Refused as refused:
        report(sink, refused)
        return site


def _errors(sink: Sink) -> int:
    return sum(d.severity == "error" for d in sink.found)


def _barrier(before: int, sink: Sink) -> None:
    if _errors(sink) > before:
        sink.barrier()


def _head(site: Site, resolver: Resolver) -> syntax.Statement:
    """What is declared, over its ranges."""
    statement, loops, axes = site.statement, site.loops, resolver.axes
    match statement:
        case syntax.Var(_, name) if loops or name.index:
            return replace(statement, name=declared(name, "node", loops, axes))
        case syntax.Let(name) if loops or name.index:
            return replace(statement, name=declared_let(statement, loops, resolver.symbols, axes, resolver.consts))
        case _:
            return statement


def _body(site: Site, resolver: Resolver) -> syntax.Statement:
    """What is read, and the heads of factors."""
    statement, loops = site.statement, site.loops
    match statement:
        case syntax.Let():
            return replace(statement, value=resolver.expression(statement.value, loops))
        case syntax.Net():
            return replace(statement, value=resolver.expression(statement.value, ()))
        case syntax.Factor():
            node = _node(statement, loops, resolver)
            given = tuple(resolver.parent(g, loops) for g in statement.given)
            return replace(statement, node=node, given=given, value=resolver.expression(statement.value, loops))
        case _:
            return statement


def _node(factor: syntax.Factor, loops: Loops, resolver: Resolver) -> syntax.Name:
    """A node that is not declared is found later."""
    node = factor.node
    symbol = resolver.symbols.get(node.text)
    if node.text not in resolver.declared:
        return replace(node, index=())
    if symbol is None and not loops and not node.index:
        return node
    return factor_node(factor, loops, symbol, resolver.axes, resolver.consts)


def _numbered(found: list[syntax.Statement], axes: Axes, taken: set[str]) -> Iterator[syntax.Statement]:
    """The statements, each factor with its piece."""
    pieces = iter(with_pieces([s for s in found if isinstance(s, syntax.Factor)], axes, taken))
    for statement in found:
        yield replace(statement, piece=next(pieces)) if isinstance(statement, syntax.Factor) else statement
