"""Copies of a loop at other places, or taken together, come in; their values and types go out (E0301, E0310)."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from sgdsl.base.source import Span
from sgdsl.catalog.shapes import written
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


def copies(expr: syntax.Copies, context: Context) -> ir.Expr:
    """Raises Refused: E0301, E0310."""
    match expr:
        case syntax.View(source, at, edges, span):
            alone = tuple((place, context.ref(name.text, name.span)) for place, name in edges)
            _check_alike([ref for _, ref in alone], context)
            kind = alone[0][1] if alone else context.ref(source.text, source.span)
            return ir.View(ir.Ref(source.text, kind.type, kind.shape, span), at, alone, kind.shape, span)
        case syntax.Over(function, source, span):
            ref = context.ref(source.text, span)
            if ref.type.support == "class" and function not in ("stack", "last"):
                raise class_in_arithmetic(ref, context)
            shape = (context.axes_of(source.text)[-1].copies, *ref.shape) if function == "stack" else ref.shape
            return ir.Over(function, ref, shape, span)
        case syntax.Place(range, span):
            return ir.Place(range, (), span)
        case _:
            assert_never(expr)


def type_of_copies(expr: ir.Expr) -> ir.Type | None:
    """The type of a let that is copies of a node or let: theirs, or several of it; None for other expressions."""
    match expr:
        case ir.View(source, _, _, _):
            return source.type
        case ir.Over("stack", source, shape, _):
            return replace(source.type, shape=(shape[0], *source.type.shape))
        case ir.Over("last", source, _, _):
            return source.type
        case ir.Place(range, _, _):
            return ir.Type("class", (range.copies,))
        case _:
            return None


def check_recursion(let: syntax.Let, context: Context) -> None:
    """Copies written alone have the type of the others. Raises Refused: E0301."""
    if isinstance(let.value, syntax.View) and let.value.edges:
        source = context.ref(let.value.source.text, let.value.source.span)
        _check_alike([source, *(context.ref(name.text, name.span) for _, name in let.value.edges)], context)


def _check_alike(refs: list[ir.Ref], context: Context) -> None:
    for other in refs[1:]:
        if other.shape != refs[0].shape or other.type != refs[0].type:
            raise refusal("E0301", f"`{other.name}` is {written(other.shape)}, and `{refs[0].name}` is {written(refs[0].shape)}",
                          _place_of(other, context), written(other.shape), labels=context.declared(refs[0].name),
                          hint="the copies of a let have one shape")  # fmt: skip


def _place_of(ref: ir.Ref, context: Context) -> Span:
    return context.draft.lets[ref.name].name.span


def class_in_arithmetic(ref: ir.Ref, context: Context) -> Exception:
    """E0310"""
    let = context.lets.get(ref.name)
    if let is not None and isinstance(let.value, ir.Place):
        return refusal("E0310", "the index of a loop is a class: its values are no numbers", ref.span, "a class",
                       hint="let a network read it, `linear(1)(i)`, or give every copy a weight: `learned(1)[i]`")  # fmt: skip
    return refusal("E0310", f"`{ref.name}` is {ref.type}: its values are no numbers", ref.span, "a class",
                   labels=context.declared(ref.name),
                   hint=f"let a network read it, `linear(1)({ref.name})`, or declare it count(0, k)")  # fmt: skip
