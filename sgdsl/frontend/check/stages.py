"""The written form of a network comes in; its parts, without shapes yet, go out (E0306 for sizes and options)."""

from __future__ import annotations

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.networks import NETWORKS, SOURCES, WIDEST, NetworkRow, OptionRow
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.constants import constant, integer
from sgdsl.frontend.report import did_you_mean, refusal
from sgdsl.middle import ir

_OPTIONS = {
    "activation": "act", "nonlinearity": "act", "normalization": "norm", "batchnorm": "norm", "bn": "norm",
    "drop": "dropout", "p": "dropout",
}  # fmt: skip
_CHOICES = {
    "batchnorm": "batch", "bn": "batch", "layernorm": "layer", "ln": "layer", "swish": "silu", "leakyrelu": "leaky_relu",
    "logistic": "sigmoid", "false": "none", "off": "none",
}  # fmt: skip


def is_network(expr: syntax.Expr, context: Context) -> bool:
    """Whether an expression standing alone is a network: mlp(…), a net's name, a >> b, table, learned, or one of these
    applied."""
    match expr:
        case syntax.Name(text, _):
            return text in NETWORKS or text in SOURCES or text in context.draft.nets
        case syntax.Pipe():
            return True
        case syntax.Call(function, _, _) | syntax.Item(function, _, _):
            return is_network(function, context)
        case _:
            return False


def applied(expr: syntax.Expr, context: Context) -> tuple[syntax.Expr, tuple[syntax.Arg, ...] | None]:
    """A network and what it is applied to: `mlp(8)(a)` → mlp(8), (a,); `mlp(8)` → itself, None. A pipe is applied where
    its first part is: `f(a) >> g` is (f >> g)(a)."""
    match expr:
        case syntax.Call(syntax.Name(text, _), _, _) if text in NETWORKS or text == "learned":
            return expr, None
        case syntax.Call(function, args, _):
            return function, args
        case syntax.Pipe(left, right, span):
            inner, inputs = applied(left, context)
            return (syntax.Pipe(inner, right, span), inputs) if inputs is not None else (expr, None)
        case _:
            return expr, None


def own_weights(expr: syntax.Expr, context: Context) -> tuple[syntax.Expr, tuple[ir.Range, ...]]:
    """`mlp(64)[i]`: the network without its index, and the loops whose copies have weights of their own. All parts of a
    network have the same index. Raises Refused: E0429."""
    match expr:
        case syntax.Item(value, index, _):
            inner, below = own_weights(value, context)
            if below:
                raise refusal(
                    "E0429", "a part of this network has an index already", expr.span, "twice", hint="write it once"
                )
            return inner, tuple(context.draft.ranges[i.text] for i in index if isinstance(i, syntax.Name))
        case syntax.Pipe(left, right, span):
            (first, a), (second, b) = own_weights(left, context), own_weights(right, context)
            if a != b:
                raise refusal("E0429", "some parts of this network have weights for each copy, others do not", span, "mixed",
                              hint="write `(mlp(64) >> mlp(8))[i]`")  # fmt: skip
            return syntax.Pipe(first, second, span), a
        case _:
            return expr, ()


def parts_of(expr: syntax.Expr, context: Context) -> tuple[ir.Part, ...]:
    """The parts of an unapplied network, `a >> b` flattened. A `linear` without sizes is a stage without sizes.
    Raises Refused: E0306, E0312, E0315."""
    match expr:
        case syntax.Pipe(left, right, _):
            return (*parts_of(left, context), *parts_of(right, context))
        case syntax.Name(text, span) if text in context.draft.nets:
            return (ir.NetUse(text, span),)
        case syntax.Name(text, span) if text in NETWORKS:
            return (_stage(NETWORKS[text], expr, (), context),)
        case syntax.Call(syntax.Name(text, _), args, _) if text in NETWORKS:
            return (_stage(NETWORKS[text], expr, args, context),)
        case _:
            raise _no_part(expr, context)


def _no_part(expr: syntax.Expr, context: Context) -> Exception:
    name = expr.function if isinstance(expr, syntax.Call) else expr
    if isinstance(name, syntax.Name) and name.text in SOURCES:
        return refusal("E0315", f"`{name.text}` is no part of a network", expr.span, "stands alone only",
                       hint=f"`{name.text}` is the whole argument: `Normal({name.text})`")  # fmt: skip
    if is_network(expr, context):
        return refusal("E0315", "only the first part of a network is applied", expr.span, "applied",
                       hint="`f >> g` applied to a is `(f >> g)(a)`")  # fmt: skip
    return refusal(
        "E0315", "`>>` joins networks", expr.span, "not a network", hint="a value is read as `mlp(64)(value)`"
    )


def _stage(row: NetworkRow, expr: syntax.Expr, args: tuple[syntax.Arg, ...], context: Context) -> ir.Stage:
    consts = context.draft.consts
    for arg in args:
        if arg.name is None and isinstance(arg.value, syntax.Name) and context.is_value(arg.value.text):
            raise refusal("E0306", f"the arguments of `{row.name}` are sizes, not values", arg.span, "not a size",
                          hint=f"apply the network: `{row.name}(64)({arg.value.text})`")  # fmt: skip
    sizes = tuple(integer(a.value, consts, "the size of a layer", 1, WIDEST, "E0306") for a in args if a.name is None)
    if not sizes and not row.bare:
        raise refusal("E0306", f"`{row.name}` needs a size for each layer", expr.span, "no layers",
                      hint=f"write `{row.name}({'32, 64' if row.reads == 'map' or row.name == 'deconv' else '64'})`")  # fmt: skip
    named: dict[str, syntax.Arg] = {}
    for arg in args:
        if arg.name is not None:
            if arg.name.text in named:
                first = Label(named[arg.name.text].span, "the first")
                raise refusal("E0306", f"`{arg.name.text}` is given twice", arg.span, "again", labels=[first])
            named[arg.name.text] = arg
    for name, arg in named.items():
        if row.option(name) is None:
            names = [o.name for o in row.options]
            otherwise = f"options: {', '.join(names)}" if names else f"`{row.name}` has no options: `mlp` has"
            raise refusal("E0306", f"`{row.name}` has no option `{name}`", arg.name.span if arg.name else arg.span,
                          "not an option", hint=did_you_mean(name, names, otherwise, _OPTIONS))  # fmt: skip
    options = tuple((o.name, _option(o, named[o.name], context) if o.name in named else o.default) for o in row.options)
    return ir.Stage(row.name, sizes, options, span=expr.span)


def _option(row: OptionRow, arg: syntax.Arg, context: Context) -> str | float:
    value = arg.value
    if row.choices:
        if isinstance(value, syntax.Name) and value.text in row.choices:
            return value.text
        word = value.text if isinstance(value, syntax.Name) else ""
        raise refusal("E0306", f"`{row.name}` is one of {', '.join(row.choices)}", value.span, "none of them",
                      hint=did_you_mean(word, row.choices, "", _CHOICES))  # fmt: skip
    number = constant(value, context.draft.consts)
    if not row.low <= number < row.high:
        raise refusal("E0306", f"`{row.name}` is at least {row.low:g} and below {row.high:g}", value.span,
                      f"{number:g} is not")  # fmt: skip
    return float(number)
