"""The text of `Model.forward`: the plan comes in, straight-line statements of one training step go out.

The order is that of the mathematics: levels, then q's nodes in order (parameters, value, log q), then p's factors, then the
weights, then the bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sgdsl.backend import calls
from sgdsl.backend.methods import Method, relaxed
from sgdsl.backend.names import Named
from sgdsl.backend.writer import Writer, quoted
from sgdsl.catalog.families import FAMILIES
from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Scope
from sgdsl.middle.plan import Plan, Term

INDENT = 8


@dataclass(slots=True)
class Step:
    """Emits one forward method. `methods[(kind, name)]`, kind p, q or let."""

    model: ir.Model
    plan: Plan
    named: Named
    methods: Mapping[tuple[str, str], Method]
    out: Writer
    made: dict[tuple[str, Scope], str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)  # recombined values
    levels: dict[Scope, str] = field(default_factory=dict)
    factors: dict[Key, str] = field(default_factory=dict)
    rests: dict[str, str] = field(default_factory=dict)  # log mass of the classes of which one is sampled
    late: bool = False  # after recombination

    def say(self, text: str) -> None:
        self.out.statement(text, INDENT)

    def heading(self, factor: ir.Factor) -> None:
        """The factor as written, as a comment, and its line."""
        self.out.at = self.model.source.position(factor.span.start)[0]
        self.out.raw()
        self.out.raw(f"# {factor.text}", INDENT)

    # --- levels -----------------------------------------------------------------------------------------------

    def level(self, scope: Scope) -> str:
        """The variable of a level."""
        if scope not in self.levels:
            self.levels[scope] = self.named.locals.new("at_" + "_".join(scope))
        return self.levels[scope]

    def index(self, scope: Scope, of: Scope) -> str:
        """The index that lifts from one level to another."""
        return f'{self.level(scope)}.index["{" ".join(of)}"]' if of else f"{self.level(scope)}.row"

    def raised(self, text: str, of: Scope, scope: Scope) -> str:
        """A value at level `of` as one at `scope`; lifted once."""
        if of == scope:
            return text
        if (text, scope) not in self.made:
            call = f"{self.level(scope)}.up({text}{', ' + repr_scope(of) if of else ''})"
            if not text.isidentifier():
                return call
            name = self.named.locals.new(f"{text}_{self.level(scope)}")
            self.say(f"{name} = {call}")
            self.made[text, scope] = name
        return self.made[text, scope]

    def known(self, node: str, scope: Scope) -> str:
        """The mask of a supervised node at a level."""
        name = self.named.derived["known", node]
        if not scope:
            return name
        if (name, scope) not in self.made:
            self.made[name, scope] = self.named.locals.new(f"{name}_{self.level(scope)}")
            self.say(f"{self.made[name, scope]} = {name}[{self.level(scope)}.row]")
        return self.made[name, scope]

    # --- recombined draws -------------------------------------------------------------------------------------

    def value(self, name: str, soft: bool = False) -> str:
        """The variable of a node or let, or of a relaxed node's probabilities, recombined where the statement is late and
        the value is not."""
        text, groups = self.named.derived["soft", name] if soft else self.named.values[name], self.plan.groups
        if not self.late or groups is None or name in groups.late:
            return text
        return self.recombined(text, groups.carriers.get(name, ()), self.plan.scopes[name])

    def recombined(self, text: str, carriers: Sequence[str], scope: Scope) -> str:
        """A value of a level at its group's sample of each recombination, made once."""
        if not carriers:
            return text
        if text not in self.again:
            row = f", row={self.level(scope)}.row" if scope else ""
            name = self.named.locals.new(f"{text}_recombined")
            self.say(f"{name} = weights.recombine({text}, {', '.join(map(quoted, carriers))}{row})")
            self.again[text] = name
        return self.again[text]

    def is_late(self, side: ir.Side, node: str) -> bool:
        """Whether a factor is evaluated on recombined draws."""
        return self.plan.groups is not None and self.plan.groups.is_late(side, node)

    # --- values and parameters --------------------------------------------------------------------------------

    def start(self) -> None:
        self.say("samples, rows, alpha = self.samples, batch.rows, self.alpha")
        for scope in self.plan.levels:
            self.say(f'{self.level(scope)} = batch.levels["{" ".join(scope)}"]  # (row, {", ".join(scope)})')
        for node in self.model.nodes:
            if node.role in ("observed", "given"):
                self.say(f'{self.named.values[node.name]} = batch.values["{node.name}"]')
                if node.type.partial:
                    self.say(f'{self.named.derived["present", node.name]} = batch.present["{node.name}"]')
            elif node.role == "supervised":
                self.say(f'{self.named.derived["known", node.name]} = batch.known["{node.name}"]')

    def call(self, method: Method, target: str, detached: bool = False) -> str:
        """A call of a factor's or let's method, each input lifted inside it; `detached`: no gradient reaches the inputs."""
        for name in method.reads:
            self.let(name)
        args = [self.value(n) + ".detach()" * detached for n in method.reads]
        args += [self.named.derived["present", n] for n in method.partial]
        args += [f"{self.named.derived['up', n]}={self.index(method.level, self.plan.scopes[n])}" for n in method.lifts]
        return f"{target} = self.{method.name}({', '.join(args)})"

    def let(self, name: str) -> None:
        """Compute a let, once, when it is first read."""
        if ("let", name) in self.methods and (name, ()) not in self.made:
            self.made[name, ()] = self.named.values[name]
            outer, self.late = self.late, self.plan.groups is not None and name in self.plan.groups.late
            self.say(self.call(self.methods["let", name], self.named.values[name]))
            self.late = outer

    def parameters(self, factor: ir.Factor, scope: Scope, lifted: bool = True) -> list[str]:
        """The texts of a factor's parameters at a level, or where its method computes them."""
        method = self.methods[factor.side, factor.node]
        if not method.name:
            return list(method.constants)
        names = [self.named.locals.new(f"{factor.side}_{factor.node}_{n}") for n in calls.parameter_names(factor)]
        self.say(self.call(method, ", ".join(names)))
        return [
            name if free or not lifted else self.raised(name, method.level, scope)
            for name, free in zip(names, method.free, strict=True)
        ]

    def entry(self, factor: ir.Factor, scope: Scope) -> str:
        """The index of the entry whose logits a class is looked up in, where these stand below `scope`; else ""."""
        method, node = self.methods[factor.side, factor.node], self.model.node(factor.node)
        plain = factor.family == "Categorical" and not factor.mixture and not node.type.partial
        if not plain or not method.name or method.free[0] or method.level == scope or relaxed(self.plan, node.name):
            return ""
        return self.index(scope, method.level)

    def infer(self, factor: ir.Factor, term: Term | None) -> None:
        """A node of q: its parameters, its value, its log q."""
        self.heading(factor)
        self.late = self.is_late("q", factor.node)
        name, choice = factor.node, self.plan.choices[factor.node]
        value, node = self.named.values[name], self.model.node(name)
        scope = self.plan.scopes[name]
        at = term.scope if term else scope
        entry = self.entry(factor, at)
        parameters = self.parameters(factor, at, lifted=not entry)
        if choice.name == "enumerate":
            self.say(f'{value} = {self.level((name,))}.values["{name}"]')
        elif choice.name == "delta":
            self.say(f"{value} = {parameters[0]}")
        else:
            self.draw(factor, node, parameters, scope)
        if term:
            self.factors[Key("q", name)] = self.named.derived["log_q", name]
            self.say(f"{self.factors[Key('q', name)]} = {self.density(factor, parameters, at, entry)}")

    def draw(self, factor: ir.Factor, node: ir.Node, parameters: list[str], scope: Scope) -> None:
        """Known rows keep their label, the others draw."""
        value, choice = self.named.values[node.name], self.plan.choices[node.name]
        entries = f"{self.level(scope)}.entries" if scope else "rows"
        prefix = FAMILIES[factor.family].runtime
        options = ""
        if choice.name in ("gumbel", "straight_through"):
            prefix = choice.name if prefix == "categorical" else f"binary_{choice.name}"
            options = "".join(f", {v!r}" for _, v in choice.options)
        drawn = calls.draw(factor, node, prefix, entries, parameters, options)
        drawn += ".detach()" if choice.name == "score" and FAMILIES[factor.family].reparameterised else ""
        drawn += f" + {node.type.first}" if node.type.first and not relaxed(self.plan, node.name) else ""
        if node.role != "supervised":
            self.say(f"{value} = {drawn}")
        else:
            label = f'batch.values["{node.name}"]'
            label = f"{self.level(scope)}.up({label})" if scope else label
            if relaxed(self.plan, node.name) and node.type.one_hot:
                shift = f", {node.type.first}" if node.type.first else ""
                label = f"one_hot({label}, {node.type.values}{shift})"
            known = self.named.derived["label", node.name]
            self.say(f"{known} = {label}")
            self.say(f"{value} = where_known({self.known(node.name, scope)}, {known}, {drawn})")
        if relaxed(self.plan, node.name):
            self.soften(factor, node, parameters[0], entries)

    def soften(self, factor: ir.Factor, node: ir.Node, logits: str, entries: str) -> None:
        """The probabilities of a relaxed node, one-hot where known: what its log p and log q are averaged over."""
        method = self.methods["q", factor.node]
        if not method.name and not node.type.one_hot:
            logits = f"constant(self, {', '.join(map(str, (logits, *node.type.event)))})"
        soft = f"{logits}.softmax(-1)" if node.type.one_hot else f"{logits}.sigmoid()"
        soft = f"on_entries({soft}, {entries})" if method.free[0] else soft
        if node.role == "supervised":
            mask, label = self.known(node.name, self.plan.scopes[node.name]), self.named.derived["label", node.name]
            soft = f"where_known({mask}, {label}, {soft})"
        self.say(f"{self.named.derived['soft', node.name]} = {soft}")

    def density(self, factor: ir.Factor, parameters: list[str], scope: Scope, entry: str = "") -> str:
        """log p or log q of a factor's node at a level; `entry`: where its parameters stand below."""
        node, name, soft = self.model.node(factor.node), factor.node, relaxed(self.plan, factor.node)
        value = self.raised(self.value(name, soft), self.plan.scopes[name], scope)
        present = self.raised(self.named.derived["present", name], (), scope) if node.type.partial else ""
        return calls.log_prob(factor, node, value, parameters, present, soft, entry)

    def generate(self, factor: ir.Factor, term: Term) -> None:
        """A factor of p: its parameters and its log p."""
        if term.constant:
            return
        self.heading(factor)
        self.late = self.is_late("p", term.node)
        entry = self.entry(factor, term.scope)
        parameters = self.parameters(factor, term.scope, lifted=not entry)
        self.say(f"{self.text_of(term)} = {self.density(factor, parameters, term.scope, entry)}")

    def text_of(self, term: Term) -> str:
        """The variable of a term, or the number it is."""
        if not term.constant:
            return self.named.derived[f"log_{term.side}", term.node]
        kind = self.model.node(term.node).type
        number = f"math.log({kind.values or 2})"
        return f"-{number}" if kind.cells == 1 else f"-{kind.cells} * {number}"


def repr_scope(scope: Scope) -> str:
    """A level's name as a string."""
    return '"' + " ".join(scope) + '"'
