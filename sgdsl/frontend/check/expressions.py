"""A written expression comes in, an ir.Expr with its shape goes out (E0301, E0310, E0311, E0315)."""

from __future__ import annotations

from typing import assert_never

from sgdsl.base.diagnostics import Label
from sgdsl.base.source import Span
from sgdsl.catalog.functions import FUNCTIONS, FunctionRow
from sgdsl.catalog.shapes import Misfit, Shape, axis_of, broadcast, written
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.copies import class_in_arithmetic, copies
from sgdsl.frontend.check.members import factor_of, fitted, given_to
from sgdsl.frontend.check.networks import network
from sgdsl.frontend.check.stages import applied, is_network, own_weights, parts_of
from sgdsl.frontend.constants import folded, integer
from sgdsl.frontend.report import refusal
from sgdsl.frontend.types import MOST_CELLS
from sgdsl.middle import ir

Parents = tuple[ir.Ref, ...] | None
MOST_SIDE = 4096
_NEEDS_POSITIVE = {"log": 0.0, "sqrt": -1.0}


def value(expr: syntax.Expr, context: Context, parents: Parents) -> ir.Expr:
    """An expression; an unapplied network in it reads `parents` (None in a let: it must be applied). Raises Refused."""
    number = folded(expr, context.draft.consts)
    if number is not None:
        return ir.Number(float(number), (), expr.span)
    match expr:
        case syntax.Name(text, span) if context.is_value(text):
            return context.ref(text, span)
        case syntax.Unary(arg, span):
            inner = cells(arg, context, parents)
            return ir.Operation("neg", (inner,), inner.shape, span)
        case syntax.Binary(op, left, right, span):
            args = (cells(left, context, parents), cells(right, context, parents))
            return ir.Operation(op, args, _broadcast(args, span, context), span)
        case syntax.Items(items, span):
            return _vector(items, span, context, parents)
        case syntax.Call(syntax.Name(text, _), args_, _) if text in FUNCTIONS:
            return _call(FUNCTIONS[text], expr, args_, context, parents)
        case syntax.Call(syntax.Name("learned", _), args_, span):
            return ir.Weight(_sizes(args_, span, context), span)
        case syntax.Item(syntax.Call(syntax.Name("learned", _), args_, _) as inner, _, span):
            return ir.Weight(_sizes(args_, inner.span, context), span, own_weights(expr, context)[1])
        case syntax.Call() | syntax.Pipe() | syntax.Name() | syntax.Item():
            return _apply(expr, context, parents)
        case syntax.View() | syntax.Over() | syntax.Place():
            return copies(expr, context)
        case syntax.Of():
            return _mean(expr, context, parents)
        case syntax.Text(_, span):
            raise refusal("E0315", "a string is no value", span, "a string")
        case syntax.Number() | syntax.Member():
            raise AssertionError("folded, or refused by the parser")
        case _:
            assert_never(expr)


def given(
    expr: syntax.Of, context: Context, parents: Parents
) -> tuple[ir.Use, ir.Factor, tuple[tuple[str, ir.Expr], ...]]:
    """Another model's factor, and the values of the nodes that it reads, in its order. Raises Refused: E0221, E0222, E03."""
    use, factor = factor_of(expr, context)
    found = [(node, value(arg.value, context, parents)) for node, arg in given_to(expr, use, factor)]
    return use, factor, tuple((node.name, fitted(node, v, use, context)) for node, v in found)


def _mean(expr: syntax.Of, context: Context, parents: Parents) -> ir.Expr:
    """The mean of another model's node; of a class its probabilities."""
    use, factor, args = given(expr, context, parents)
    kind = use.node(factor.node).type
    shape = (*kind.event, *kind.sizes) if kind.support == "class" else kind.event
    return ir.Mean(use.name, factor.node, args, shape, expr.span)


def cells(expr: syntax.Expr, context: Context, parents: Parents) -> ir.Expr:
    """An expression whose cells are numbers. Raises Refused: E0310 for a class."""
    found = value(expr, context, parents)
    if isinstance(found, ir.Ref) and found.type.support == "class":
        raise class_in_arithmetic(found, context)
    return found


