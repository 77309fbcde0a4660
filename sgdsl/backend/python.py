"""The text of a model: the IR and its plan come in, one readable Python module and its map to .sgm lines go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace

from sgdsl.backend.baselines import baseline_method, predict, scored_by
from sgdsl.backend.bound import emit_bound
from sgdsl.backend.calls import parameter_names
from sgdsl.backend.classes import emit_method, emit_modules, line_of, methods_of
from sgdsl.backend.doubly import Doubly
from sgdsl.backend.facts import emit_facts
from sgdsl.backend.grouped import emit_grouped, emit_weights
from sgdsl.backend.infer import infer, list_values
from sgdsl.backend.lookup import emit_lookup
from sgdsl.backend.methods import Method
from sgdsl.backend.names import Named, Names, name_all
from sgdsl.backend.runtime_names import imports, names_of
from sgdsl.backend.sampled import infer_sampled
from sgdsl.backend.sequence import run_copies
from sgdsl.backend.step import Step
from sgdsl.backend.used import SubModels
from sgdsl.backend.writer import Writer
from sgdsl.middle import ir
from sgdsl.middle.explain import nodes_in_words
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.plan import Plan, Term

Methods = Mapping[tuple[str, str], Method]


def emit(model: ir.Model, graphs: Graphs, plan: Plan) -> tuple[str, tuple[int, ...]]:
    """The module's text, and for each of its lines the .sgm line it comes from (0: none)."""
    named = name_all(model, names_of())
    subs = SubModels(plan, Names(set(names_of())))
    named = replace(named, uses=subs.of(model, plan, named))
    nets = {n.name: (named.modules[n.name], n.parts) for n in model.nets}
    types = {n.name: n.type for n in model.nodes} | {h.name: h.type for h in model.lets}
    methods = methods_of(model, plan, named, nets, types)
    for name in scored_by(plan, "net"):
        methods["baseline", name] = baseline_method(model.factor("q", name), plan, named, nets, types)
    body = Writer()
    body.take(subs.out)
    _networks(body, model, methods, named, bool(scored_by(plan, "mean")))
    _side(body, model, "q", methods, named)
    _side(body, model, "p", methods, named)
    _model(body, model, graphs, plan, methods, named)
    out = Writer()
    _docstring(out, model, graphs, plan)
    for line in imports(body.text()):
        out.raw(line)
    return out.text() + "\n" + body.text(), (*out.origins, 0, *body.origins)


def factorisation(model: ir.Model, side: ir.Side, order: Iterable[str]) -> str:
    """p(x, y) = p(y) p(x | y), a line of the docstring."""
    factors = {f.node: f for f in (model.p if side == "p" else model.q)}
    names = [n for n in order if n in factors]
    given = [n.name for n in model.nodes if n.role == "given" or (side == "q" and n.role == "observed")]
    joint = ir.head(side, ", ".join(names), given)
    return f"{joint} = {' '.join(factors[n].head for n in names)}"


def _docstring(out: Writer, model: ir.Model, graphs: Graphs, plan: Plan) -> None:
    doc = model.doc.replace("\\", "\\\\").replace('"""', "'''")
    out.raw(f'"""{model.name}{": " if doc else ""}{doc}')
    out.raw()
    out.raw(factorisation(model, "p", graphs.order("p")))
    out.raw(factorisation(model, "q", graphs.order("q")))
    out.raw()
    for line in nodes_in_words(model, plan):
        out.raw(line)
    out.raw('"""')
    out.raw()


def _networks(out: Writer, model: ir.Model, methods: Methods, named: Named, running_mean: bool) -> None:
    out.raw()
    out.raw("class Networks(Queries):")
    out.raw('"""Every weight, in the order of the file."""', 4)
    out.raw()
    out.raw("def __init__(self) -> None:", 4)
    out.raw("super().__init__()", 8)
    for sub in named.uses.values():
        out.statement(f"self.{sub.attribute} = {sub.made}", 8)
    emit_modules(out, model, methods, named)
    out.at = 0
    if running_mean:
        out.raw("self.running_mean = RunningMean()", 8)
    out.raw()


