"""Log-factors, messages and log-products of a step: keys of the plan come in, the variables that hold them go out."""

from __future__ import annotations

from sgdsl.backend.alive import alive
from sgdsl.backend.names import word
from sgdsl.backend.step import Step, repr_scope
from sgdsl.backend.writer import quoted
from sgdsl.middle.along import is_forward
from sgdsl.middle.elimination import Key, Message, Product, Scope, is_upto

DEEPEST = 100


def labelled_or_unknown(step: Step, key: Key, scope: Scope) -> str:
    """The variable of a node's log q, or of its known or drawn part, made when first needed."""
    if key not in step.factors:
        name = key.node
        at = step.terms["q", name].scope if ("q", name) in step.terms else ()
        mask = step.known(name, at)
        call = "labelled" if key.kind == "label" else "unknown"
        log_q = step.named.derived["log_q", name] if key.kind == "label" else step.factors[Key("q", name)]
        text = f"{call}({mask}, {log_q})"
        if key.kind == "label" and at != scope:
            text = f"{step.level(at)}.down({text}{', ' + repr_scope(scope) if scope else ''})"
        step.factors[key] = step.named.locals.new(f"{call}_{name}")
        step.say(f"{step.factors[key]} = {text}")
    return step.factors[key]


def log_factor(step: Step, key: Key, scope: Scope) -> str:
    """The variable of a log-factor or message, recombined where the statement is late and it is not."""
    groups, late = step.plan.groups, step.late
    step.late = late and groups is not None and groups.late_key(key)
    if key.kind == "message" and key not in step.factors:
        _deepest_first(step, key)
        message(step, step.messages[key.node])
    text = labelled_or_unknown(step, key, scope)
    again = late and not step.late and groups is not None
    step.late = late
    return step.recombined(text, groups.key(key), scope) if again and groups else text


def product(step: Step, made: Product) -> str:
    """A log-product at its level; messages are made on the way."""
    return " + ".join(step.raised(log_factor(step, k, s), s, made.scope) for k, s in made.factors)


def _deepest_first(step: Step, key: Key) -> None:
    """The messages that a message is made of, where they hang on each other in a chain that is too long to recurse into."""
    chain, depth = [key], 0
    late, groups = step.late, step.plan.groups
    while depth < len(chain):
        inner = (k for k, _ in step.messages[chain[depth].node].product.factors)
        chain += [k for k in inner if k.kind == "message" and k not in step.factors]
        depth += 1
    for k in reversed(chain[1:]) if len(chain) > DEEPEST else ():
        if k not in step.factors:
            step.late = late and groups is not None and groups.late_key(k)
            message(step, step.messages[k.node])
    step.late = late


def message(step: Step, made: Message) -> None:
    """One elimination."""
    if made.along:
        _along(step, made)
        return
    joint, below = product(step, made.product), f", {repr_scope(made.scope)}" if made.scope else ""
    name = step.named.locals.new(made.name)
    if made.over not in step.plan.scopes.ranges:
        step.say(f"{name} = {step.level(made.product.scope)}.log_sum({joint}{below})")
    elif is_upto(made):
        step.say(f'{name} = batch.overs["{made.name}"].sum({joint})')
    else:
        there = alive(step, made.product.scope, summed=True)
        joint = f"weighted({there}, {joint})" if there else joint
        step.say(f"{name} = {step.level(made.product.scope)}.down({joint}{below})")
    step.factors[Key("message", made.name)] = name


def _along(step: Step, made: Message) -> None:
    """The sums along a chain; all that is asked of the same factors in one go."""
    readings, key = step.plan.scopes.readings, (f"paths of {made.over}", made.product.factors)
    if key not in step.paths:
        levels: dict[Scope, list[str]] = {}
        for k, s in made.product.factors:
            levels.setdefault(s, []).append(log_factor(step, k, s))
        texts = {s: " + ".join(inner) for s, inner in levels.items()}
        there = {s: alive(step, s, summed=True) for s in texts}
        texts = {s: f"weighted({there[s]}, {text})" if there[s] else text for s, text in texts.items()}
        factors = ", ".join(f"{repr_scope(s)}: {text}" for s, text in texts.items())
        step.paths[key] = step.named.locals.new(f"paths_{word(made.over)}")
        forward = ", forward=True" * is_forward(step.model, step.plan, made)
        outer = f'"{" ".join(made.product.scope)}"'
        step.say(f"{step.paths[key]} = batch.chains[{quoted(made.over)}].paths({outer}, {{{factors}}}{forward})")
    if not any(n in readings for n in made.scope):
        step.factors[Key("message", made.name)] = name = step.named.locals.new(made.name)
        step.say(f"{name} = {step.paths[key]}.total()")
        return
    asked = [m for m in step.messages.values() if m.along and (m.over, m.product) == (made.over, made.product)]
    asked = [m for m in asked if any(n in readings for n in m.scope)]
    names = [step.named.locals.new(f"path_{'_'.join(m.scope)}") for m in asked]
    step.factors |= {Key("message", m.name): name for m, name in zip(asked, names, strict=True)}
    found = ", ".join(names) if len(names) > 1 else f"({names[0]},)"
    step.say(f"{found} = {step.paths[key]}.at({', '.join(repr_scope(m.scope) for m in asked)})")


def share(step: Step, made: Product, log_w: Product | None, name: str) -> str:
    """The weight of each entry of a level within its sample and row, "" for 1: what it has in common with log w cancels."""
    own, total = dict(made.factors), dict(log_w.factors) if log_w else {}
    there = alive(step, made.scope, name.removesuffix("share"))
    if not own:
        return there
    above = product(step, Product(made.scope, tuple((k, s) for k, s in own.items() if k not in total)))
    below = product(step, Product(made.scope, tuple((k, s) for k, s in total.items() if k not in own)))
    target = step.named.locals.new(f"{name}_{'_'.join(made.scope)}")
    minus = f" - ({below})" if " + " in below else f" - {below}" if below else ""
    if minus and " + " in above:
        step.say(f"log_{target} = {above}")
        above = f"log_{target}"
    text = f"{above}{minus}"
    text = f"{f'({text})' if ' ' in text else text}.exp()"
    step.say(f"{target} = {text} * {there}" if there else f"{target} = {text}")
    if len(made.scope) == 1:
        step.shares[name, made.scope[0]] = target
    return target


def drawn_log_q(step: Step, node: str, scope: Scope) -> str:
    """log q of what was drawn of a node: 0 where it was known."""
    if step.model.node(node).role == "supervised":
        return labelled_or_unknown(step, Key("draw", node), scope)
    return step.named.derived["log_q", node]


def score(step: Step, node: str) -> str:
    """Σ log q of a scored node's draws, each entry once; of copies that may not be there, where they may."""
    texts = []
    for factor in step.model.pieces("q", node):
        scope = step.plan.scopes[factor.id]
        text = drawn_log_q(step, factor.id, scope)
        if there := alive(step, scope):
            text = f"unknown({there} == 0, {text})"
        texts.append(f"{step.level(scope)}.down({text})" if scope else text)
    return " + ".join(texts)
