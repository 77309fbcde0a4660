"""The parameters of one factor: its arguments come in, where each parameter comes from and its shape go out.

A scale that is headed, learned or from a table, of an observed or supervised continuous node, gets the floor 1e-2."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.families import Domain, FamilyRow, ParameterRow
from sgdsl.catalog.shapes import Shape, fits, written
from sgdsl.frontend import syntax
from sgdsl.frontend.check.arguments import Arguments, Given
from sgdsl.frontend.check.constants import check_range
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.expressions import cells, inputs_of, value
from sgdsl.frontend.check.networks import network
from sgdsl.frontend.check.stages import applied, is_network, own_weights, parts_of
from sgdsl.frontend.check.tables import table
from sgdsl.frontend.constants import integer
from sgdsl.frontend.report import refusal
from sgdsl.frontend.types import MOST_CELLS
from sgdsl.middle import ir

FLOOR = 1e-2
_CONTINUOUS = ("real", "positive", "unit")


@dataclass(frozen=True, slots=True)
class Target:
    """The family whose parameters are asked for, as written in `value`, of a factor with these parents."""

    value: syntax.Expr
    family: FamilyRow
    node: ir.Node
    parents: tuple[ir.Ref, ...]

    def shape(self, row: ParameterRow) -> Shape:
        """A parameter's shape: that of a value; for Categorical's logits one number for each class behind it; for scale_tril
        a square."""
        return row.shape(self.node.type.event, self.node.type.values or 0)


def trunk(target: Target, shared: syntax.Expr | None, context: Context) -> ir.Network | None:
    """The one network whose heads serve every parameter not named; None for `table`, `learned`, or no network."""
    if shared is None or _source_word(shared) is not None:
        return None
    served = target.family.parameters[0]
    return _network(target, shared, target.shape(served), context)


def parameter(target: Target, row: ParameterRow, args: Arguments, context: Context) -> ir.Parameter:
    """One parameter. Raises Refused: E03."""
    shape = target.shape(row)
    given = args.own.get(row.name)
    name = row.name
    if given is not None and is_network(given.expr, context):
        source = _headed(target, given.expr, row, shape, context)
    elif given is not None:
        name = given.name
        source = _value(target, given, row, shape, context)
    elif args.shared is not None:
        special = _source_word(args.shared) is not None
        source = _headed(target, args.shared, row, shape, context) if special else ir.Head()
    elif row.default is not None:
        source = ir.Default(row.default)
    else:
        raise _missing(target, row, args)
    return ir.Parameter(name, source, shape, _floor(target, row, source, args))


def _source_word(expr: syntax.Expr) -> str | None:
    """`table` or `learned`, bare or called."""
    inner = expr.value if isinstance(expr, syntax.Item) else expr
    name = inner.function if isinstance(inner, syntax.Call) else inner
    return name.text if isinstance(name, syntax.Name) and name.text in ("table", "learned") else None


def _headed(target: Target, expr: syntax.Expr, row: ParameterRow, shape: Shape, context: Context) -> ir.ParameterSource:
    """A network of its own, a table or a free tensor."""
    if row.domain == "value" and target.node.type.support != "real":
        raise refusal("E0304", f"`Delta` has no network for {target.node.type}: give its value", expr.span, "a network",
                      hint="a value of the node's support: `Delta(exp(linear(8)(x)))`")  # fmt: skip
    inner, copies = own_weights(expr, context)
    args = inner.args if isinstance(inner, syntax.Call) else ()
    match _source_word(expr):
        case "table":
            return replace(table(target.parents, inner, args, row.free(shape), context), copies=copies)
        case "learned":
            return replace(_learned(inner, args, row, shape, context), copies=copies)
        case _:
            return ir.Own(_network(target, expr, row.free(shape), context))


def _network(target: Target, expr: syntax.Expr, shape: Shape, context: Context) -> ir.Network:
    written, args = applied(expr, context)
    inner, copies = own_weights(written, context)
    inputs = target.parents if args is None else inputs_of(args, context, target.parents)
    return network(parts_of(inner, context), inputs, context, expr.span, shape, copies)


def _learned(
    expr: syntax.Expr, args: tuple[syntax.Arg, ...], row: ParameterRow, shape: Shape, context: Context
) -> ir.Learned:
    """`learned`: the parameter's shape, of a triangle its entries; `learned(1)`: one number."""
    if not isinstance(expr, syntax.Call):
        return ir.Learned(row.free(shape))
    if row.domain in ("triangle", "axis"):
        raise refusal("E0301", f"`{row.name}` is learned as a whole", expr.span, "a part of it",
                      hint="write `learned`")  # fmt: skip
    sizes = tuple(integer(a.value, context.draft.consts, "a size", 1, MOST_CELLS, "E0301") for a in args)
    if sizes not in ((1,), shape):
        raise refusal("E0301", f"`learned` is of the parameter's shape {written(shape)}, or learned(1)", expr.span,
                      written(sizes), hint="write `learned` or `learned(1)`")  # fmt: skip
    return ir.Learned(sizes if shape else ())


