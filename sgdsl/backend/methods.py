"""A method and a module for each factor and let: the IR comes in, their texts and what a call needs go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgdsl.backend.code import Code
from sgdsl.backend.experts import Member, combined
from sgdsl.backend.features import Input, sequential, strip
from sgdsl.backend.layers import layers
from sgdsl.backend.names import Named, word
from sgdsl.backend.other_models import used
from sgdsl.backend.parameters import constants, is_free, is_number, module_of, parameters
from sgdsl.catalog.families import FAMILIES
from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.graphs import factor_reads, let_reads, walk
from sgdsl.middle.plan import Plan
from sgdsl.middle.stacks import factor_copies, let_copies

Nets = dict[str, tuple[str, tuple[ir.Part, ...]]]
COPIED = (ir.View, ir.Over, ir.Place)  # lets of other copies have no methods


@dataclass(frozen=True, slots=True)
class Method:
    """`name` "": no method, the parameters are the numbers `constants`. `reads`: nodes and lets it takes, in order;
    `level`: the level it computes on; `lifts`: inputs below that level; `free`: for each parameter, whether it
    depends on no input; `partial`: the nodes of `reads` whose masks it takes too; `copies`: the ranges whose copies it tells
    apart."""

    name: str
    reads: tuple[str, ...]
    level: Scope
    lifts: tuple[str, ...]
    body: tuple[str, ...]
    module: str
    attribute: str
    free: tuple[bool, ...]
    constants: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    def arguments(self, named: Named) -> list[str]:
        """The texts of what it takes, indices that lift left out."""
        return [named.values[n] for n in self.reads] + [named.derived["present", n] for n in self.partial]


def factor_method(
    factor: ir.Factor, plan: Plan, named: Named, nets: Nets, types: Mapping[str, ir.Type], prior: Method | None = None
) -> Method:
    """The method `encode_v` or `decode_v` of a factor: parents in, the family's parameters out. `prior`: the method of its
    node's p-factor, for a product."""
    attribute = f"{factor.side}_{factor.id}"
    reads = factor_reads(factor)
    copies = dict.fromkeys((*(r.name for r in factor_copies(factor)), *(prior.copies if prior else ())))
    level, lifts = level_of(reads, plan, tuple(copies))
    if once := plan.once(factor.side, factor.id):
        lifts = tuple(name for name in reads if name not in once.varying)
    inputs = inputs_of(reads, lifts, plan, named, types)
    told_apart = {name: named.derived["copy", name] for name in copies}
    code = Code(inputs, nets, "net", plan.is_fused(factor.side, factor.id), copies=told_apart, uses=named.uses)
    partial = zero_missing(code)
    match factor.parameters[0].source:
        case ir.Product() | ir.Mixture() as source:
            texts, free = combined(code, source, FAMILIES[factor.family], _prior(code, prior))
        case ir.Used() as source:
            text, method = used(code, source.use, source.side, source.node, source.args)
            texts, free = [text], tuple(f or not reads for f in method.free)
        case _:
            texts = parameters(code, factor.trunk, FAMILIES[factor.family], factor.parameters)
            free = tuple(is_free(p.source) for p in factor.parameters)
            if not code.modules and not reads and all(is_number(p.source) for p in factor.parameters):
                return Method("", (), (), (), (), "", attribute, free, constants(factor, texts))
    body = [f"net = self.{attribute}"] if code.modules else []
    body += [*code.body, f"return {', '.join(strip(t) for t in texts)}"]
    name = f"{'encode' if factor.side == 'q' else 'decode'}_{factor.id}"
    module = module_of(code.modules)
    return Method(name, reads, level, lifts, tuple(body), module, attribute, free, (), partial, tuple(told_apart))


def _prior(code: Code, prior: Method | None) -> Member | None:
    """The node's p-factor as a member of a product: its method called on the same inputs."""
    if prior is None:
        return None
    if not prior.name:
        return Member(prior.constants, prior.free)
    names = tuple(code.fresh(f"prior_{name}") for name in ("loc", "scale"))
    args = [code.inputs[n].lifted for n in prior.reads] + [f"{code.copies[r]}={code.copies[r]}" for r in prior.copies]
    code.body.append(f"{', '.join(names)} = self.{prior.name}({', '.join(args)})")
    return Member(names, prior.free)


def zero_missing(code: Code) -> tuple[str, ...]:
    """Missing cells read as 0; a class stays a legal index, and is zeroed one-hot. The partial nodes among the inputs."""
    partial = {name: known for name, known in code.inputs.items() if known.present}
    code.body += [f"{k.name} = zeroed({k.present}, {k.name})" for k in partial.values() if not k.type.one_hot]
    return tuple(partial)


def let_method(let: ir.Let, plan: Plan, named: Named, nets: Nets, types: Mapping[str, ir.Type]) -> Method:
    """The method `let_h` of a let; its one network, if that is all it is, becomes the module of its name."""
    reads = let_reads(let)
    copies = tuple(r.name for r in let_copies(let))
    level, lifts = level_of(reads, plan, copies)
    attribute = named.modules[let.name]
    whole = isinstance(let.value, ir.Apply) and not any(_owns(e) for e in let.value.network.inputs)
    told_apart = {name: named.derived["copy", name] for name in copies}
    inputs = inputs_of(reads, lifts, plan, named, types)
    fused = plan.is_fused("let", let.name)
    code = Code(inputs, nets, f"self.{attribute}", fused, whole, copies=told_apart, uses=named.uses)
    partial = zero_missing(code)
    if isinstance(let.value, ir.Ref):
        text = code.inputs[let.value.name].lifted
    else:
        text = code.expression(let.value)
        text = f"constant(self, {text})" if isinstance(let.value, ir.Number) else strip(text)
    module = ""
    if code.modules:
        only = next(iter(code.modules.values()))
        module = only if whole else module_of(code.modules)
    body = (*code.body, f"return {text}")
    free, name = (not (reads or copies),), f"let_{word(let.name)}"
    return Method(name, reads, level, lifts, body, module, attribute, free, (), partial, tuple(told_apart))


def _owns(expr: ir.Expr) -> bool:
    """Whether an expression has weights of its own."""
    return any(isinstance(part, ir.Apply | ir.Weight) for part in walk(expr))


def net_module(net: ir.Net) -> str:
    """The constructor of a declared net's own layers; "" where it only names other nets."""
    stages = [p for p in net.parts if isinstance(p, ir.Stage)]
    return sequential(layers(stages)) if stages else ""


def level_of(reads: Sequence[str], plan: Plan, copies: Sequence[str] = ()) -> tuple[Scope, tuple[str, ...]]:
    """The level that a method computes on, and what it reads from below; `copies`: loops whose copies have weights of their
    own, which it tells apart."""
    level = plan.scopes.ordered({*plan.scopes.union(reads), *copies})
    return level, tuple(name for name in reads if plan.scopes[name] != level)


def inputs_of(
    reads: Sequence[str], lifts: Sequence[str], plan: Plan, named: Named, types: Mapping[str, ir.Type]
) -> dict[str, Input]:
    return {
        name: Input(
            named.values[name],
            types[name],
            relaxed(plan, name),
            named.derived["up", name] if name in lifts else "",
            named.derived["present", name] if types[name].partial else "",
        )
        for name in reads
    }


def relaxed(plan: Plan, name: str) -> bool:
    """Whether a node's value is a vector of weights in the step."""
    return name in plan.choices and plan.choices[name].relaxed
