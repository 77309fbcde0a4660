"""A right-hand side that is another model's factor comes in; where its parameters come from goes out (E0301, E0302, E0314)."""

from __future__ import annotations

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.families import FAMILIES
from sgdsl.catalog.shapes import written as size
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.experts import check_family
from sgdsl.frontend.check.expressions import given
from sgdsl.frontend.check.members import place
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


def used_factor(written: syntax.Factor, expr: syntax.Of, context: Context) -> ir.Used:
    """Raises Refused: E0221, E0222, E03."""
    parents = tuple(context.ref(g.text, g.span) for g in written.given)
    use, factor, args = given(expr, context, parents)
    node, theirs = context.draft.nodes[written.node.text], use.node(factor.node)
    label = [Label(node.span, f"{node.type}, declared here")]
    if (node.type.support, node.type.sizes) != (theirs.type.support, theirs.type.sizes):
        raise refusal("E0302", f"`{node.name}` is {node.type}, and `{theirs.name}` of `{use.name}` is {theirs.type}",
                      expr.span, str(theirs.type), labels=label, notes=[place(use, factor)],
                      hint=f"declare `{node.name}` as {theirs.type}")  # fmt: skip
    if node.type.shape != theirs.type.shape:
        raise refusal("E0301", f"`{node.name}` is {size(node.type.shape)}, and `{theirs.name}` of `{use.name}` is "
                      f"{size(theirs.type.shape)}", expr.span, size(theirs.type.shape), labels=label,
                      notes=[place(use, factor)], hint=f"declare `{node.name}` as {theirs.type}")  # fmt: skip
    check_family(FAMILIES[factor.family], written, node, syntax.Name(factor.family, expr.span))
    return ir.Used(use.name, factor.side, factor.node, args, factor.mixture)


def as_expert(used: ir.Used, context: Context) -> ir.Expert:
    """The family with its parameters; where they are numbers of the other file, these."""
    use = context.draft.uses[used.use]
    factor, pieces = use.factor(used.side, used.node), use.model.pieces(used.side, used.node)
    theirs = factor.parameters
    if len(pieces) == 1 and all(_is_number(p.source) for p in theirs):
        return ir.Expert(factor.family, theirs)
    return ir.Expert(factor.family, tuple(ir.Parameter(p.name, used, p.shape, p.floor) for p in theirs))


def _is_number(source: ir.ParameterSource) -> bool:
    return isinstance(source, ir.Default) or (isinstance(source, ir.Value) and isinstance(source.expr, ir.Number))
