"""What q's factors take from p: a model that passed checks.check_graph comes in; the same goes out with every bayes and
product knowing the p-factors it is made of, and every expert the partial nodes it reads (E0410, E0512)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sgdsl.base.diagnostics import Diagnostic, Label, Sink
from sgdsl.middle import graphs, ir
from sgdsl.middle.graphs import Lets, factor_reads


def complete(model: ir.Model, sink: Sink) -> ir.Model:
    """Adds E0410 (a partial node that is a parent in p) and E0512 (a p-factor that q cannot evaluate)."""
    lets = graphs.let_graph(model)
    _check_partial(model, lets, sink)
    within: dict[str, list[str]] = {}  # the p-factors that contain a node
    for factor in model.p:
        for name in dict.fromkeys((factor.node, *lets.contracted(factor_reads(factor)))):
            within.setdefault(name, []).append(factor.node)
    return replace(model, q=tuple(_completed(factor, within, model, lets, sink) for factor in model.q))


def _check_partial(model: ir.Model, lets: Lets, sink: Sink) -> None:
    partial = {n.name for n in model.nodes if n.type.partial}
    for factor in model.p:
        for name, span in zip(factor.given, factor.given_spans, strict=True):
            for parent in lets.contracted([name]):
                if parent in partial:
                    through = "" if parent == name else f" through `{name}`"
                    sink.add(
                        Diagnostic("E0410", f"p({factor.node} | …) reads `{parent}`{through}, whose cells may be missing", span,
                                   "partial", (Label(model.node(parent).span, "declared partial here"),),
                                   ("what is missing would have to be inferred first: a partial node is no parent in p",),
                                   f"turn the arrow round, or declare `{parent}` without `partial`")
                    )  # fmt: skip


def _completed(
    factor: ir.Factor, within: Mapping[str, list[str]], model: ir.Model, lets: Lets, sink: Sink
) -> ir.Factor:
    source = factor.parameters[0].source
    match source:
        case ir.Bayes():
            made = within.get(factor.node, [])
            reads = _available(factor, made, f"`bayes` of `{factor.node}`", model, lets, sink)
            return _with(factor, ir.Bayes(tuple(made), reads), reads, model, lets)
        case ir.Product():
            prior = model.factor("p", factor.node).family == "Normal"
            made = [factor.node] if prior else []
            reads = _available(factor, made, f"the product for `{factor.node}`", model, lets, sink)
            experts = _experts(source.experts, model, lets)
            return _with(factor, ir.Product(experts, prior, reads), reads, model, lets)
        case ir.Mixture():
            return _with(factor, ir.Mixture(_experts(source.experts, model, lets)), (), model, lets)
        case _:
            return factor


def _with(
    factor: ir.Factor, source: ir.ParameterSource, reads: tuple[str, ...], model: ir.Model, lets: Lets
) -> ir.Factor:
    """The factor with its source, and with what that reads among its parents."""
    listed = lets.contracted(factor.given)
    more = tuple(n for n in lets.contracted(reads) if n not in listed)
    parameters = tuple(replace(p, source=source) for p in factor.parameters)
    spans = (*factor.given_spans, *[factor.span] * len(more))
    return replace(factor, parameters=parameters, given=(*factor.given, *more), given_spans=spans)


def _experts(experts: Iterable[ir.Expert], model: ir.Model, lets: Lets) -> tuple[ir.Expert, ...]:
    found = []
    for expert in experts:
        read = {r.name for e in graphs.expressions(expert.trunk, expert.parameters) for r in graphs.references(e)}
        partial = tuple(n for n in lets.contracted(sorted(read)) if model.node(n).type.partial)
        found.append(replace(expert, partial=partial))
    return tuple(found)


def _available(
    factor: ir.Factor, made: Iterable[str], whose: str, model: ir.Model, lets: Lets, sink: Sink
) -> tuple[str, ...]:
    """The nodes and lets, other than the factor's node and what depends on it, that these p-factors read and score: each
    must be a parent, observed or given. Adds E0512."""
    node, listed = factor.node, lets.contracted(factor.given)
    names: dict[str, None] = {}
    for name in made:
        read_by = (name, *factor_reads(model.factor("p", name)))
        for read in read_by:
            free = [read] if node not in lets.contracted([read]) else _inside(read, node, model, lets)
            names.update((n, None) for n in free if n != node)
        missing = [
            n
            for n in lets.contracted(read_by)
            if n != node and n not in listed and model.node(n).role in ("latent", "supervised")
        ]
        if missing:
            _unavailable(factor, model.factor("p", name), missing, whose, sink)
            break
    return tuple(names)


def _inside(let: str, node: str, model: ir.Model, lets: Lets) -> list[str]:
    """What a let that depends on the node reads besides it: nodes, and lets that do not depend on it."""
    if let == node:
        return []
    found: list[str] = []
    for name in lets.graph.predecessors(let):
        depends = node in lets.contracted([name])
        found += _inside(name, node, model, lets) if depends else [name]
    return found


def _unavailable(factor: ir.Factor, other: ir.Factor, missing: list[str], whose: str, sink: Sink) -> None:
    names = ", ".join(f"`{n}`" for n in missing)
    parents = ", ".join((*factor.given, *missing))
    made = "bayes" if isinstance(factor.parameters[0].source, ir.Bayes) else "product(…)"
    hint = f"write `q({factor.node} | {parents}) = {made}`, if q draws {'it' if len(missing) == 1 else 'them'} before"
    sink.add(
        Diagnostic("E0512", f"{whose} needs {names}", factor.span, f"not among its parents: {', '.join(missing)}",
                   (Label(other.span, f"{other.head} is one of its factors"),),
                   ("a p-factor can be evaluated where its nodes are parents, observed or given",),
                   f"{hint}; else write a network")
    )  # fmt: skip