def _side(out: Writer, model: ir.Model, side: ir.Side, methods: Methods, named: Named) -> None:
    """class Encoder (q, and the lets) or Decoder (p): a method a factor."""
    out.raw()
    out.raw(f"class {'Encoder' if side == 'q' else 'Decoder'}(Networks):")
    out.raw(f'"""The factors of {side}: parents in, parameters out, all [S or 1, entries, …]."""', 4)
    if side == "q":
        for let in model.lets:
            if ("let", let.name) in methods:
                line = line_of(model, "let", let.name)
                emit_method(out, methods["let", let.name], named, f"let {let.name}", line)
    for factor in model.p if side == "p" else model.q:
        names = ", ".join(parameter_names(factor))
        out_line = line_of(model, side, factor.id)
        emit_method(out, methods[side, factor.id], named, f"{factor.text}: {names}", out_line)
        if side == "q" and ("baseline", factor.node) in methods:
            doc = f"The bound as predicted from the parents of {factor.node}"
            emit_method(out, methods["baseline", factor.node], named, doc, out_line)
    out.at = 0
    out.raw()


def _model(out: Writer, model: ir.Model, graphs: Graphs, plan: Plan, methods: Methods, named: Named) -> None:
    out.raw()
    out.raw("class Model(Encoder, Decoder):")
    out.raw('"""Both sides, the bound of a batch, and what queries need."""', 4)
    out.raw()
    emit_facts(out, model, graphs, plan)
    apart = replace(named, locals=deepcopy(named.locals))
    _forward(out, model, plan, methods, named, graphs)
    for side in ("q", "p"):
        emit_lookup(out, model, graphs, plan, "q" if side == "q" else "p", methods, apart)


def _forward(out: Writer, model: ir.Model, plan: Plan, methods: Methods, named: Named, graphs: Graphs) -> None:
    kind = ", jensen" * (plan.marginal == "jensen") + ", dreg" * (plan.gradient == "dreg")
    out.raw()
    out.raw("def forward(self, batch: Batch, draws: Draws) -> Step:", 4)
    out.raw(f'"""The bound of each row ({plan.bound}{kind}), [rows]."""', 8)
    drawn = tuple(m for m in graphs.carried if m.isdisjoint(plan.scopes.chains))
    step = Step(model, plan, named, methods, out, carried=drawn, sequence=run_copies)
    step.start()
    if plan.gradient == "dreg":
        doubly = Doubly(step)
        doubly.start()
        for name in plan.draws:
            doubly.infer(model.factor("q", name))
        step.view = doubly.in_log_p
    else:
        _inferred(step)
    terms = {t.node: t for t in plan.terms if t.side == "p"}
    for name in graphs.order("p"):
        for factor in model.pieces("p", name):
            if factor.id in terms:
                step.generate(factor, terms[factor.id])
    step.view = None
    if plan.groups:
        emit_grouped(step)
    else:
        emit_bound(step)


def _inferred(step: Step) -> None:
    """Every node of q; those that read several groups of weights after the others were recombined."""
    terms = {t.node: t for t in step.plan.terms if t.side == "q"}
    late = [v for v in step.plan.draws if step.is_late("q", v)]
    for name in step.plan.draws:
        if name not in late:
            _infer(step, name, terms)
        elif step.plan.choices[name].name == "enumerate":
            list_values(step, name)
    if step.plan.groups:
        emit_weights(step)
    for name in late:
        _infer(step, name, terms)


def _infer(step: Step, name: str, terms: Mapping[str, Term]) -> None:
    """A node of q, or each piece of its copies: its parameters, its value, its log q."""
    pieces = step.model.pieces("q", name)
    for factor in pieces:
        if step.plan.choices[name].name == "sum_and_sample" and name in terms:
            infer_sampled(step, factor, terms[name])
        else:
            infer(step, factor, terms.get(factor.id))
            predict(step, name)
    if len(pieces) > 1:
        step.whole_of(name, [f.id for f in pieces])
