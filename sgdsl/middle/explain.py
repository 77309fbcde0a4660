"""How a model is trained and why, as data: a model, its plan and the lines of the emitted text come in, a page goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from sgdsl.catalog.settings import resolve
from sgdsl.middle import ir, recognition
from sgdsl.middle.along import chains_in_words
from sgdsl.middle.derive import derive
from sgdsl.middle.estimators import Choice, Weighed, patterns, weigh
from sgdsl.middle.evaluations import Evaluation, entries_of, evaluations
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.grouped import grouped_in_words
from sgdsl.middle.objective import Density, Objective, Weighting
from sgdsl.middle.partly import partly_known
from sgdsl.middle.plan import Plan
from sgdsl.middle.prefix import counts_in_words
from sgdsl.middle.used import others_in_words
from sgdsl.middle.written import copy_of, copy_text, written

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
GRADIENTS = {
    "dreg": "d/dφ log mean_s R_s → Σ_s R̃_s² (∂ log R_s / ∂v_s) dv_s/dφ, R_s = p(x, v_s) / r_s, φ in q, R̃ = R / Σ R",
}


BASELINES = {"loo": "the leave-one-out baseline", "mean": "a running mean as baseline", "net": "a network as baseline"}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node of q: `how` it is estimated and the `reason`."""

    name: str
    how: str
    reason: str


