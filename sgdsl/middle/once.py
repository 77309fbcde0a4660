"""Factors whose parameters are the same for all samples where a label is known: the plan comes in, rewrites go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs, factor_expressions, factor_reads, networks
from sgdsl.middle.networks import stages
from sgdsl.middle.plan import Plan
from sgdsl.middle.rewrites import Once

Sources = (
    frozenset[str] | None
)  # the nodes that must be known for a value to be the same for all samples; None: it never is
SAME: Sources = frozenset()


def once(model: ir.Model, graphs: Graphs, plan: Plan) -> Iterator[Once]:
    """Factors with hidden layers that read values which vary over the samples in some entries only."""
    if plan.samples == 1 or plan.groups is not None or plan.gradient == "dreg" or model.axes:
        return
    sources: dict[str, Sources] = {n.name: SAME for n in model.nodes}
    for name in plan.draws:
        sources[name] = _drawn(model, plan, name, _union(graphs, sources, factor_reads(model.factor("q", name))))
    nets = {n.name: n.parts for n in model.nets}
    for factor in (*model.p, *model.q):
        reads = factor_reads(factor)
        nodes = _union(graphs, sources, reads)
        if nodes and _is_worth_it(factor, nets) and not any(model.valued(n).type.partial for n in reads):
            varying = tuple(n for n in reads if _union(graphs, sources, [n]))
            yield Once(factor.side, factor.id, tuple(n for n in plan.draws if n in nodes), varying)


def _union(graphs: Graphs, sources: dict[str, Sources], names: Iterable[str]) -> Sources:
    """What a value that reads some nodes and lets hangs on."""
    found: frozenset[str] = frozenset()
    for name in graphs.lets.contracted(names):
        own = sources[name]
        if own is None:
            return None
        found |= own
    return found


def _drawn(model: ir.Model, plan: Plan, name: str, above: Sources) -> Sources:
    """What the value of a node of q hangs on; `above`: what its parameters do."""
    match plan.choices[name].name:
        case "enumerate":
            return SAME
        case "delta":
            return above
        case "sum_and_sample":  # the likeliest class is the same for all samples where the logits are
            return frozenset({name}) if above == SAME else None
        case _:
            return frozenset({name}) if model.node(name).role == "supervised" else None


def _is_worth_it(factor: ir.Factor, nets: dict[str, tuple[ir.Part, ...]]) -> bool:
    """Whether a network of hidden layers makes all parameters, and the same numbers from the same inputs."""
    if factor.trunk is None or not all(isinstance(p.source, ir.Head) for p in factor.parameters):
        return False
    found = [s for expr in factor_expressions(factor) for n in networks(expr) for s in stages(n.parts, nets)]
    same = all(not dict(s.options).get("dropout") and dict(s.options).get("norm") != "batch" for s in found)
    return same and any(s.kind in ("mlp", "conv", "deconv", "resnet") for s in found)
