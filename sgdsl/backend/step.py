"""The text of `Model.forward`: the plan comes in, straight-line statements of one training step go out.

The order is that of the mathematics: levels, then q's nodes in order (parameters, value, log q), then p's factors, then the
weights, then the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.backend import calls
from sgdsl.backend.methods import relaxed
from sgdsl.backend.once import call_once
from sgdsl.backend.valued import INDENT, Valued
from sgdsl.backend.valued import repr_scope as repr_scope
from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.plan import Term


@dataclass(slots=True)
class Step(Valued):
    """Emits one forward method: factors and terms."""

    def heading(self, factor: ir.Factor) -> None:
        """The factor as written, as a comment, and its line."""
        self.out.at = self.model.source.position(factor.span.start)[0]
        self.out.raw()
        self.out.raw(f"# {factor.text}", INDENT)

    def parameters(self, factor: ir.Factor, scope: Scope, lifted: bool = True) -> list[str]:
        """The texts of a factor's parameters at a level, or where its method computes them."""
        method = self.methods[factor.side, factor.id]
        if not method.name:
            return list(method.constants)
        names = [self.named.locals.new(f"{factor.side}_{factor.id}_{n}") for n in calls.parameter_names(factor)]
        if once := self.plan.once(factor.side, factor.id):
            call_once(self, method, names, once)
        else:
            self.say(self.call(method, ", ".join(names)))
        return [
            name if free or not lifted else self.raised(name, method.level, scope)
            for name, free in zip(names, method.free, strict=True)
        ]

    def entry(self, factor: ir.Factor, scope: Scope) -> str:
        """The index of the entry whose logits a class is looked up in, where these stand below `scope`; else ""."""
        if not self.plan.is_looked_up(factor.side, factor.id):
            return ""
        return self.index(scope, self.methods[factor.side, factor.id].level)

    def density(self, factor: ir.Factor, parameters: list[str], scope: Scope, entry: str = "") -> str:
        """log p or log q of a factor's node at a level; `entry`: where its parameters stand below."""
        if self.plan.is_closed(factor.node):
            return self.expected(factor, parameters, scope)
        node, name, soft = self.model.node(factor.node), factor.id, relaxed(self.plan, factor.node)
        if factor.piece:
            self.piece(factor)
        value, own = self.value(name, soft), self.plan.scopes[name]
        if self.lifts(factor, own, scope):
            return calls.log_prob(factor, node, value, parameters, "", soft, up=self.index(scope, own))
        value = self.raised(value, own, scope)
        present = self.raised(self.named.derived["present", name], self.loops(name), scope) if node.type.partial else ""
        return calls.log_prob(factor, node, value, parameters, present, soft, entry)

    def lifts(self, factor: ir.Factor, own: Scope, scope: Scope) -> bool:
        """Whether a density lifts its value itself, block by block: of binary cells, which may be many."""
        kind = self.model.node(factor.node).type
        plain = factor.family == "Bernoulli" and kind.event and not (kind.partial or factor.mixture)
        return own != scope and bool(plain) and self.plan.is_fused(factor.side, factor.id)

    def expected(self, factor: ir.Factor, parameters: list[str], scope: Scope) -> str:
        """log p or log q of a closed node, averaged over q."""
        node, lifted = self.model.node(factor.node), self.plan.scopes[factor.node]
        if factor.side == "q":
            self.inferred[node.name] = parameters
        free = self.methods["q", node.name].free
        own = [
            text if constant else self.raised(text, lifted, scope)
            for text, constant in zip(self.inferred[node.name], free, strict=True)
        ]
        return calls.expected_log_prob(node, own, parameters if factor.side == "p" else ())

    def generate(self, factor: ir.Factor, term: Term) -> None:
        """A factor of p: its parameters and its log p."""
        if term.constant:
            return
        self.heading(factor)
        self.late = self.is_late("p", term.node)
        entry = self.entry(factor, term.scope)
        parameters = self.parameters(factor, term.scope, lifted=not entry)
        self.say(f"{self.text_of(term)} = {self.density(factor, parameters, term.scope, entry)}")

    def weighed(self, term: Term) -> str:
        """A term where it is weighed."""
        return self.text_of(term) if term.constant else self.raised(self.text_of(term), term.scope, term.level)

    def text_of(self, term: Term) -> str:
        """The variable of a term, or the number it is."""
        if not term.constant:
            return self.named.derived[f"log_{term.side}", term.node]
        kind = self.model.node(term.node).type
        number = f"math.log({kind.values or 2})"
        return f"-{number}" if kind.cells == 1 else f"-{kind.cells} * {number}"