@dataclass(frozen=True, slots=True)
class TermRow:
    """log p or log q of a node: its line in the .sgm file and in the emitted text; `scope`: the enumerated nodes over whose
    values it is evaluated, `cases` a row that knows none of them; `constant`: it depends on nothing."""

    factor: Density
    line: int
    emitted: int
    scope: tuple[str, ...]
    cases: int
    constant: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """Rows that know the labels of `known`: their objective, what each node does, and `weights` in a sentence."""

    title: str
    known: tuple[str, ...]
    unknown: tuple[str, ...]
    objective: Objective
    nodes: tuple[tuple[str, str], ...]
    weights: str
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What `sgdsl explain MODEL` says. `alpha`: a number, or "auto" for 1/ρ; `formula`: the bound in general; `made`:
    what the compiler made of q and why, in lines; `gradient`: "dreg", or "plain"; `others`: what comes
    from other models, in lines; `counts`: how the loops `1..k` treat k, and how chains are summed, in lines; `partly`: rows
    that know some copies of a label, titles and sentences."""

    model: str
    bound: str
    marginal: str
    samples: int
    alpha: float | str
    formula: str
    nodes: tuple[NodeRow, ...]
    terms: tuple[TermRow, ...]
    patterns: tuple[Pattern, ...]
    made: tuple[str, ...]
    gradient: str
    others: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    partly: tuple[tuple[str, str], ...] = ()


def explain(model: ir.Model, graphs: Graphs, plan: Plan, emitted: Mapping[tuple[str, str], int]) -> Page:
    """The page of a model. `emitted[side, node]`: the line of each term in the emitted text."""
    alpha = resolve(model.objective, "objective")["alpha"]
    assert isinstance(alpha, str | float | int)
    formula = BOUNDS.get((plan.bound, plan.marginal), BOUNDS[plan.bound, "lse"])
    nodes = (NodeRow(v, _how(model, plan, v), plan.choices[v].reason) for v in plan.draws)
    rows = (_pattern(model, graphs, plan, known, alpha != 0) for known in patterns(model) if _possible(model, known))
    return Page(
        model.name,
        plan.bound,
        plan.marginal,
        plan.samples,
        alpha,
        formula,
        tuple(nodes),
        _terms(model, plan, emitted),
        tuple(rows),
        tuple(recognition.in_words(model)),
        plan.gradient,
        tuple(others_in_words(model)),
        (*counts_in_words(model, graphs, plan), *chains_in_words(model, plan)),
        tuple(partly_known(model, graphs, plan)),
    )


def _possible(model: ir.Model, known: Sequence[str]) -> bool:
    """Whether rows can know these labels: a label of a copy needs the number of copies."""
    counts = {model.axis(r.axis).count for v in known for r in model.node(v).axes}
    free = {n.name for n in model.nodes if n.role in ("latent", "supervised")}.difference(known)
    return not counts & free


def _drawn(choice: Choice) -> str:
    """How a node that is not enumerated is estimated."""
    baseline = dict(choice.options).get("baseline")
    return f"{HOW[choice.name]} with {BASELINES[str(baseline)]}" if baseline else HOW[choice.name]


def nodes_in_words(model: ir.Model, plan: Plan) -> list[str]:
    """A line a node of q: how it is estimated."""
    width = max((len(n) for n in plan.draws), default=0)
    return [f"{name:<{width}} : {_how(model, plan, name)}" for name in plan.draws]


def _how(model: ir.Model, plan: Plan, name: str) -> str:
    choice, size = plan.choices[name], model.node(name).type.cardinality
    closed = ", its KL in closed form" if plan.is_closed(name) else ""
    each = " a copy" if model.node(name).axes else ""
    return f"enumerated, {size} values{each}" if choice.name == "enumerate" else _drawn(choice) + closed


def _terms(model: ir.Model, plan: Plan, emitted: Mapping[tuple[str, str], int]) -> tuple[TermRow, ...]:
    found = []
    for term in plan.terms:
        factor = model.factor(term.side, term.node)
        line, _ = model.source.position(factor.span.start)
        cases = prod(entries_of(model, plan, v) for v in term.scope)
        name = Density(term.side, copy_of(factor), tuple(written(model, g) for g in factor.given))
        scope = tuple(_copies(model, plan, v) for v in term.scope)
        found.append(TermRow(name, line, emitted[term.side, term.node], scope, cases, term.constant))
    return tuple(found)


def _copies(model: ir.Model, plan: Plan, name: str) -> str:
    """An enumerated node, or the copies of a range."""
    if reading := plan.scopes.readings.get(name):
        found = copy_text(reading.node, (*model.node(reading.node).axes[:-1], reading.place))
        return found.replace(" - ", "−").replace(" + ", "+")
    if name not in plan.scopes.ranges:
        return _copied(model, name)
    r = plan.scopes.ranges[name]
    return f"{r.axis}={r.first}..{r.last}"


def _copied(model: ir.Model, node: str) -> str:
    return copy_text(node, model.node(node).axes)


def _pattern(model: ir.Model, graphs: Graphs, plan: Plan, known: tuple[str, ...], alpha: bool) -> Pattern:
    weighed = weigh(graphs, plan.draws, plan.choices, known)
    unknown = tuple(n.name for n in model.nodes if n.role == "supervised" and n.name not in known)
    title = _title(known, unknown)
    objective = derive(model, graphs, plan, known, alpha)
    nodes = tuple((name, _node(model, plan, weighed, name)) for name in plan.draws)
    weights = f"{title}: {_weights(model, graphs, plan, weighed, objective.weights)}"
    return Pattern(title, known, unknown, objective, nodes, weights, evaluations(model, graphs, plan, known))


def _title(known: Sequence[str], unknown: Sequence[str]) -> str:
    if known and unknown:
        return f"{_list(known)} known, {_list(unknown)} not"
    return f"{_list(known)} known" if known else f"{_list(unknown)} unknown" if unknown else "every row"


def _node(model: ir.Model, plan: Plan, weighed: Weighed, name: str) -> str:
    choice, size = plan.choices[name], model.node(name).type.cardinality
    clamped = plan.bound == "clamped"
    if name in weighed.known:
        if name in weighed.before:
            return f"known; its log q {'is averaged over' if clamped else 'weighs'} the unknown nodes before it"
        return "known; log q of the label is exact" + (", one case" if choice.name == "enumerate" else "")
    if choice.name == "enumerate":
        weight = "summed inside the logarithm" if plan.bound == "iw" else "weighed by q"
        each = " a copy" if model.node(name).axes else ""
        return f"enumerated, {size} cases{each}, {weight}" + " · w" * (name in weighed.above and plan.bound == "snis")
    if choice.name in ("delta", "sum_and_sample"):
        return HOW[choice.name]
    where = "importance sampled" if name in weighed.above and not clamped else "drawn"
    return f"{where}, {_drawn(choice).removeprefix('drawn, ')}"


def _weights(model: ir.Model, graphs: Graphs, plan: Plan, weighed: Weighed, groups: Sequence[Weighting]) -> str:
    """What the labels weigh, in words."""
    if not weighed.known:
        return f"no weights, the bound is the {'IWAE bound' if plan.bound == 'iw' else 'ELBO'}"
    if not weighed.before:
        return "weights constant, exact"
    listed = [v for v in weighed.above if plan.choices[v].name == "enumerate"]
    listed.sort(key=lambda v: bool(model.node(v).axes))
    finite = ", ".join(f"{_copied(model, v)} enumerated ({model.node(v).type.cardinality})" for v in listed)
    if not weighed.drawn:
        return finite or "weights constant, exact"
    drawn = [g for g in groups if g.drawn]
    over = _list([v for g in drawn for v in g.drawn])
    advice = ", ".join(f"{_list(g.labels)} before {_list(g.drawn)}" for g in drawn)
    beside = f"{finite}; " if finite else ""
    if plan.bound == "clamped":
        return f"{beside}no weights, {over} drawn without the label, S = {plan.samples}; write {advice} in q to use it"
    apart = grouped_in_words(model, graphs, plan, drawn)
    return f"{beside}importance sampling over {over}{apart}, S = {plan.samples}; write {advice} in q to avoid it"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
