"""One written factor comes in, an ir.Factor with its parameters and their shapes goes out (E0511, E0513, and as experts)."""

from __future__ import annotations

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.families import FAMILIES, FamilyRow
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.estimators import estimator
from sgdsl.frontend.check.experts import expert, family
from sgdsl.frontend.check.used import as_expert, used_factor
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.middle import ir


def factor(written: syntax.Factor, context: Context) -> ir.Factor:
    """Adds what is wrong with `by`; raises Refused for the rest: E03, E0511, E0513."""
    by = _estimator(written, context)
    used = used_factor(written, written.value, context) if isinstance(written.value, syntax.Of) else None
    found = as_expert(used, context) if used else _right_hand_side(written, context)
    return ir.Factor(
        written.side,
        written.node.text,
        tuple(g.text for g in written.given),
        found.family,
        found.parameters,
        found.trunk,
        by,
        written.head,
        tuple(g.span for g in written.given),
        written.text,
        context.draft.made.get(written.text) if written.side == "q" else None,
        tuple(_place(i, context) for i in written.node.index),
        written.piece,
        used=used,
    )


def _place(item: syntax.Expr, context: Context) -> ir.Range | int:
    """A range by its name, or one copy by its number."""
    assert isinstance(item, syntax.Name | syntax.Number)
    return context.draft.ranges[item.text] if isinstance(item, syntax.Name) else int(item.value)


def _right_hand_side(written: syntax.Factor, context: Context) -> ir.Expert:
    """A family with its parameters; for bayes, product and mixture, with where they all come from."""
    name, args = family(written.value)
    node = context.draft.nodes[written.node.text]
    match name.text:
        case "bayes":
            return _bayes(node, name)
        case "product" | "mixture":
            return _combined(written, name, args, context)
        case _:
            return expert(written, written.value, context)


def _bayes(node: ir.Node, name: syntax.Name) -> ir.Expert:
    """Its source is filled in when all of p is known (middle/sides.py)."""
    kind, here = node.type, [Label(node.span, f"{node.type}, declared here")]
    if kind.values is None:
        raise refusal("E0511", f"`bayes` sums over the values of `{node.name}`, and {kind} has no finite list of them",
                      name.span, "not finite", labels=here,
                      hint="write a family, `Normal(mlp(64))`, or a `product` of them")  # fmt: skip
    if kind.cells != 1:
        raise refusal("E0511", f"the posterior of `{node.name}` couples its {kind.cells} cells", name.span, "several cells",
                      labels=here, hint="declare a node for each cell, or write a network, `mlp(64)`")  # fmt: skip
    if not kind.one_hot:
        return ir.Expert("Bernoulli", (ir.Parameter("logits", ir.Bayes(), kind.event),))
    return ir.Expert("Categorical", (ir.Parameter("logits", ir.Bayes(), (*kind.event, kind.values)),))


def _combined(written: syntax.Factor, name: syntax.Name, args: tuple[syntax.Arg, ...], context: Context) -> ir.Expert:
    """A product or mixture: its members are experts of one family."""
    found, families = [], [family(arg.value)[0] for arg in args]
    for member in families:
        _check_member(name, member, families[0])
    for arg in args:
        try:
            found.append(expert(written, arg.value, context))
        except Refused as refused:
            report(context.sink, refused)
    if len(found) < len(args):
        raise Refused()
    experts = tuple(found)
    source = ir.Product(experts) if name.text == "product" else ir.Mixture(experts)
    parameters = tuple(ir.Parameter(p.name, source, p.shape) for p in found[0].parameters)
    return ir.Expert(families[0].text, parameters)


def _check_member(name: syntax.Name, member: syntax.Name, first: syntax.Name) -> None:
    """A product of densities is one of the same family for Normals; a mixture is drawn as its members are."""
    if name.text == "product" and member.text != "Normal":
        raise refusal("E0513", f"a `product` is of Normals, not of `{member.text}`", member.span, "no Normal",
                      hint="write `Normal`; else one network of all parents, or a `mixture`")  # fmt: skip
    row = FAMILIES[member.text]
    if not _mixes(row):
        smooth = ", ".join(r.name for r in FAMILIES.values() if _mixes(r))
        what = "that average their means" if row.reparameterised and row.name != "Delta" else "with smooth draws"
        raise refusal("E0513", f"a `mixture` is of families {what}, not of `{row.name}`", member.span,
                      f"no mixture of `{row.name}`", hint=f"members: {smooth}")  # fmt: skip
    if member.text != first.text:
        raise refusal("E0513", f"the members of a `mixture` are of one family, and here are `{first.text}` and `{member.text}`",
                      member.span, "another family", labels=[Label(first.span, "the first")],
                      hint=f"write `{first.text}`")  # fmt: skip


def _mixes(row: FamilyRow) -> bool:
    """Whether a family has smooth draws, whose means may be averaged: those of angles and directions may not."""
    return row.reparameterised and row.name not in ("Delta", "VonMises", "VonMisesFisher")


def _estimator(written: syntax.Factor, context: Context) -> ir.Estimator | None:
    if written.by is None:
        return None
    try:
        return estimator(written.by, context.draft.consts)
    except Refused as refused:
        report(context.sink, refused)
        return None
