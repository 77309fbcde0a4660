"""A model with loops comes in; the axes on which p tells copies apart by more than their order go out: they are no plates."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.middle import ir
from sgdsl.middle.graphs import expressions, factor_reads, let_graph, networks, walk


def told_apart(model: ir.Model) -> frozenset[str]:
    """Where copies have weights of their own in p, are read by their place or one by its number, or are read side by side."""
    lets = let_graph(model)
    names = [name for factor in model.p for name in factor_reads(factor)]
    read = {*names, *lets.graph.ancestors(*names)}
    found = {axis for let in model.lets if let.name in read for axis in _by_let(let, model)}
    for factor in model.p:
        found |= set(_by_factor(factor.trunk, factor.parameters))
        axes = zip(factor.place, model.node(factor.node).axes, strict=True)
        found |= {r.axis for where, r in axes if where != r}
    return frozenset(found)


def _by_let(let: ir.Let, model: ir.Model) -> Iterator[str]:
    match let.value:
        case ir.Place(range, _, _):
            yield range.axis
        case ir.Over("stack" | "last", source, _, _):
            yield model.valued(source.name).axes[-1].axis
        case ir.View(source, at, _, _, _):
            yield from (
                r.axis for where, r in zip(at, model.valued(source.name).axes, strict=True) if isinstance(where, int)
            )
        case value:
            yield from _by_expression(value)


def _by_expression(expr: ir.Expr) -> Iterator[str]:
    yield from (r.axis for network in networks(expr) for r in network.copies)
    yield from (r.axis for part in walk(expr) if isinstance(part, ir.Weight) for r in part.copies)


def _by_factor(trunk: ir.Network | None, parameters: tuple[ir.Parameter, ...]) -> Iterator[str]:
    for expr in expressions(trunk, parameters):
        yield from _by_expression(expr)
    for parameter in parameters:
        match parameter.source:
            case ir.Table(_, copies) | ir.Learned(_, copies):
                yield from (r.axis for r in copies)
            case ir.Product(experts) | ir.Mixture(experts):
                for expert in experts:
                    yield from _by_factor(expert.trunk, expert.parameters)
            case _:
                pass
