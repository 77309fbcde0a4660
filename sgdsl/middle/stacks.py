"""Weights of which each copy of a loop has its own: a factor or let comes in, the ranges of the stacks that it owns go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_expressions, walk


def factor_copies(factor: ir.Factor) -> tuple[ir.Range, ...]:
    """The ranges whose copies have weights of their own in a factor, each once."""
    found = [r for expr in factor_expressions(factor) for r in _copies(expr)]
    return tuple(dict.fromkeys((*found, *_of_parameters(factor.parameters))))


def let_copies(let: ir.Let) -> tuple[ir.Range, ...]:
    return tuple(dict.fromkeys(_copies(let.value)))


def numbers_of(ranges: Iterable[ir.Range]) -> ir.Shape:
    """How many copies each has: the dimensions of a stack in front of a weight's own."""
    return tuple(r.copies for r in ranges)


def has_copies(expr: ir.Expr) -> bool:
    return any(True for _ in _copies(expr))


def _copies(expr: ir.Expr) -> Iterator[ir.Range]:
    for part in walk(expr):
        if isinstance(part, ir.Apply):
            yield from part.network.copies
        elif isinstance(part, ir.Weight):
            yield from part.copies


def _of_parameters(parameters: Iterable[ir.Parameter]) -> Iterator[ir.Range]:
    for parameter in parameters:
        match parameter.source:
            case ir.Table() | ir.Learned() as source:
                yield from source.copies
            case ir.Product() | ir.Mixture() as source:
                for expert in source.experts:
                    yield from _of_parameters(expert.parameters)
            case _:
                pass
