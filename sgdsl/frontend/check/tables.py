"""`table` comes in with the factor's parents; the ir.Table of one row for each of their values goes out (E0308)."""

from __future__ import annotations

import math

from sgdsl.catalog.shapes import Shape
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir

MOST_ROWS = 1_000_000
MOST_NUMBERS = 2**30


def table(
    parents: tuple[ir.Ref, ...], expr: syntax.Expr, args: tuple[syntax.Arg, ...], shape: Shape, context: Context
) -> ir.Table:
    """`table` reads the parents in the order written; `table(c)` the named ones. Raises Refused: E0308."""
    if isinstance(expr, syntax.Call):
        parents = tuple(_argument(a, context) for a in args)
    if not parents:
        raise refusal("E0308", "`table` has a row for each value of its parents, and there are none", expr.span, "no parent",
                      hint="write `learned`")  # fmt: skip
    rows = 1
    for parent in parents:
        if parent.type.partial:
            raise refusal("E0308", f"`table` has no row for a missing cell of `{parent.name}`", expr.span, "partial parent",
                          labels=context.declared(parent.name), hint="write a network, `mlp(64)`")  # fmt: skip
        if parent.type.cardinality is None:
            raise refusal("E0308", f"`table` reads class, binary and count(a, b) nodes; `{parent.name}` is {parent.type}",
                          expr.span, f"cannot look up `{parent.name}`", labels=context.declared(parent.name),
                          hint="write a network, `mlp(64)`")  # fmt: skip
        if parent.type.cells > 64:
            rows = MOST_ROWS + 1
        rows = min(MOST_ROWS + 1, rows * parent.type.cardinality)
    if rows > MOST_ROWS or rows * math.prod(shape) > MOST_NUMBERS:
        raise refusal("E0308", f"the table would have more than {MOST_ROWS:,} rows", expr.span, "too large",
                      hint="write a network, `mlp(64)`")  # fmt: skip
    return ir.Table(parents)


def _argument(arg: syntax.Arg, context: Context) -> ir.Ref:
    if arg.name is None and isinstance(arg.value, syntax.Name) and context.is_value(arg.value.text):
        return context.ref(arg.value.text, arg.value.span)
    raise refusal("E0308", "`table` reads nodes", arg.span, "not a node", hint="write `table`, or `table(c)`")
