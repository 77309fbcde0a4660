"""A node of q in a step: its factor comes in; statements that find its parameters, its value and its log q go out."""

from __future__ import annotations

from sgdsl.backend import calls
from sgdsl.backend.methods import relaxed
from sgdsl.backend.step import Step, repr_scope
from sgdsl.catalog.families import FAMILIES
from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Scope
from sgdsl.middle.plan import Term


def infer(step: Step, factor: ir.Factor, term: Term | None) -> None:
    """A node of q: its parameters, its value, its log q."""
    step.heading(factor)
    step.late = step.is_late("q", factor.node)
    name = factor.id
    at = term.scope if term else step.plan.scopes[name]
    entry = step.entry(factor, at)
    if step.carry(factor.node):
        parameters = step.sequenced(factor, at, lifted=not entry)
        _relax(step, factor, parameters)
    else:
        parameters = step.parameters(factor, at, lifted=not entry)
        _value(step, factor, parameters)
    if term:
        step.factors[Key("q", name)] = step.named.derived["log_q", name]
        step.say(f"{step.factors[Key('q', name)]} = {step.density(factor, parameters, at, entry)}")


def _value(step: Step, factor: ir.Factor, parameters: list[str]) -> None:
    """The value of a node whose copies do not need one another."""
    name, choice = factor.id, step.plan.choices[factor.node]
    value = step.named.values[name]
    step.made[name, ()] = value
    if choice.name == "enumerate":
        if not step.late and not step.chained(name):
            list_values(step, name)
    elif choice.name == "delta":
        step.say(f"{value} = {parameters[0]}")
    else:
        draw(step, factor, step.model.node(factor.node), parameters, step.plan.scopes[name])


def list_values(step: Step, name: str) -> None:
    """The values of an enumerated node, which depend on no draw: where its factor is late, draws that are not may read them."""
    step.say(f'{step.named.values[name]} = {step.level(step.plan.scopes[name])}.values["{name}"]')


def drawn_text(step: Step, factor: ir.Factor, node: ir.Node, parameters: list[str], entries: str) -> str:
    """A draw of a factor's node, [S, entries, *event]."""
    choice, prefix, options = step.plan.choices[node.name], FAMILIES[factor.family].runtime, ""
    if choice.relaxed:
        prefix = choice.name if prefix == "categorical" else f"binary_{choice.name}"
        options = "".join(f", {v!r}" for _, v in choice.options)
    drawn = calls.draw(factor, node, prefix, entries, parameters, options)
    drawn += ".detach()" if choice.name == "score" and FAMILIES[factor.family].reparameterised else ""
    return drawn + (f" + {node.type.first}" if node.type.first and not choice.relaxed else "")


def draw(step: Step, factor: ir.Factor, node: ir.Node, parameters: list[str], scope: Scope) -> None:
    """Known rows keep their label, the others draw."""
    value = step.named.values[factor.id]
    entries = f"{step.level(scope)}.entries" if scope else "rows"
    drawn = drawn_text(step, factor, node, parameters, entries)
    if node.role != "supervised":
        step.say(f"{value} = {drawn}")
    else:
        known = _label(step, factor, node, scope)
        step.say(f"{value} = where_known({step.known(factor.id, scope)}, {known}, {drawn})")
    if relaxed(step.plan, node.name):
        _soften(step, factor, node, parameters[0], entries)


def label_text(step: Step, node: ir.Node, label: str) -> str:
    """A label as networks read the node's draws: of a relaxed class one-hot."""
    if not (relaxed(step.plan, node.name) and node.type.one_hot):
        return label
    return f"one_hot({label}, {node.type.values}{f', {node.type.first}' if node.type.first else ''})"


def _label(step: Step, factor: ir.Factor, node: ir.Node, scope: Scope) -> str:
    """The variable of a node's labels at the level of its draws."""
    label = f'batch.values["{node.name}"]'
    label = f'viewed(batch.views["{factor.id}"], {label})' if factor.piece else label
    own = step.loops(factor.id)
    label = label if scope == own else f"{step.level(scope)}.up({label}{', ' + repr_scope(own) if own else ''})"
    known = step.named.derived["label", factor.id]
    step.say(f"{known} = {label_text(step, node, label)}")
    return known


def _relax(step: Step, factor: ir.Factor, parameters: list[str]) -> None:
    """The probabilities of a relaxed node whose copies were drawn one by one."""
    node, scope = step.model.node(factor.node), step.plan.scopes[factor.id]
    if relaxed(step.plan, node.name):
        if node.role == "supervised":
            _label(step, factor, node, scope)
        _soften(step, factor, node, parameters[0], f"{step.level(scope)}.entries")


def _soften(step: Step, factor: ir.Factor, node: ir.Node, logits: str, entries: str) -> None:
    """The probabilities of a relaxed node, one-hot where known: what its log p and log q are averaged over."""
    method = step.methods["q", factor.node]
    if not method.name and not node.type.one_hot:
        logits = f"constant(self, {', '.join(map(str, (logits, *node.type.event)))})"
    soft = f"{logits}.softmax(-1)" if node.type.one_hot else f"{logits}.sigmoid()"
    soft = f"on_entries({soft}, {entries})" if method.free[0] else soft
    if node.role == "supervised":
        mask, label = step.known(node.name, step.plan.scopes[node.name]), step.named.derived["label", node.name]
        soft = f"where_known({mask}, {label}, {soft})"
    step.say(f"{step.named.derived['soft', node.name]} = {soft}")
