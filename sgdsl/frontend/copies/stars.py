"""An expression comes in; the names in it of which all copies are meant go out."""

from __future__ import annotations

from sgdsl.frontend import syntax
from sgdsl.frontend.copies.places import is_star

REDUCTIONS = ("sum", "mean", "max", "last", "stack")


def starred(expr: syntax.Expr) -> bool:
    """Whether a `*` stands in an expression outside of inner reductions."""
    return next(iter(starred_names(expr)), None) is not None


def starred_names(expr: syntax.Expr) -> list[syntax.Name]:
    match expr:
        case syntax.Name(_, _, index):
            return [expr] if any(map(is_star, index)) else []
        case syntax.Call(syntax.Name(function, _), _, _) if function in REDUCTIONS:
            return []
        case syntax.Call(function, args, _):
            return [*starred_names(function), *(n for a in args for n in starred_names(a.value))]
        case syntax.Of(_, _, _, args, _):
            return [n for a in args for n in starred_names(a.value)]
        case syntax.Unary(arg, _):
            return starred_names(arg)
        case syntax.Binary(_, left, right, _) | syntax.Pipe(left, right, _):
            return [*starred_names(left), *starred_names(right)]
        case syntax.Items(items, _):
            return [n for i in items for n in starred_names(i)]
        case syntax.Item(value, _, _):
            return starred_names(value)
        case _:
            return []
