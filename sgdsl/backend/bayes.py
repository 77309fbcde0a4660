"""`q(v | …) = bayes` as a method: the p-factors that contain v come in, the text that adds them up over its values goes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdsl.backend import calls
from sgdsl.backend.features import sizes
from sgdsl.backend.methods import Method, level_of, relaxed
from sgdsl.backend.names import Named, Names
from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_reads
from sgdsl.middle.plan import Plan, is_constant


@dataclass(slots=True)
class _Body:
    """The statements so far. `reads`: what the method takes; `made`: what has its variable at an entry a value of v."""

    model: ir.Model
    plan: Plan
    named: Named
    methods: Mapping[tuple[str, str], Method]
    node: ir.Node
    reads: tuple[str, ...]
    lifts: tuple[str, ...]
    lines: list[str] = field(default_factory=list)
    made: dict[str, None] = field(default_factory=dict)
    locals: Names = field(default_factory=Names)

    @property
    def values(self) -> int:
        return self.node.type.values or 0

    def prior(self) -> str:
        """log p(v | …) at every value, [S or 1, entries, values], or its log-odds; "" where it is the same for all."""
        factor = self.model.factor("p", self.node.name)
        if is_constant(factor):
            return ""
        method = self.methods["p", self.node.name]
        if not method.name:
            return method.constants[0]
        ups = {n: self.named.derived["up", n] for n in self.lifts}
        args = [f"lift({self.named.values[n]}, {ups[n]})" if n in ups else self.named.values[n] for n in method.reads]
        name = self.locals.new("prior")
        self.lines.append(f"{name} = self.{method.name}({', '.join(args)})")
        return name

    def read(self, name: str) -> None:
        """The variable of a node or let at every value of v: repeated, or a let that depends on v evaluated again."""
        if name in self.made or name == self.node.name:
            return
        self.made[name] = None
        value = self.named.values[name]
        if name not in self.reads:
            self.lines.append(f"{value} = {self.call(self.methods['let', name])}")
            return
        up = f", {self.named.derived['up', name]}" if name in self.lifts else ""
        self.lines.append(f"{value} = every({value}, {self.values}{up})")
        if self.partial(name):
            mask = self.named.derived["present", name]
            self.lines.append(f"{mask} = every({mask}, {self.values}{up})")

    def partial(self, name: str) -> bool:
        return any(n.name == name and n.type.partial for n in self.model.nodes)

    def each(self, like: str) -> None:
        """The values of v, one after the other for every entry."""
        kind, own = self.node.type, self.named.values[self.node.name]
        shape = ", ".join(("", *map(str, kind.event)))
        text = f"each_value({self.named.values[like]}, {kind.first}, {self.values}{shape})"
        if not kind.one_hot:
            text = f"number(self, {text})"
        elif relaxed(self.plan, self.node.name):
            text = f"one_hot({text}, {kind.values}{f', {kind.first}' if kind.first else ''})"
        self.lines.append(f"{own} = {text}")

    def call(self, method: Method) -> str:
        for name in method.reads:
            self.read(name)
        assert not method.copies, "no factor that `bayes` evaluates has weights of its own a copy"
        return f"self.{method.name}({', '.join(method.arguments(self.named))})"

    def log_prob(self, name: str) -> str:
        """log p of a child at every value of v, [S or 1, entries · values]."""
        factor, node, method = self.model.factor("p", name), self.model.node(name), self.methods["p", name]
        parameters = list(method.constants)
        if method.name:
            call = self.call(method)
            parameters = [self.locals.new(f"{name}_{p}") for p in calls.parameter_names(factor)]
            self.lines.append(f"{', '.join(parameters)} = {call}")
        present = self.named.derived["present", name] if self.partial(name) else ""
        text = calls.log_prob(factor, node, self.named.values[name], parameters, present, relaxed(self.plan, name))
        found = self.named.derived["log_p", name]
        self.lines.append(f"{found} = {text}")
        return found


def bayes_method(
    factor: ir.Factor,
    source: ir.Bayes,
    model: ir.Model,
    plan: Plan,
    named: Named,
    methods: Mapping[tuple[str, str], Method],
) -> Method:
    """encode_v: Σ log p at every value of v as logits; of a binary v the log-odds. Every entry is evaluated once a value."""
    reads, node = factor_reads(factor), model.node(factor.node)
    level, lifts = level_of(reads, plan)
    body = _Body(model, plan, named, methods, node, reads, lifts, locals=Names(set(named.locals.taken)))
    terms = [body.prior()]
    children = [n for n in source.factors if n != node.name and not is_constant(model.factor("p", n))]
    for name in children:
        body.read(name)
    if children:
        body.each(children[0])
        total = " + ".join(body.log_prob(name) for name in children)
        event = "".join(f", {size}" for size in node.type.event)
        terms.append(f"by_value({total}, {body.values}{event})" if node.type.one_hot else f"log_odds({total}{event})")
    text = " + ".join(t for t in terms if t) or f"constant(self, 0.0, {sizes(factor.parameters[0].shape)})"
    name, attribute = f"encode_{node.name}", f"q_{node.name}"
    partial = tuple(n for n in reads if body.partial(n))
    return Method(name, reads, level, lifts, (*body.lines, f"return {text}"), "", attribute, (not reads,), (), partial)
