"""The names of one factor: its node, its parents, its family and what its arguments read; E0190 and E02 go out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.catalog.estimators import ESTIMATORS, PLANNED
from sgdsl.catalog.families import FAMILIES, SIDES
from sgdsl.catalog.networks import NETWORKS, SOURCES
from sgdsl.frontend import syntax
from sgdsl.frontend.names import RESERVED, SYNONYMS, Declaration, Visible, check_names, kind_of
from sgdsl.frontend.planned import PLANNED_FAMILIES, planned_at, planned_name
from sgdsl.frontend.report import Refused, closest, did_you_mean, refusal, report
from sgdsl.frontend.uses import check_side

_ESTIMATOR_SYNONYMS = {
    "reparameterized": "reparam", "reparameterised": "reparam", "rsample": "reparam", "gumbel_softmax": "gumbel",
    "st": "straight_through", "reinforce": "score", "exact": "enumerate", "sum": "enumerate", "relaxed": "gumbel",
}  # fmt: skip


def check_factor(
    factor: syntax.Factor, declared: Mapping[str, Declaration], reach: Mapping[str, frozenset[str]], sink: Sink
) -> None:
    """Add E0190, E0201, E0204, E0205, E0207, E0221, E0222, E0505, E0510 for the names of a factor."""
    given = _check_parents(factor, declared, sink)
    try:
        _check_node(factor.node, declared)
    except Refused as refused:
        report(sink, refused)
    nodes = frozenset(n for name in given for n in reach.get(name, (name,)))
    visible = Visible(frozenset(given), "this factor", factor.head, reach, nodes)
    try:
        args = _check_side(factor, declared)
    except Refused as refused:
        report(sink, refused)
        args = ()
    for arg in args:
        check_names(arg.value, visible, declared, sink)
    if factor.by is not None:
        _check_by(factor, factor.by, sink)


def _check_parents(factor: syntax.Factor, declared: Mapping[str, Declaration], sink: Sink) -> tuple[str, ...]:
    """The parents that are nodes or lets; a near miss counts as what was meant."""
    found: dict[str, syntax.Name] = {}
    for name in factor.given:
        if name.text in found:
            first = Label(found[name.text].span, "the first")
            report(sink, refusal("E0207", f"`{name.text}` stands twice behind the bar", name.span, "again", labels=[first],
                                 hint="name a parent once"))  # fmt: skip
            continue
        declaration = declared.get(name.text)
        if isinstance(declaration, syntax.Const | syntax.Net | syntax.Use):
            here = Label(declaration.name.span, "declared here")
            report(sink, refusal("E0205", f"`{name.text}` is {kind_of(declaration)}: a parent is a node or a let", name.span,
                                 "no node", labels=[here], hint="consts and nets need not stand behind the bar"))  # fmt: skip
        elif declaration is None:
            values = [n for n, d in declared.items() if isinstance(d, syntax.Var | syntax.Let)]
            hint = did_you_mean(name.text, values, f"declare it: `latent {name.text} : real[8]`")
            report(
                sink, refusal("E0201", f"there is no node or let `{name.text}`", name.span, "not declared", hint=hint)
            )
            meant = closest(name.text, values)
            found[meant or name.text] = name
        found[name.text] = name
    return tuple(found)


def _check_node(name: syntax.Name, declared: Mapping[str, Declaration]) -> None:
    declaration = declared.get(name.text)
    if declaration is None:
        nodes = [n for n, d in declared.items() if isinstance(d, syntax.Var)]
        hint = did_you_mean(name.text, nodes, f"declare it: `latent {name.text} : real[8]`")
        raise refusal("E0201", f"there is no node `{name.text}`", name.span, "not declared", hint=hint)
    if not isinstance(declaration, syntax.Var):
        here = Label(declaration.name.span, "declared here")
        raise refusal("E0205", f"`{name.text}` is {kind_of(declaration)}: only a node has a factor", name.span, "no node",
                      labels=[here])  # fmt: skip


def _check_side(factor: syntax.Factor, declared: Mapping[str, Declaration]) -> tuple[syntax.Arg, ...]:
    """The arguments of a family, or of all members of a product or mixture. Raises Refused: E0510, and as _check_family."""
    if isinstance(factor.value, syntax.Of):
        return check_side(factor.value, declared)
    name, args = side_of(factor.value)
    if name is None or name.text not in SIDES:
        return _check_family(factor.value, declared)
    usual = f"write `q({factor.node.text} | …) = {SIDES[name.text]}`"
    if factor.side == "p":
        raise refusal("E0510", f"`{name.text}` is a right-hand side of q: p is a family", name.span, "in p",
                      hint="write a family, `Normal(mlp(64))`")  # fmt: skip
    if name.text == "bayes":
        if isinstance(factor.value, syntax.Call):
            raise refusal(
                "E0510", "`bayes` takes no arguments: p has everything", factor.value.span, "arguments", hint=usual
            )
        return ()
    if not args:
        raise refusal("E0510", f"`{name.text}` needs members", factor.value.span, "no members", hint=usual)
    for arg in args:
        inner, _ = side_of(arg.value)
        if arg.name is not None:
            raise refusal("E0510", f"the members of a `{name.text}` have no names", arg.name.span, "a name", hint=usual)
        if inner is not None and inner.text in SIDES:
            raise refusal("E0510", f"a member of a `{name.text}` is a family, no `{inner.text}`", inner.span, "inside another",
                          hint=usual)  # fmt: skip
    return tuple(a for arg in args for a in _check_family(arg.value, declared))


def side_of(value: syntax.Expr) -> tuple[syntax.Name | None, tuple[syntax.Arg, ...]]:
    """The name that a right-hand side starts with, if it does, and its arguments."""
    name, args = (value.function, value.args) if isinstance(value, syntax.Call) else (value, ())
    return (name if isinstance(name, syntax.Name) else None), args


def _check_family(value: syntax.Expr, declared: Mapping[str, Declaration]) -> tuple[syntax.Arg, ...]:
    """The arguments of the family. Raises Refused where there is no family."""
    name, args = side_of(value)
    families = f"families: {', '.join(FAMILIES)}"
    if name is None:
        raise refusal(
            "E0205", "a factor is a family: `Family` or `Family(arguments)`", value.span, "no family", hint=families
        )
    text = name.text
    if text in FAMILIES:
        return args
    if text in PLANNED_FAMILIES:
        raise planned_name(name)
    if text in NETWORKS or text in SOURCES or isinstance(declared.get(text), syntax.Net):
        raise refusal("E0205", f"`{text}` is a network, not a family", name.span, "no family",
                      hint=f"name the family around it: `Normal({text}…)`")  # fmt: skip
    if text in declared:
        here = Label(declared[text].name.span, "declared here")
        raise refusal("E0205", f"`{text}` is {kind_of(declared[text])}, not a family", name.span, "no family",
                      labels=[here], hint=families)  # fmt: skip
    if text in RESERVED:
        raise refusal("E0205", f"`{text}` is a function, not a family", name.span, "no family", hint=families)
    candidates = (*FAMILIES, *PLANNED_FAMILIES, *SIDES)
    raise refusal("E0201", f"there is no family `{text}`", name.span, "not a family",
                  hint=did_you_mean(text, candidates, families, SYNONYMS))  # fmt: skip


def _check_by(factor: syntax.Factor, by: syntax.By, sink: Sink) -> None:
    if factor.side == "p":
        report(sink, refusal("E0505", "`by` belongs to q: nothing is drawn from p in training", by.span, "on a p factor",
                             hint="remove it, or write it behind the q factor"))  # fmt: skip
    elif by.name.text in PLANNED:
        report(sink, planned_at(by.name.text, by.name.span))
    elif by.name.text not in ESTIMATORS:
        hint = did_you_mean(by.name.text, ESTIMATORS, f"estimators: {', '.join(ESTIMATORS)}", _ESTIMATOR_SYNONYMS)
        message = f"there is no estimator `{by.name.text}`"
        report(sink, refusal("E0201", message, by.name.span, "not an estimator", hint=hint))