def _broadcast(args: tuple[ir.Expr, ...], span: Span, context: Context) -> Shape:
    try:
        return broadcast(*(a.shape for a in args))
    except Misfit as misfit:
        raise refusal("E0301", str(misfit), span, "shapes do not fit", labels=_shapes(args, context),
                      hint="shapes are aligned at the right; a size of 1 is repeated") from None  # fmt: skip


def _shapes(args: tuple[ir.Expr, ...], context: Context) -> list[Label]:
    return [label for a in args if isinstance(a, ir.Ref) for label in context.declared(a.name)]


def _vector(items: tuple[syntax.Expr, ...], span: Span, context: Context, parents: Parents) -> ir.Expr:
    if not items:
        raise refusal("E0315", "an empty list is no value", span, "empty")
    found = tuple(cells(i, context, parents) for i in items)
    for item in found[1:]:
        if item.shape != found[0].shape:
            raise refusal("E0301", f"the items of a list differ in shape: {written(found[0].shape)} and {written(item.shape)}",
                          item.span, written(item.shape), labels=[Label(found[0].span, written(found[0].shape))],
                          hint="`concat` joins vectors of different lengths")  # fmt: skip
    return ir.Vector(found, (len(found), *found[0].shape), span)


def _call(
    row: FunctionRow, call: syntax.Call, args: tuple[syntax.Arg, ...], context: Context, parents: Parents
) -> ir.Expr:
    name = call.function
    axis, size, positional = _split(row, args, context)
    _check_count(row, len(positional), name.span)
    if row.name == "zeros":
        shape = _sizes(tuple(positional), call.span, context)
        numbers = tuple(ir.Number(float(s), (), a.span) for s, a in zip(shape, positional, strict=True))
        return ir.Call("zeros", numbers, None, shape, call.span)
    found = tuple(cells(a.value, context, parents) for a in positional)
    _check_constant(row, found)
    if row.size and not size:
        raise refusal("E0311", f"`{row.name}` needs a size", call.span, "no size", hint=row.help)
    try:
        shape = row.rule(tuple(a.shape for a in found), axis)
        if row.name == "reshape":
            shape = (_channels(shape[0], size), *size)
        shape = (*shape[: len(shape) - len(size)], *size)
        axis = None if axis is None else axis_of(axis, max(1, len(found[0].shape)))
    except Misfit as misfit:
        raise refusal("E0301", f"`{row.name}`: {misfit}", call.span, "shapes do not fit", labels=_shapes(found, context),
                      hint=row.help) from None  # fmt: skip
    return ir.Call(row.name, found, axis, shape, call.span)


def _channels(cells: int, size: Shape) -> int:
    """Of a map of that height and width. Raises Misfit."""
    height, width = size
    if cells % (height * width):
        raise Misfit(f"{cells:,} cells are no number of maps of {height} × {width}")
    return cells // (height * width)


def _split(
    row: FunctionRow, args: tuple[syntax.Arg, ...], context: Context
) -> tuple[int | None, Shape, list[syntax.Arg]]:
    """The axis, the size, and the arguments without a name."""
    axis: int | None = None
    size: Shape = ()
    for arg in args:
        if arg.name is not None and arg.name.text == "size" and row.size:
            size = _size(arg.value, context)
        elif arg.name is not None:
            if arg.name.text != "axis" or not row.axis:
                options = "`axis`" if row.axis else "`size`" if row.size else "none"
                raise refusal("E0311", f"`{row.name}` has no option `{arg.name.text}`", arg.name.span, "not an option",
                              hint=f"options: {options}")  # fmt: skip
            axis = integer(arg.value, context.draft.consts, "an axis", -100, 100, "E0311")
    return axis, size, [a for a in args if a.name is None]


def _size(expr: syntax.Expr, context: Context) -> Shape:
    """`[h, w]`."""
    if not isinstance(expr, syntax.Items) or len(expr.items) != 2:
        raise refusal("E0311", "`size` is a height and a width", expr.span, "not two numbers", hint="size = [28, 28]")
    return tuple(integer(i, context.draft.consts, "a size", 1, MOST_SIDE, "E0311") for i in expr.items)


