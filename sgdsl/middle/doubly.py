"""gradient = dreg: a model, its graphs and estimators come in; E0507 where the doubly reparameterised gradient cannot be had."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from sgdsl.base.diagnostics import Diagnostic, Label, Sink
from sgdsl.base.source import NOWHERE
from sgdsl.catalog.families import FAMILIES
from sgdsl.catalog.settings import resolve
from sgdsl.middle import ir
from sgdsl.middle.digraph import reached
from sgdsl.middle.estimators import Choice
from sgdsl.middle.graphs import Graphs, factor_expressions, factor_reads, let_reads, networks
from sgdsl.middle.networks import stages, trained_stages
from sgdsl.middle.used import called

HOW = {
    "enumerate": "enumerated",
    "sum_and_sample": "estimated by sum_and_sample",
    "score": "drawn with a score gradient",
    "gumbel": "relaxed",
    "straight_through": "relaxed",
}


def check_doubly(model: ir.Model, graphs: Graphs, choices: Mapping[str, Choice], sink: Sink) -> str:
    """The gradient that the file asks for. Adds E0507 where `dreg` has no bound, a node without a smooth draw, or a
    network that may not run twice."""
    settings = resolve(model.objective, "objective")
    if settings["gradient"] != "dreg":
        return "plain"
    looped = next((n for n in model.nodes if n.axes and n.name in choices), None)
    if looped is not None:
        sink.add(_in_loop(model, looped))
        return "dreg"
    for found in (*_bound(model, str(settings["bound"])), *_nodes(model, choices), *_twice(model, graphs, choices)):
        sink.add(found)
    return "dreg"


def _asked(model: ir.Model) -> tuple[Label, ...]:
    """Where the file asks for it, if the command line does not."""
    span = next(s.span for s in model.objective if s.name == "gradient")
    return () if span == NOWHERE else (Label(span, "asked for here"),)


def _in_loop(model: ir.Model, node: ir.Node) -> Diagnostic:
    asked = _asked(model)
    return Diagnostic(
        "E0190", f"`gradient = dreg` for copies of a loop, such as `{node.name}`, is planned, not here yet",
        asked[0].span if asked else node.span, "planned", (Label(node.span, "in a loop"),), (),
        "now: leave `gradient` out",
    )  # fmt: skip


def _bound(model: ir.Model, bound: str) -> Iterator[Diagnostic]:
    if bound != "iw":
        asked = _asked(model)
        yield Diagnostic(
            "E0507", f"`gradient = dreg` is not for the bound {bound}", asked[0].span if asked else None, "needs iw", (),
            ("it is a gradient of log mean_s p(x, v_s) / r_s, which is `iw` alone",),
            "set `bound = iw`, or leave `gradient` out",
        )  # fmt: skip


def _nodes(model: ir.Model, choices: Mapping[str, Choice]) -> Iterator[Diagnostic]:
    """Every draw is smooth in its parameters, and nothing is summed."""
    for name, choice in choices.items():
        if choice.name in HOW:
            factor = model.factor("q", name)
            place = factor.estimator.span if factor.estimator else factor.span
            smooth = FAMILIES[factor.family].reparameterised
            way = f"draw `{name}` by reparam" if smooth else "give every unknown node a continuous family"
            yield Diagnostic(
                "E0507", f"`gradient = dreg` needs smooth draws, and `{name}` is {HOW[choice.name]}", place,
                HOW[choice.name], _asked(model),
                ("q's parameters are reached through draws that are smooth in them, and through nothing else",),
                f"{way}, or leave `gradient` out",
            )  # fmt: skip


def _twice(model: ir.Model, graphs: Graphs, choices: Mapping[str, Choice]) -> Iterator[Diagnostic]:
    """What reads a draw and is read by q runs again with weights that stand still: to the same value, or q's density is not
    that of the draw."""
    nets = {n.name: n.parts for n in model.nets}
    moving = _moving(graphs, choices)
    read = {name for f in model.q for name in factor_reads(f)}
    lets = [h for h in model.lets if read & {h.name, *graphs.lets.graph.descendants(h.name)}]
    owners = [(f"q of `{f.node}`", factor_reads(f), _evaluated(model, f), ("q", f.node), f.span) for f in model.q]
    owners += [(f"the let `{h.name}`", (h.name,), (h.value,), ("let", h.name), h.span) for h in lets]
    for what, reads, found, owner, place in owners:
        if not moving & set(graphs.lets.contracted(reads)):
            continue
        own = ((s, s.span) for e in found for network in networks(e) for s in stages(network.parts, nets))
        others = ((s, place) for c in called(model) if c.owner == owner for s in trained_stages(model, c))
        for stage, span in chain(own, others):
            options = dict(stage.options)
            again = "dropout" if options.get("dropout") else "norm = batch" if options.get("norm") == "batch" else ""
            if again:
                yield Diagnostic(
                    "E0507", f"`gradient = dreg` cannot run a network with {again} twice", span, again,
                    _asked(model),
                    (f"{what} reads a draw, so that its network runs once for draws and once, with fixed weights, in log q",
                     "dropout would not repeat itself" if again == "dropout" else "the rows would be counted twice"),
                    f"leave {again} out here, or leave `gradient` out",
                )  # fmt: skip


def _evaluated(model: ir.Model, factor: ir.Factor) -> tuple[ir.Expr, ...]:
    """The expressions of a factor of q; of a product with its prior, p's too."""
    source = factor.parameters[0].source
    prior = isinstance(source, ir.Product) and source.prior
    return (*factor_expressions(factor), *(factor_expressions(model.factor("p", factor.node)) if prior else ()))


def _moving(graphs: Graphs, choices: Mapping[str, Choice]) -> set[str]:
    """What is drawn, and the Deltas of it."""
    drawn = {n for n, choice in choices.items() if choice.drawn}
    return drawn | (graphs.q.descendants(*drawn) & choices.keys())


def passes(model: ir.Model, graphs: Graphs, choices: Mapping[str, Choice], scored: Collection[str]) -> dict[str, int]:
    """How often a step runs `let_h` and `encode_v` of what reads a draw: for later draws, for log p, and with fixed weights
    for log q. `scored`: the nodes whose log p is evaluated."""
    moving, lets = _moving(graphs, choices), {h.name: let_reads(h) for h in model.lets}
    deltas = {n: factor_reads(model.factor("q", n)) for n, choice in choices.items() if choice.name == "delta"}
    read_by_p = {name for f in model.p if f.node in scored for name in (f.node, *factor_reads(f))}
    read_by_q = {name for n, c in choices.items() if c.drawn for name in factor_reads(model.factor("q", n))}
    again = {*read_by_q, *chain(*deltas.values())}
    uses = (
        again | reached(lets, again) | deltas.keys(),
        *(names | reached({**lets, **deltas}, names) for names in (read_by_p, read_by_q)),
    )
    found = {f"let_{h}": sum(h in use for use in uses) for h in lets if moving & set(graphs.lets.contracted([h]))}
    for n, choice in choices.items():
        if moving & set(graphs.q.predecessors(n)):
            found[f"encode_{n}"] = 2 if choice.drawn else sum(n in use for use in uses)
    return found
