"""Checks of networks that need the graph: batch normalisation where it would see samples or values as rows (E0504)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sgdsl.base.diagnostics import Diagnostic, Label, Sink
from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs, factor_expressions, networks, references
from sgdsl.middle.used import Called, called, networks_of, reached


def check_norms(model: ir.Model, graphs: Graphs, sink: Sink) -> None:
    """norm = batch is for networks of observed and given nodes alone: elsewhere its input varies over samples,
    enumerated values or dummies, and its statistics would mix them (docs/language.md, E0504)."""
    fixed = {n.name for n in model.nodes if n.role in ("observed", "given")}
    nets = {n.name: n.parts for n in model.nets}
    for network in _networks((*model.p, *model.q), model.lets):
        found = list(stages(network.parts, nets))
        normed = next((s for s in found if dict(s.options).get("norm") == "batch"), None)
        if normed is None:
            continue
        read = [ref.name for expr in network.inputs for ref in references(expr)]
        varying = [n for n in graphs.lets.contracted(read) if n not in fixed]
        if varying:
            names = ", ".join(f"`{n}`" for n in varying)
            sink.add(
                Diagnostic("E0504", f"batch normalisation of a network that reads {names}", normed.span, "norm = batch",
                           (), ("its input varies over samples or values of a row, which are no rows of the data",),
                           "write norm = layer, or put the norm into a network that reads observed nodes alone")
            )  # fmt: skip
    _check_bayes(model, nets, sink)
    _check_used(model, graphs, fixed, sink)


def _check_used(model: ir.Model, graphs: Graphs, fixed: Collection[str], sink: Sink) -> None:
    """A model that is trained further counts the rows that it is given."""
    for call in called(model):
        read = [ref.name for _, value in call.args for ref in references(value)]
        varying = [n for n in graphs.lets.contracted(read) if n not in fixed]
        if varying and any(dict(s.options).get("norm") == "batch" for s in trained_stages(model, call)):
            names, kind = ", ".join(f"`{n}`" for n in varying), call.owner[0]
            span = model.let(call.owner[1]).span if kind == "let" else model.factor(_side(kind), call.owner[1]).span
            sink.add(
                Diagnostic("E0504", f"batch normalisation in `{call.use}`, of what reads {names}", span, "norm = batch there",
                           (), ("its input varies over samples or values of a row, which are no rows of the data",),
                           f"freeze `{call.use}`, or write norm = layer there")
            )  # fmt: skip


def _side(kind: str) -> ir.Side:
    return "p" if kind == "p" else "q"


def trained_stages(model: ir.Model, call: Called) -> Iterator[ir.Stage]:
    """The stages of another model that a call evaluates in training mode: none of a frozen one."""
    use = model.use(call.use)
    if use.frozen:
        return
    owners, nets = reached(use.model, [(call.side, call.node)]), {n.name: n.parts for n in use.model.nets}
    for owner in owners:
        for network in networks_of(use.model, owner):
            yield from stages(network.parts, nets)
    for inner in called(use.model):
        if inner.owner in owners:
            yield from trained_stages(use.model, inner)


def _check_bayes(model: ir.Model, nets: dict[str, tuple[ir.Part, ...]], sink: Sink) -> None:
    """`bayes` evaluates the p-factors of its node's children once a value: their statistics would count rows again."""
    for factor in model.q:
        source = factor.parameters[0].source
        made = source.factors if isinstance(source, ir.Bayes) else ()
        for network in _networks((model.factor("p", name) for name in made), ()):
            normed = [s for s in stages(network.parts, nets) if dict(s.options).get("norm") == "batch"]
            if normed and not any(d.code == "E0504" and d.span == normed[0].span for d in sink.found):
                sink.add(
                    Diagnostic("E0504", f"batch normalisation in a factor that `bayes` of `{factor.node}` evaluates",
                               normed[0].span, "norm = batch", (Label(factor.span, "evaluates it at every value"),),
                               ("its rows would be counted once a value",), "write norm = layer")
                )  # fmt: skip


def _networks(factors: Iterable[ir.Factor], lets: Iterable[ir.Let]) -> Iterator[ir.Network]:
    for factor in factors:
        for expr in factor_expressions(factor):
            yield from networks(expr)
    for let in lets:
        yield from networks(let.value)


def stages(parts: tuple[ir.Part, ...], nets: dict[str, tuple[ir.Part, ...]]) -> Iterator[ir.Stage]:
    """The stages of a network, those of named nets in their places."""
    for part in parts:
        if isinstance(part, ir.NetUse):
            yield from stages(nets[part.net], nets)
        else:
            yield part
