"""Sum and sample in a step: a factor of q comes in; its two entries a row, their shares and the score term go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgdsl.backend.step import Step, repr_scope
from sgdsl.backend.writer import quoted
from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Scope
from sgdsl.middle.plan import Term


@dataclass(frozen=True, slots=True)
class Summand:
    """A part of f at a level: the variables of its terms' sum and of its shares, and the weight of each sample, or of each
    recombination, at the level `own`: that of copies which are groups of their own."""

    scope: Scope
    text: str
    share: str
    weight: str
    recombined: bool = False
    own: Scope = ()


def infer_sampled(step: Step, factor: ir.Factor, term: Term) -> None:
    """The likeliest class, one of the others, and the log share of each: known rows have one entry, the label."""
    step.heading(factor)
    step.late = step.is_late("q", factor.node)
    node, value, say, new = (
        step.model.node(factor.node),
        step.named.values[factor.node],
        step.say,
        step.named.locals.new,
    )
    scope, above = term.scope, tuple(c for c in term.scope if c != factor.node)
    logits = _logits(step, factor, above)
    likeliest, rest, log_rest, other = (new(f"{w}_{node.name}") for w in ("likeliest", "rest", "log_rest", "other"))
    entries = f"{step.level(above)}.entries" if above else "rows"
    say(f"{likeliest}, {rest}, {log_rest} = split({logits})")
    say(f"{other} = draws.categorical((samples, {entries}), {rest})")
    digit = f'{step.level(scope)}.values["{node.name}"]'
    raised = [step.raised(text, above, scope) for text in (likeliest, other, log_rest)]
    first = f" + {node.type.first}" if node.type.first else ""
    drawn = f"either({digit}, {raised[0]}, {raised[1]}){first}"
    if node.role == "supervised":
        drawn = (
            f'where_known({step.known(node.name, scope)}, {step.level(scope)}.up(batch.values["{node.name}"]), {drawn})'
        )
    say(f"{value} = {drawn}")
    log_q = step.named.derived["log_q", node.name]
    index = f"{value} - {node.type.first}" if node.type.first else value
    say(f"{log_q} = categorical_log_prob_at({index}, {logits}, {step.index(scope, above)}, event=0)")
    share = step.factors[Key("q", node.name)] = new(f"log_portion_{node.name}")
    say(f"{share} = log_portion({digit}, {log_q}, {raised[2]})")
    step.rests[node.name] = raised[2]


def _logits(step: Step, factor: ir.Factor, above: Scope) -> str:
    """The variable of the logits at the level of the factor's parents, an entry for each."""
    text = step.parameters(factor, above)[0]
    method = step.methods["q", factor.node]
    if method.name and not method.free[0]:
        return text
    name = step.named.locals.new(f"logits_{factor.node}")
    step.say(f"{name} = on_entries({text}, {step.level(above) + '.entries' if above else 'rows'})")
    return name


def rest_scores(step: Step, summands: Sequence[Summand]) -> list[str]:
    """A variable for each such node: the score term of its sampled class, [S or 1, rows]."""
    found = []
    for name in step.rests:
        scope = step.plan.scopes[name]
        parts = [_part(step, s, name) for s in summands if name in s.scope]
        part = step.named.locals.new(f"part_{name}")
        step.say(f"{part} = {' + '.join(parts)}")
        level, below = step.level(scope), repr_scope(tuple(c for c in scope if c != name))
        log_q, target = step.named.derived["log_q", name], step.named.locals.new(f"rest_score_{name}")
        digit = f'{level}.values["{name}"]'
        step.say(f"{target} = rest_score({level}, {below}, {digit}, {part}, {step.rests[name]}, {log_q})")
        found.append(target)
    return found


def _part(step: Step, summand: Summand, name: str) -> str:
    """What each entry of a node's level adds to the bound, of one summand: by the sample that it was drawn in."""
    scope, groups = step.plan.scopes[name], step.plan.groups
    weighted = f"weighted({summand.share}, {summand.text})"
    if summand.own:
        weighted = f"{weighted} * {step.level(summand.scope)}.up({summand.weight}, {repr_scope(summand.own)})"
    if summand.scope != scope:
        weighted = f"{step.level(summand.scope)}.down({weighted}, {repr_scope(scope)})"
    text = weighted if summand.own else f"{weighted} * {step.level(scope)}.up({summand.weight})"
    if summand.recombined and groups and name not in groups.late and groups.carriers[name]:
        carriers = ", ".join(map(quoted, groups.carriers[name]))
        return f"weights.returned({text}, {carriers}, row={step.level(scope)}.row)"
    return text
