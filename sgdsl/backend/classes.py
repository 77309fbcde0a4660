"""What a model and the models that it uses have in common: the IR comes in, methods and the text of their classes go out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.backend.bayes import bayes_method
from sgdsl.backend.methods import COPIED, Method, Nets, factor_method, let_method, net_module
from sgdsl.backend.names import Named
from sgdsl.backend.writer import Writer
from sgdsl.middle import ir
from sgdsl.middle.plan import Plan

Methods = Mapping[tuple[str, str], Method]


def methods_of(
    model: ir.Model, plan: Plan, named: Named, nets: Nets, types: Mapping[str, ir.Type]
) -> dict[tuple[str, str], Method]:
    """The method of each let and factor."""
    methods: dict[tuple[str, str], Method] = {}
    for let in model.lets:
        if not isinstance(let.value, COPIED):
            methods["let", let.name] = let_method(let, plan, named, nets, types)
    for factor in (*model.p, *model.q):
        match factor.parameters[0].source:
            case ir.Bayes() as source:
                made = bayes_method(factor, source, model, plan, named, methods)
            case ir.Product(prior=True):
                made = factor_method(factor, plan, named, nets, types, methods["p", factor.id])
            case _:
                made = factor_method(factor, plan, named, nets, types)
        methods[factor.side, factor.id] = made
    return methods


def line_of(model: ir.Model, kind: str, name: str) -> int:
    """The line of a factor, let or net in its file."""
    match kind:
        case "p" | "q":
            span = model.factor("p" if kind == "p" else "q", name).span
        case "let":
            span = model.let(name).span
        case _:
            span = model.net(name).span
    return model.source.position(span.start)[0]


def emit_modules(out: Writer, model: ir.Model, methods: Methods, named: Named) -> None:
    """Statements that make the modules of all methods, in the order of the file."""
    nets = {n.name: net_module(n) for n in model.nets if n.used}
    for kind, name in model.statements:
        if kind == "net":
            attribute, module = named.modules[name], nets.get(name, "")
        else:
            attribute, module = methods[kind, name].attribute, methods[kind, name].module
        out.at = line_of(model, kind, name)
        if module:
            out.statement(f"self.{attribute} = {module}", 8)
        if kind == "q" and ("baseline", name) in methods:
            out.statement(f"self.{methods['baseline', name].attribute} = {methods['baseline', name].module}", 8)


def emit_method(out: Writer, method: Method, named: Named, doc: str, line: int) -> None:
    """A method of a class; `line`: of its factor or let, 0 for that of another file."""
    if not method.name:
        return
    out.at = line
    arguments = [f"{name}: Tensor" for name in method.arguments(named)]
    arguments += [f"{named.derived['copy', r]}: ByCopy" for r in method.copies]
    arguments += [f"{named.derived['up', n]}: Tensor | None = None" for n in method.lifts]
    result = "Parameters" if method.name.startswith(("encode", "decode")) and len(method.free) > 1 else "Tensor"
    out.raw()
    out.definition(f"def {method.name}({', '.join(['self', *arguments])})", f" -> {result}:", 4)
    plain = doc.replace("\\", "\\\\").replace('"', "'")
    out.raw(f'"""{plain}."""', 8)
    for text in method.body:
        out.statement(text, 8)