def _check_count(row: FunctionRow, count: int, span: Span) -> None:
    if count < row.least or (row.most is not None and count > row.most):
        wanted = f"{row.least}" if row.most == row.least else f"at least {row.least}"
        plural = "" if wanted == "1" else "s"
        raise refusal(
            "E0311", f"`{row.name}` takes {wanted} value{plural}, not {count}", span, f"{count} given", hint=row.help
        )


def _check_constant(row: FunctionRow, args: tuple[ir.Expr, ...]) -> None:
    """Constants outside of what a function is defined on; bounds of clamp the wrong way round."""
    numbers = [a.value if isinstance(a, ir.Number) else None for a in args]
    low = _NEEDS_POSITIVE.get(row.name)
    if low is not None and numbers[0] is not None and (numbers[0] < 0 or numbers[0] == low):
        raise refusal("E0311", f"`{row.name}` of {numbers[0]:g} is not defined", args[0].span, "out of its range")
    if row.name == "clamp" and numbers[1] is not None and numbers[2] is not None and numbers[1] > numbers[2]:
        raise refusal("E0311", f"`clamp` to [{numbers[1]:g}, {numbers[2]:g}] leaves nothing", args[1].span.to(args[2].span),
                      "low above high", hint="clamp(x, low, high)")  # fmt: skip


def _sizes(args: tuple[syntax.Arg, ...], span: Span, context: Context) -> Shape:
    """The shape of `learned(n, …)` or `zeros(n, …)`."""
    for arg in args:
        if arg.name is not None:
            raise refusal("E0311", f"there is no option `{arg.name.text}`", arg.name.span, "not an option")
    if not args:
        raise refusal("E0311", "a size is missing", span, "no size", hint="write learned(1), zeros(8)")
    shape = tuple(integer(a.value, context.draft.consts, "a size", 1, MOST_CELLS, "E0311") for a in args)
    cells_ = 1
    for size in shape:
        cells_ *= size
    if cells_ > MOST_CELLS:
        raise refusal("E0311", f"{written(shape)} has more than {MOST_CELLS:,} cells", span, "too large")
    return shape


def _apply(expr: syntax.Expr, context: Context, parents: Parents) -> ir.Expr:
    """A network in an expression."""
    name = expr.function if isinstance(expr, syntax.Call) else expr
    name = name.value if isinstance(name, syntax.Item) else name
    if isinstance(name, syntax.Name) and name.text in ("table", "learned"):
        hint = "`learned(n)` has a shape of its own" if name.text == "learned" else "read the node by `linear(n)` here"
        raise refusal("E0315", f"`{name.text}` stands alone in an argument, not in an expression", expr.span, "in an expression",
                      hint=hint)  # fmt: skip
    if not is_network(expr, context):
        raise refusal("E0315", "this cannot be applied", expr.span, "no function", hint="write `*` for a product")
    inner, args = applied(expr, context)
    network_, copies_ = own_weights(inner, context)
    parts = parts_of(network_, context)
    inputs = parents if args is None else inputs_of(args, context, parents)
    if inputs is None:
        raise refusal("E0315", "a network in a let is applied to what it reads", expr.span, "reads nothing",
                      hint="write `mlp(64)(x)`; a `net` names a network without applying it")  # fmt: skip
    made = network(parts, inputs, context, expr.span, None, copies_)
    return ir.Apply(made, made.output, expr.span)


def inputs_of(args: tuple[syntax.Arg, ...], context: Context, parents: Parents) -> tuple[ir.Expr, ...]:
    """What a network is applied to; a class may stand here alone. Raises Refused: E0306."""
    for arg in args:
        if arg.name is not None:
            raise refusal("E0306", "a network is applied to values without names", arg.span, f"`{arg.name.text} =`",
                          hint="options stand with the sizes: `mlp(64, act = tanh)(x)`")  # fmt: skip
    return tuple(value(a.value, context, parents) for a in args)
