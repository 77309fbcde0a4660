"""A model comes in; a .sgm text of the same two graphs goes out, in which every expectation is a finite sum.

Classes have 2 or 3 values, what is drawn is finite and scored, what is observed is finite, networks are tables where the
parents allow it; `bayes` stays. Lets, parents in their order, what a factor really reads, constants and Delta nodes stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_reads, let_reads
from sgdsl.middle.plan import Plan, is_constant

MOST = 96  # rows of a table
NETWORK = "mlp(3, act = tanh)"
FEW = 4  # inferred nodes up to which a class keeps three of its values


@dataclass(frozen=True, slots=True)
class Small:
    """`text`: the program; `replaced`: what became of each inferred node whose family or estimator is another now."""

    text: str
    replaced: dict[str, str]


def shrink(model: ir.Model, plan: Plan) -> Small:
    """The finite model of a checked one. The estimator of each node is written, so that nothing is chosen anew."""
    types = {n.name: _type(model, plan, n) for n in model.nodes}
    lines = [f"model {model.name}"]
    lines += [f"{n.role} {n.name} : {types[n.name]}" for n in model.nodes]
    lines += [f"let {let.name} = {_let(let)}" for let in model.lets]
    for factor in (*model.p, *model.q):
        lines.append(_factor(model, plan, types, factor))
    replaced = {}
    for name in plan.draws:
        choice, before = plan.choices[name].name, f"{model.factor('q', name).family}, {plan.choices[name].name}"
        if _draws(choice) and (choice != "score" or model.node(name).type.cardinality is None):
            replaced[name] = f"{before} → {types[name]}, score"
    return Small("\n".join(lines) + "\n", replaced)


def _draws(choice: str) -> bool:
    return choice not in ("enumerate", "sum_and_sample", "delta")


def _type(model: ir.Model, plan: Plan, node: ir.Node) -> ir.Type:
    """At most three values a cell and two cells; Delta nodes are one real number, whatever has no finite values a class."""
    kind = node.type
    choice = plan.choices[node.name].name if node.name in plan.choices else ""
    if choice == "delta":
        return ir.Type("real")
    values = min(kind.values or 2, 3 if len(plan.draws) <= FEW else 2)
    shape = (min(kind.cells, 2),) if kind.shape else ()
    match kind.support:
        case "binary":
            return ir.Type("binary", (), shape)
        case "class":
            return ir.Type("class", (values,), shape)
        case "range":
            return ir.Type("range", (kind.first, kind.first + values - 1), shape)
        case _:
            return ir.Type("class", (3 if node.role in ("observed", "given") else 2,))


def _let(let: ir.Let) -> str:
    """An alias stays one; everything else is a network of what it reads."""
    if isinstance(let.value, ir.Ref):
        return let.value.name
    reads = let_reads(let)
    return f"mlp(2, act = tanh)({', '.join(reads)})" if reads else "learned(2)"


def _factor(model: ir.Model, plan: Plan, types: dict[str, ir.Type], factor: ir.Factor) -> str:
    """One equation."""
    name, source = factor.node, factor.parameters[0].source
    beyond = [n for n in factor_reads(factor) if n not in factor.given and not isinstance(source, ir.Bayes)]
    names = (*factor.given, *beyond)
    given = f" | {', '.join(names)}" if names else ""
    kind = types[name]
    family = {"real": "Normal", "binary": "Bernoulli"}.get(kind.support, "Categorical")
    if factor.side == "p" and is_constant(factor) and kind.support != "real":
        return f"{factor.side}({name}{given}) = {family}"
    if factor.side == "q" and plan.choices[name].name == "delta":
        return f"q({name}{given}) = Delta({_source(types, factor)})"
    side = "bayes" if isinstance(source, ir.Bayes) else f"{family}({_source(types, factor)})"
    text = f"{factor.side}({name}{given}) = {side}"
    if factor.side == "p":
        return text
    choice = plan.choices[name]
    options = ", ".join(f"{option} = {value}" for option, value in choice.options if choice.name == "score")
    return f"{text} by {f'score({options})' if options else 'score' if _draws(choice.name) else choice.name}"


def _source(types: dict[str, ir.Type], factor: ir.Factor) -> str:
    """Where the parameters come from: a table of all parents, or a network of those that are read."""
    reads: Sequence[str] = factor_reads(factor)
    if not reads:
        return "learned"
    if set(reads) >= set(factor.given) and _rows(types, reads) <= MOST:
        return "table"
    return f"{NETWORK}({', '.join(reads)})"


def _rows(types: dict[str, ir.Type], names: Iterable[str]) -> float:
    """Rows of a table of these parents; infinite where one has no finite values, or is a let."""
    kinds = [types.get(name) for name in names]
    return math.prod(k.cardinality or math.inf if k else math.inf for k in kinds)