def _value(target: Target, given: Given, row: ParameterRow, shape: Shape, context: Context) -> ir.Value:
    if row.domain == "value":
        return ir.Value(_delta(target, given, context))
    found = cells(given.expr, context, target.parents)
    if not (found.shape == shape if row.domain in ("triangle", "axis") else fits(found.shape, shape)):
        node = target.node
        raise refusal("E0301", f"`{given.name}` of `{node.name}` is {written(shape)}, and this is {written(found.shape)}",
                      given.expr.span, written(found.shape), labels=[Label(node.span, f"{node.type}, declared here")],
                      hint=_shaping(row))  # fmt: skip
    check_range(target.family, given.name, row.domain, found, shape)
    return ir.Value(found)


def _shaping(row: ParameterRow) -> str:
    if row.domain == "triangle":
        return "a lower triangle L, the covariance is L Lᵀ: rows of numbers, zeros above the diagonal; or `learned`"
    if row.domain == "axis":
        return "a direction has every cell, and gets length 1: `[0, 0, 1]`"
    return "a value broadcasts to its parameter; a network gets a head of the right shape"


def _delta(target: Target, given: Given, context: Context) -> ir.Expr:
    """The value of a Delta: of the node's own kind."""
    node = target.node
    found = value(given.expr, context, target.parents)
    label = [Label(node.span, f"{node.type}, declared here")]
    if isinstance(found, ir.Ref) and found.type.support in ("class", "range", "count", "binary"):
        if (found.type.support, found.type.sizes) != (node.type.support, node.type.sizes):
            raise refusal("E0302", f"`{found.name}` is {found.type}, and `{node.name}` is {node.type}", found.span,
                          str(found.type), labels=label)  # fmt: skip
    elif node.type.values is not None or node.type.support == "count":
        raise refusal("E0302", f"`{node.name}` is {node.type}: its value is another node of that type", given.expr.span,
                      "not of that type", labels=label)  # fmt: skip
    if not fits(found.shape, node.type.event):
        message = f"`{node.name}` is {written(node.type.event)}, and this is {written(found.shape)}"
        raise refusal("E0301", message, given.expr.span, written(found.shape), labels=label)
    if node.type.support in ("positive", "unit"):
        domain: Domain = "positive" if node.type.support == "positive" else "probability"
        check_range(target.family, "value", domain, found, node.type.event)
    return found


def _missing(target: Target, row: ParameterRow, args: Arguments) -> Exception:
    family, expr = target.family, target.value
    if args.own:
        return refusal("E0304", f"`{family.name}` needs `{row.name}`", expr.span, f"no `{row.name}`",
                       hint=f"add `{row.name} = …`, or one network that serves it")  # fmt: skip
    return refusal("E0304", f"`{family.name}` alone means nothing: its parameters have no defaults", expr.span,
                   "no parameters", hint=f"write `{family.name}(mlp(64))`")  # fmt: skip


def _floor(target: Target, row: ParameterRow, source: ir.ParameterSource, args: Arguments) -> float | None:
    free = isinstance(source, ir.Head | ir.Own | ir.Table | ir.Learned)
    if not (row.name in ("scale", "scale_tril") and free):
        return None
    if args.floor is not None:
        return args.floor
    watched = row.shrinks and target.node.role in ("observed", "supervised") and target.node.type.support in _CONTINUOUS
    return FLOOR if watched else None
