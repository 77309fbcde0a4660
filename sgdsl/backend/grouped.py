"""The end of `Model.forward` where weights fall into groups: terms and weights come in, the bound by groups goes out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.backend.alive import alive_labels
from sgdsl.backend.baselines import learned_scores, scored_by
from sgdsl.backend.bound import check_shapes, emit_terms, total
from sgdsl.backend.sampled import Summand, rest_scores
from sgdsl.backend.step import Step, repr_scope
from sgdsl.backend.weights import product, score, share
from sgdsl.backend.writer import quoted, tuple_of
from sgdsl.middle.elimination import Key, Message, Product, Scope
from sgdsl.middle.kin import Names
from sgdsl.middle.plan import Term, differing
from sgdsl.middle.plates import counted
from sgdsl.middle.recombination import Recombination

Shares = dict[tuple[Scope, bool], str]


def emit_weights(step: Step) -> None:
    """The weights of every group, and which samples are recombined: after all that carries a weight."""
    groups = _groups(step)
    step.late = False
    step.out.at = 0
    step.out.raw()
    step.out.raw("# weights, by group", 8)
    units = []
    for key, scope in groups.units:
        units.append(f"({_unit(step, groups, key, scope)}, {tuple_of(map(quoted, groups.key(key)))})")
    step.say(f"weights = weigh(self.GROUPS, batch.groups, samples, draws, {tuple_of(units)})")


def _unit(step: Step, groups: Recombination, key: Key, scope: Scope) -> str:
    """A factor of log w where its group stands: at the rows, or at copies of theirs that are groups of their own."""
    if counted(key, groups.messages):
        text = _of_count(step, groups.messages[key.node])
    else:
        text = product(step, Product(scope, ((key, scope),)))
    if key.kind == "message":
        at = f"batch.labelled[{step.level(scope)}.row]" if scope else "batch.labelled"
        text = f"labelled({at}, {text})"
    if there := alive_labels(step, scope):
        text = f"weighted({there}, {text})"
    return _down(step, text, scope, groups.block(groups.key(key)))


def _of_count(step: Step, made: Message) -> str:
    """The sum over a k without the labels of its copies."""
    counts = {key for key, _ in counted(Key("message", made.name), step.messages)}
    rest = Product(made.product.scope, tuple((k, s) for k, s in made.product.factors if k not in counts))
    below = f", {repr_scope(made.scope)}" if made.scope else ""
    return f"{step.level(rest.scope)}.log_sum({product(step, rest)}{below})"


def _down(step: Step, text: str, scope: Scope, to: Scope) -> str:
    """Summed over the entries that share one of a smaller level."""
    if scope == to:
        return text
    return f"{step.level(scope)}.down({text}{', ' + repr_scope(to) if to else ''})"


def emit_grouped(step: Step) -> None:
    """Shares, the summands of f by group, the bound, the score terms and the terms, in this order."""
    groups, out = _groups(step), step.out
    check_shapes(step)
    out.raw()
    out.raw("# bound", 8)
    shares: Shares = {}
    used: dict[Term, tuple[str, str]] = {}
    parts: dict[Names, list[str]] = {}
    recombined, summands = [], []
    for (scope, carriers, late), terms in _summands(step, groups).items():
        weight, own = _share(step, shares, scope, late) if scope else "", groups.block(carriers)
        used |= {t: (_text(step, groups, t, late), weight) for t in terms}
        text = _summand(step, terms, used, ("f", *(scope or ("rows",)), *carriers, *(("recombined",) if late else ())))
        if scope:
            of_sample = (
                "weights.of_recombinations" if late else f"weights.of_samples({', '.join(map(quoted, carriers))})"
            )
            summands.append(Summand(scope, text, weight, of_sample, late, own))
            if weight and not own:
                text = f"{step.level(scope)}.share({weight}, {text})"
            else:
                text = _down(step, f"weighted({weight}, {text})" if weight else text, scope, own)
        if late:
            recombined.append(text)
        else:
            parts.setdefault(carriers, []).append(text)
    made = [f"weights.part({', '.join((' + '.join(t), *map(quoted, c)))})" for c, t in parts.items()]
    step.say(f"parts = {tuple_of(made)}")
    step.say(f"recombined = {' + '.join(recombined) or 'batch.zeros'}")
    step.say("bound = grouped(weights, parts, recombined, alpha)")
    objective = learned_scores(step, _objective(step, groups))
    for rest in rest_scores(step, summands):
        objective = f"with_score({objective}, 1.0, {rest})"
    emit_terms(step, {t: used[t] for t in step.plan.terms})
    step.say(f"return Step(bound, {objective}, weights.log_w, terms)")


def _summand(step: Step, terms: list[Term], used: Mapping[Term, tuple[str, str]], name: Names) -> str:
    """log p − log q of some terms, in a variable."""
    signed = [(t.side == "q", used[t][0]) for t in terms]
    if all(t.constant for t in terms):
        signed.insert(0, (False, "batch.zeros"))
    variable = step.named.locals.new("_".join(name))
    step.say(f"{variable} = {total(signed)}")
    return variable


def _groups(step: Step) -> Recombination:
    assert step.plan.groups is not None
    return step.plan.groups


def _carriers(step: Step, groups: Recombination, term: Term) -> Names | None:
    """What a term and the shares of its level read; None where it is recombined."""
    if term.constant:
        return ()
    return groups.carried(term.side, term.node, differing(step.model, step.plan, term))


def _summands(step: Step, groups: Recombination) -> dict[tuple[Scope, Names, bool], list[Term]]:
    """The terms by level, carriers, and whether they are recombined; constants go with terms of the rows."""
    found: dict[tuple[Scope, Names, bool], list[Term]] = {}
    for term in step.plan.terms:
        carriers = _carriers(step, groups, term)
        found.setdefault((term.level, carriers or (), carriers is None), []).append(term)
    return found


def _text(step: Step, groups: Recombination, term: Term, late: bool) -> str:
    """The variable of a term, recombined where only its share made it late."""
    text = step.weighed(term)
    if not late or term.constant or groups.is_late(term.side, term.node):
        return text
    return step.recombined(text, groups.term(term.side, term.node), term.level)


def _share(step: Step, shares: Shares, scope: Scope, late: bool) -> str:
    if (scope, late) not in shares:
        for k in (step.model.axis(r.axis).count for n in scope if (r := step.plan.scopes.ranges.get(n))):
            if k and k not in scope and (k,) in step.plan.shares:
                _share(step, shares, (k,), late)
        step.late = late
        made = step.plan.shares[scope]
        shares[scope, late] = share(step, made.own, made.whole, "recombined_share" if late else "share")
        step.late = False
    return shares[scope, late]


def _objective(step: Step, groups: Recombination) -> str:
    """The bound with the score terms of scored draws, early and late, and of the choice of samples."""
    left_out = scored_by(step.plan, "loo")
    early = [v for v in left_out if v not in groups.late]
    late = [v for v in left_out if v in groups.late]
    if left_out:
        step.say("gain, late_gain = grouped_gains(weights, parts, recombined, alpha)")
    else:
        step.say("late_gain = recombined_gain(recombined)")
    step.say(f"late_score = {' + '.join(('weights.log_picked', *(score(step, v) for v in late)))}")
    objective = "with_score(bound, late_gain, late_score)"
    if early:
        step.say(f"score = {' + '.join(score(step, v) for v in early)}")
        objective = f"with_score({objective}, gain, score)"
    return objective
