"""`digit.p(x | y = …)`: names and values come in; the other model's factor, and that each value fits its parent, go out
(E0221, E0222; E0301, E0302, E0310 for values)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from sgdsl.base.source import Span
from sgdsl.catalog.shapes import written
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.report import Refused, did_you_mean, listed, refusal
from sgdsl.middle import ir

# What a node may be given as a parent of another model's factor: nodes of these supports, and numbers where it is a number.
_TAKES: Mapping[ir.Support, tuple[ir.Support, ...]] = {
    "real": ("real", "positive", "unit", "binary", "count", "range"),
    "positive": ("positive",),
    "unit": ("unit", "binary"),
    "count": ("count", "range", "binary"),
}
_NUMBERS = ("real", "positive", "unit")


def factor_of(expr: syntax.Of, context: Context) -> tuple[ir.Use, ir.Factor]:
    """The factor that is meant. Raises Refused: E0221; silently for a model that was refused."""
    use = context.draft.uses.get(expr.model.text)
    if use is None or not isinstance(expr.node, syntax.Name):
        raise Refused()
    side: ir.Side = "q" if expr.member.text == "q" else "p"
    factors = {f.node: f for f in (use.model.p if side == "p" else use.model.q)}
    name = expr.node.text
    if name in factors:
        _check_copies(use, side, name, expr.node.span)
        return use, use.factor(side, name)
    node = next((n for n in use.model.nodes if n.name == name), None)
    why = f"it is {node.role}" if node else "not a node there"
    hint = did_you_mean(name, factors, f"`{use.name}` has {', '.join(f.head for f in factors.values())}")
    raise refusal("E0221", f"`{use.model.name}` has no factor {side}({name})", expr.node.span, why, hint=hint,
                  notes=[f"`{use.name}` is {use.model.source.name}"])  # fmt: skip


def _check_copies(use: ir.Use, side: ir.Side, name: str, span: Span) -> None:
    """Raises Refused: E0190 for factors of copies that are not those of all copies at once, given what they read."""
    model, node, pieces = use.model, use.model.node(name), use.model.pieces(side, name)
    count = next((k for r in node.axes if (k := model.axis(r.axis).count)), None)
    sources = [p.source for f in pieces for p in f.parameters]
    partial = next((n for n in use.parents[side, name] if model.node(n).type.partial), None) if model.axes else None
    why = (
        f"it has as many copies as `{count}` says" if count
        else "its copies read one another" if node.axes and name in use.parents[side, name]
        else "its copies have several families" if len({f.family for f in pieces}) > 1
        else "its copies are products or mixtures"
        if node.axes and any(isinstance(s, ir.Product | ir.Mixture | ir.Bayes) for s in sources)
        else f"it reads `{partial}`, which is partial, in a model with loops" if partial else ""
    )  # fmt: skip
    if why:
        raise refusal("E0190", f"{side}({name}) of `{use.name}` cannot be taken: {why}: that is planned, not here yet", span,
                      "planned", hint="now: use a model of one copy in a loop of this file")  # fmt: skip


def given_to(expr: syntax.Of, use: ir.Use, factor: ir.Factor) -> list[tuple[ir.Node, syntax.Arg]]:
    """What stands behind the bar, in the order of the factor's parents. Raises Refused: E0222."""
    parents = use.parents[factor.side, factor.node]
    found: dict[str, syntax.Arg] = {}
    for arg in expr.args:
        if arg.name is None:
            _refuse(use, factor, arg.span, "a parent of another model's factor is given by its name", "no name",
                    f"write `{parents[len(found)] if len(found) < len(parents) else 'v'} = …`")  # fmt: skip
        if arg.name.text in found:
            _refuse(use, factor, arg.name.span, f"`{arg.name.text}` is given twice", "again", "give each parent once")
        if arg.name.text not in parents:
            otherwise = f"its parents: {', '.join(parents)}" if parents else "it has no parents: leave the bar out"
            hint = did_you_mean(arg.name.text, parents, otherwise)
            _refuse(use, factor, arg.name.span, f"`{arg.name.text}` is no parent of {factor.head}", "no parent", hint)
        found[arg.name.text] = arg
    missing = [n for n in parents if n not in found]
    if missing:
        _refuse(use, factor, expr.span, f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} not given", "not all parents",
                f"add {', '.join(f'`{n} = …`' for n in missing)} behind the bar")  # fmt: skip
    return [(use.node(n), found[n]) for n in parents]


def _refuse(use: ir.Use, factor: ir.Factor, span: Span, message: str, under: str, hint: str) -> NoReturn:
    raise refusal("E0222", message, span, under, notes=[place(use, factor)], hint=hint)


def place(use: ir.Use, factor: ir.Factor) -> str:
    """Where the other model has its factor, and what it is there."""
    line, _ = use.model.source.position(factor.span.start)
    return f"{use.model.source.name}, line {line}: {factor.text or factor.head}"


def fitted(node: ir.Node, found: ir.Expr, use: ir.Use, context: Context) -> ir.Expr:
    """A value for a parent of another model's factor. Raises Refused: E0301, E0302."""
    kind = node.type
    here = context.declared(found.name) if isinstance(found, ir.Ref) else ()
    if not _holds(kind, found, context):
        what = str(found.type) if isinstance(found, ir.Ref) else "a computed value"
        name = f"`{found.name}` is {found.type}" if isinstance(found, ir.Ref) else "this is a computed value"
        hint = "give a node" if not isinstance(found, ir.Ref) else "give a node, or let, of its type"
        raise refusal(
            "E0302", f"`{node.name}` of `{use.name}` is {kind}, and {name}", found.span, what, labels=here, hint=hint
        )
    if found.shape != kind.event:
        size = written(found.shape)
        raise refusal("E0301", f"`{node.name}` of `{use.name}` is {written(kind.event)}, and this is {size}", found.span, size,
                      labels=here, hint="give a value of its shape")  # fmt: skip
    return found


def _holds(kind: ir.Type, found: ir.Expr, context: Context) -> bool:
    """Whether a value may stand for a node of this type, its shape aside."""
    if not isinstance(found, ir.Ref):
        return kind.support in _NUMBERS
    if found.type.partial and not kind.partial:
        return False
    let = context.lets.get(found.name)
    same_values = (ir.Ref, ir.View, ir.Over)  # of the stacked copies of a class their classes
    if let is not None and not isinstance(let.value, same_values):  # computed: real, whatever its numbers are
        return kind.support in _NUMBERS
    same = (found.type.support, found.type.sizes) == (kind.support, kind.sizes)
    return same or found.type.support in _TAKES.get(kind.support, ())
