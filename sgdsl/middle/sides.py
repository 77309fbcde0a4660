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
            if _other_copies(factor, made, "bayes", model, sink):
                return factor
            reads = _available(factor, made, f"`bayes` of `{factor.node}`", model, lets, sink)
            return _with(factor, ir.Bayes(tuple(made), reads), reads, model, lets)
        case ir.Product():
            prior = model.factor("p", factor.node).family == "Normal"
            made = [factor.node] if prior else []
            if _other_copies(factor, made, "a product with its prior", model, sink):
                return factor
            reads = _available(factor, made, f"the product for `{factor.node}`", model, lets, sink)
            experts = _experts(factor, source.experts, model, lets, sink)
            return _with(factor, ir.Product(experts, prior, reads), reads, model, lets)
        case ir.Mixture():
            experts = _experts(factor, source.experts, model, lets, sink)
            return _with(factor, ir.Mixture(experts), (), model, lets)
        case _:
            return factor


def _other_copies(factor: ir.Factor, made: Iterable[str], what: str, model: ir.Model, sink: Sink) -> bool:
    """E0190 where a p-factor of it reads other copies of a loop, or is one of several lines of a node."""
    pieces = [f for name in dict.fromkeys(made) for f in model.pieces("p", name)]
    lets = {let.name: let.value for let in model.lets}
    found = next(
        (f for f in pieces if f.piece or any(isinstance(lets.get(n), ir.View | ir.Over) for n in f.given)), None
    )
    if found is None:
        return False
    sink.add(
        Diagnostic("E0190", f"{what}, where p of `{found.node}` reads other copies or has several lines, is planned",
                   factor.span, "planned", (Label(found.span, "this one"),), (), "now: write a network")
    )  # fmt: skip
    return True


def _with(
    factor: ir.Factor, source: ir.ParameterSource, reads: tuple[str, ...], model: ir.Model, lets: Lets
) -> ir.Factor:
    """The factor with its source, and with what that reads among its parents."""
    listed = lets.contracted(factor.given)
    more = tuple(n for n in lets.contracted(reads) if n not in listed)
    parameters = tuple(replace(p, source=source) for p in factor.parameters)
    spans = (*factor.given_spans, *[factor.span] * len(more))
    return replace(factor, parameters=parameters, given=(*factor.given, *more), given_spans=spans)


def _experts(
    factor: ir.Factor, experts: Iterable[ir.Expert], model: ir.Model, lets: Lets, sink: Sink
) -> tuple[ir.Expert, ...]:
    loops = {r.axis for r in factor.axes}
    found = []
    for expert in experts:
        read = {r.name for e in graphs.expressions(expert.trunk, expert.parameters) for r in graphs.references(e)}
        partial = _partial(model, lets, sorted(read))
        taken = next((n for n in partial if not {r.axis for r in model.valued(n).axes} <= loops), None)
        if taken is not None:
            sink.add(
                Diagnostic("E0190", f"an expert that reads copies of the partial `{taken}` taken together is planned",
                           factor.span, "planned", (), (), f"now: let it read them all, `{taken}`, or one, `{taken}[1]`")
            )  # fmt: skip
        found.append(replace(expert, partial=partial))
    return tuple(found)


def _partial(model: ir.Model, lets: Lets, names: Iterable[str]) -> tuple[str, ...]:
    """The partial nodes, and lets of their copies, that some names read, each with a mask of its own."""
    if not model.axes:
        return tuple(n for n in lets.contracted(names) if model.node(n).type.partial)
    found: dict[str, None] = {}
    todo = list(names)
    while todo:
        value = model.valued(todo.pop(0))
        if value.type.partial:
            found[value.name] = None
        elif isinstance(value, ir.Let):
            todo += graphs.let_reads(value)
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
