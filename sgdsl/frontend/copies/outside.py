"""A reference to copies that do not exist comes in; which copy reads which, and the way out, go out (E0421)."""

from __future__ import annotations

from sgdsl.base.diagnostics import Label
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import Symbol
from sgdsl.frontend.copies.text import indices
from sgdsl.frontend.report import Refused, refusal
from sgdsl.middle import ir


def no_copy(
    name: syntax.Name, symbol: Symbol, position: int, where: ir.Lag | int, outside: list[int], own: ir.Range
) -> Refused:
    """E0421"""
    copy = outside[0]
    item = name.index[position]
    shown = (
        f"{name.text}{indices((*name.index[:position], syntax.Number(copy, item.span), *name.index[position + 1 :]))}"
    )
    notes = [f"the copies of `{name.text}` are {own.first}..{own.last}"]
    hint = ""
    if isinstance(where, ir.Lag):
        reader = copy - where.offset
        notes.insert(0, f"copy {reader} reads `{shown}`")
        less = where.range.last if reader == where.range.first else where.range.first
        again = f"{where.range.first + len(outside)}..{less}" if reader == where.range.first else (
            f"{less}..{where.range.last - len(outside)}")  # fmt: skip
        hint = f"write copy {reader} on its own, outside of the loop, and let the loop run over {again}"
    return refusal("E0421", f"there is no `{shown}`", item.span, f"no copy {copy}", labels=[Label(symbol.span, "declared here")],
                   notes=notes, hint=hint)  # fmt: skip
