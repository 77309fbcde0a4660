"""What the plan decided, in words: per pattern of labels, which nodes are drawn, enumerated or weighed, and why."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsl.middle import ir
from sgdsl.middle.estimators import Choice, Weighed, patterns, weigh
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.plan import Plan

HOW = {
    "reparam": "reparameterised",
    "score": "drawn, score gradient",
    "gumbel": "relaxed draw (Gumbel-softmax), KL from the soft probabilities; biased",
    "straight_through": "straight-through draw, KL from the soft probabilities; biased",
    "delta": "deterministic",
    "sum_and_sample": "the likeliest class exactly, one of the others by sampling",
}
BOUNDS = {
    ("snis", "lse"): "Σ_s w̄_s f_s + (1 + α) log mean_s w_s",
    ("snis", "jensen"): "Σ_s w̄_s f_s + (1 + α) mean_s log w_s",
    ("iw", "lse"): "log mean_s p(x, v_s) / r_s + α log mean_s w_s",
    ("clamped", "lse"): "mean_s (f_s + log w_s) + α mean_s log w_s",
}


BASELINES = {"loo": "the leave-one-out baseline", "mean": "a running mean as baseline", "net": "a network as baseline"}


def _drawn(choice: Choice) -> str:
    """How a node that is not enumerated is estimated."""
    baseline = dict(choice.options).get("baseline")
    return f"{HOW[choice.name]} with {BASELINES[str(baseline)]}" if baseline else HOW[choice.name]


def nodes_in_words(model: ir.Model, plan: Plan) -> list[str]:
    """A line a node of q: how it is estimated and why."""
    width = max((len(n) for n in plan.draws), default=0)
    lines = []
    for name in plan.draws:
        choice, size = plan.choices[name], model.node(name).type.cardinality
        how = f"enumerated, {size} values" if choice.name == "enumerate" else _drawn(choice)
        lines.append(f"{name:<{width}} : {how}")
    return lines


def explain(model: ir.Model, graphs: Graphs, plan: Plan) -> str:
    """The page of `sgdsl explain MODEL`."""
    bound = BOUNDS.get((plan.bound, plan.marginal), BOUNDS[plan.bound, "lse"])
    lines = [f"{model.name}: bound {plan.bound}, S = {plan.samples}", f"    {bound}", ""]
    lines.append("nodes")
    width = max((len(n) for n in plan.draws), default=0)
    for line, name in zip(nodes_in_words(model, plan), plan.draws, strict=True):
        reason = plan.choices[name].reason
        lines.append(f"    {line}  [{reason}]" if reason else f"    {line}")
    lines += ["", "terms", *(f"    {line}" for line in _terms(model, plan))]
    for known in patterns(model):
        weighed = weigh(graphs, plan.draws, plan.choices, known)
        lines += ["", _title(model, known), *(f"    {line}" for line in _pattern(model, graphs, plan, weighed, width))]
    return "\n".join(lines) + "\n"


def _title(model: ir.Model, known: Sequence[str]) -> str:
    unknown = [n.name for n in model.nodes if n.role == "supervised" and n.name not in known]
    parts = [f"{_list(known)} known"] if known else []
    parts += [f"{_list(unknown)} unknown"] if unknown else []
    return ", ".join(parts) or "every row"


def _terms(model: ir.Model, plan: Plan) -> list[str]:
    """Where each term is evaluated: over the values of its scope only."""
    found = []
    for term in plan.terms:
        factor = model.factor(term.side, term.node)
        given = f" | {', '.join(factor.given)}" if factor.given else ""
        name = f"log {term.side}({term.node}{given})"
        cases = 1
        for node in term.scope:
            cases *= model.node(node).type.cardinality or 1
        where = f"{cases} cases a row, over {_list(term.scope)}" if term.scope else "once a row"
        found.append((name, "a constant" if term.constant else where))
    width = max(len(name) for name, _ in found)
    return [f"{name:<{width}}  {where}" for name, where in found]


def _pattern(model: ir.Model, graphs: Graphs, plan: Plan, weighed: Weighed, width: int) -> list[str]:
    lines = []
    for name in plan.draws:
        lines.append(f"{name:<{width}} : {_node(model, plan, weighed, name)}")
    return [*lines, f"weights: {_weights(model, graphs, plan, weighed)}"]


def _node(model: ir.Model, plan: Plan, weighed: Weighed, name: str) -> str:
    choice, size = plan.choices[name], model.node(name).type.cardinality
    if name in weighed.known:
        if name in weighed.before:
            return "known; its log q weighs the unknown nodes before it"
        return "known; log q of the label is exact" + (", one case" if choice.name == "enumerate" else "")
    if choice.name == "enumerate":
        return f"enumerated, {size} cases" + (", weighed by q · w" if name in weighed.above else ", weighed by q")
    if choice.name == "delta":
        return HOW["delta"]
    where = "importance sampled" if name in weighed.above else "drawn"
    return f"{where}, {_drawn(choice).removeprefix('drawn, ')}"


def _weights(model: ir.Model, graphs: Graphs, plan: Plan, weighed: Weighed) -> str:
    if not weighed.known:
        return "none; the bound is the ELBO" if plan.bound != "iw" else "none; the bound is the IWAE bound"
    if not weighed.before:
        return "constant, log q(labels | x) exact"
    if not weighed.drawn:
        sizes = ", ".join(f"{n} enumerated ({model.node(n).type.cardinality})" for n in weighed.above)
        return f"exact sum: {sizes}"
    first = [n for n in weighed.before if set(graphs.parents("q", n)) & set(weighed.above)]
    advice = f"write {_list(first)} before {_list(weighed.drawn)} in q to avoid it"
    return f"importance sampling over {_list(weighed.drawn)}, S = {plan.samples}; {advice}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
