"""A family with arguments comes in; its parameters and their shapes go out, as a factor or a member of one (E0302, E0314)."""

from __future__ import annotations

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.families import FAMILIES, FamilyRow
from sgdsl.frontend import syntax
from sgdsl.frontend.check.arguments import Arguments, arguments
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.parameters import Target, parameter, trunk
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.middle import ir

_DRAWS = {
    "real": "real numbers", "positive": "positive numbers", "unit": "numbers in [0, 1]",
    "binary": "0 or 1", "class": "classes", "count": "counts",
    "angle": "angles", "simplex": "shares that sum to 1", "direction": "directions",
}  # fmt: skip


def expert(written: syntax.Factor, value: syntax.Expr, context: Context) -> ir.Expert:
    """The family that `value` is, with its parameters. Raises Refused: E03."""
    name, args = family(value)
    row, node = FAMILIES[name.text], context.draft.nodes[written.node.text]
    check_family(row, written, node, name)
    parents = tuple(context.ref(g.text, g.span) for g in written.given)
    target = Target(value, row, node, parents)
    given = arguments(row, args, context)
    shared = trunk(target, given.shared, context)
    parameters = _parameters(target, given, context)
    if given.floor_arg is not None and all(p.floor is None for p in parameters):
        raise refusal("E0304", "`floor` keeps a headed, learned or tabled scale away from 0, and there is none",
                      given.floor_arg.span, "floors nothing")  # fmt: skip
    return ir.Expert(row.name, parameters, shared)


def check_family(row: FamilyRow, written: syntax.Factor, node: ir.Node, name: syntax.Name) -> None:
    """Whether a family may be the factor of this node. Raises Refused: E0302, E0314."""
    _check_support(row, node, name)
    if row.vector and node.type.partial:
        raise refusal("E0302", f"`{row.name}` has no density of single cells, and `{node.name}` may lack some", name.span,
                      "of a partial node", labels=[Label(node.span, "declared here")],
                      hint="a family of single cells is, on real nodes, `Normal`")  # fmt: skip
    if row.name == "MultivariateNormal" and len(node.type.event) != 1:
        raise refusal("E0302", f"`{row.name}` is of a vector, and `{node.name}` is {node.type}", name.span, "no vector",
                      labels=[Label(node.span, f"{node.type}, declared here")],
                      hint="declare it `real[n]`, in a loop for several")  # fmt: skip
    if row.needs == "observed" and node.role != "observed":
        raise refusal("E0302", f"`{row.name}` is a mass on 256 grey levels, of an observed node alone", name.span,
                      f"of a {node.role} node", labels=[Label(node.span, f"{node.role}, declared here")],
                      hint="write `Beta` or `ContinuousBernoulli`, which are densities")  # fmt: skip
    if row.needs == "latent q" and (written.side != "q" or node.role != "latent"):
        raise refusal("E0314", f"`{row.name}` has no density: it serves as q of a latent node only", name.span,
                      f"as {written.side} of {node.role}", labels=[Label(node.span, f"{node.role}, declared here")],
                      hint="a small fixed scale is `Normal(loc = …, scale = 0.01)`; a function of nodes is a `let`")  # fmt: skip


def family(value: syntax.Expr) -> tuple[syntax.Name, tuple[syntax.Arg, ...]]:
    """A right-hand side's name and its arguments."""
    match value:
        case syntax.Name():
            return value, ()
        case syntax.Call(syntax.Name() as name, args, _):
            return name, args
        case _:
            raise AssertionError("lowering lets only families through")


def _parameters(target: Target, given: Arguments, context: Context) -> tuple[ir.Parameter, ...]:
    """Every parameter of the family; what is wrong with each is reported, then all are refused."""
    found = []
    for row in target.family.parameters:
        try:
            found.append(parameter(target, row, given, context))
        except Refused as refused:
            report(context.sink, refused)
    if len(found) < len(target.family.parameters):
        raise Refused()
    return tuple(found)


def _holds(row: FamilyRow, node: ir.Node) -> bool:
    """A family on the real line holds grey levels and positive numbers too; only of an observed node, which it never
    draws."""
    return node.role == "observed" and "real" in row.supports and node.type.support in ("unit", "positive")


def _check_support(row: FamilyRow, node: ir.Node, name: syntax.Name) -> None:
    if node.type.support in row.supports or _holds(row, node):
        if row.name == "Bernoulli" and node.type.support == "unit" and node.role == "latent":
            raise refusal("E0302", f"`{node.name}` is {node.type}, and a Bernoulli is no density of it: it draws 0 or 1",
                          name.span, "draws 0 or 1", labels=[Label(node.span, f"{node.type}, declared here")],
                          hint="write `Beta` or `ContinuousBernoulli`; only data may be grey levels under Bernoulli")  # fmt: skip
        return
    draws = " or ".join(dict.fromkeys(_DRAWS[s] for s in row.supports if s in _DRAWS))
    fitting = [
        r.name
        for r in FAMILIES.values()
        if (node.type.support in r.supports or _holds(r, node)) and r.needs in ("", node.role)
    ]
    here = f"families of `{node.type.support}`: {', '.join(fitting)}"
    hint = here if fitting else f"no family of `{node.type.support}` is here yet: declare the node given, or real"
    raise refusal("E0302", f"`{node.name}` is {node.type}, but `{row.name}` draws {draws}", name.span, f"draws {draws}",
                  labels=[Label(node.span, f"{node.type}, declared here")], hint=hint)  # fmt: skip
