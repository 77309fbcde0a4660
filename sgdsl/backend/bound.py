"""The end of `Model.forward`: terms and weights come in, the bound and what to differentiate go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sgdsl.backend.baselines import learned_scores, scored_by
from sgdsl.backend.sampled import Summand, rest_scores
from sgdsl.backend.step import Step
from sgdsl.backend.weights import drawn_log_q, labelled_or_unknown, product, score, share
from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Scope
from sgdsl.middle.plan import Term, summed_scope


def emit_bound(step: Step) -> None:
    """log w, shares, f, the bound, the score term and the terms, in this order."""
    plan, out = step.plan, step.out
    check_shapes(step)
    out.raw()
    out.raw("# weights", 8)
    text = product(step, plan.log_w)
    if any(key.kind == "message" for key, _ in plan.log_w.factors):
        text = f"labelled(batch.labelled, {text})"
    step.say(f"log_w = {text or 'batch.zeros'}")
    in_loops = {
        scope: any(n in plan.scopes.ranges for n in scope) for scope in plan.levels
    }  # these need shares of counts
    ordered = sorted(plan.shares, key=in_loops.__getitem__)
    shares = {s: share(step, plan.shares[s].own, plan.shares[s].whole, "share") for s in ordered}
    proposed = sorted(plan.drawn_shares, key=lambda p: in_loops[p.scope])
    drawn = {p.scope: share(step, p, None, "drawn_share") for p in proposed}
    out.raw()
    out.raw("# bound", 8)
    call, summands = _estimate(step, shares, drawn)
    step.say(f"bound = {call.format(alpha='alpha')}")
    objective = "bound"
    if left_out := scored_by(plan, "loo"):
        step.say(f"score = {' + '.join(score(step, v) for v in left_out)}")
        name, rest = call.format(alpha="alpha=alpha").split("(", 1)
        step.say(f"gain = leave_one_out({name}, {rest}")
        objective = "with_score(bound, gain, score)"
    objective = learned_scores(step, objective)
    if step.rests:
        log_w = "log_w" if plan.bound == "snis" else "batch.zeros"
        step.say(f"sample_weight = normalised_weights({log_w}.detach().expand(samples, -1))")
    for rest in rest_scores(step, summands):
        objective = f"with_score({objective}, 1.0, {rest})"
    used = {**drawn, **shares} if plan.bound != "clamped" else drawn
    emit_terms(step, {t: (step.weighed(t), used.get(t.level, "")) for t in plan.terms})
    plain = ", drawn_log_w" if "drawn_log_w" in call else ""
    step.say(f"return Step(bound, {objective}, log_w, terms{plain})")


def check_shapes(step: Step) -> None:
    """Every log-probability of a level has its shape."""
    step.out.at = 0
    step.out.raw()
    evaluated = [replace(t, level=t.scope) for t in step.plan.terms if not t.constant]
    for scope, terms in by_level(evaluated).items():
        entries = f"{step.level(scope)}.entries" if scope else "rows"
        names = ", ".join(f"{step.text_of(t)}={step.text_of(t)}" for t in terms)
        step.say(f"check_shapes(samples, {entries}, {names})")


def signed(step: Step, terms: Sequence[Term]) -> str:
    """log p − log q of the terms of a level."""
    return total([(term.side == "q", step.weighed(term)) for term in terms])


def total(parts: Sequence[tuple[bool, str]]) -> str:
    """Texts added up, or (True) subtracted; one that begins with a minus is subtracted."""
    text = ""
    for minus, part in parts:
        if part.startswith("-"):
            minus, part = not minus, part[1:]
        sign = "-" if minus else "+"
        text += f" {sign} {part}" if text else part if sign == "+" else f"-{part}"
    return text


def by_level(terms: list[Term]) -> dict[Scope, list[Term]]:
    levels: dict[Scope, list[Term]] = {}
    for term in terms:
        levels.setdefault(term.level, []).append(term)
    return levels


def _f(step: Step, shares: dict[Scope, str]) -> list[Summand]:
    """f: the terms of each level, share-weighted down to the rows."""
    summands = []
    levels = by_level(list(step.plan.terms))
    texts = []
    for scope, terms in levels.items():
        if scope:
            text, name = signed(step, terms), step.named.locals.new(f"f_{'_'.join(scope)}")
            step.say(f"{name} = {text}")
            texts.append(_summed(step, scope, shares, name))
            summands.append(Summand(scope, name, shares[scope], "sample_weight"))
    rows = signed(step, levels.get((), []))
    constant = all(t.constant for t in levels.get((), []))
    if rows and not constant:
        step.say(f"f_rows = {rows}")
        texts.insert(0, "f_rows")
    text = " + ".join(texts)
    step.say(f"f = {total([(False, text), (False, rows)]) if rows and constant else text}")
    return summands


def _summed(step: Step, scope: Scope, shares: Mapping[Scope, str], name: str) -> str:
    """A variable of a level summed down to the rows, by the shares of its entries where these are not all 1."""
    down = f"share({shares[scope]}, {name})" if shares[scope] else f"down({name})"
    return f"{step.level(scope)}.{down}"


def _log_v(step: Step) -> None:
    """log of p over the density of what was drawn, enumerated values summed inside."""
    plan = step.plan
    assert plan.log_v is not None
    levels: dict[Scope, list[Term]] = {}
    for term in plan.terms:
        if term.side == "p" or plan.choices[term.node].drawn:
            levels.setdefault(summed_scope(term, plan.choices), []).append(term)
    for scope, terms in levels.items():
        drawn = [(True, drawn_log_q(step, t.node, scope)) for t in terms if t.side == "q"]
        parts = [*((False, step.text_of(t)) for t in terms if t.side == "p"), *drawn]
        parts.sort(key=lambda part: part[0] or part[1].startswith("-"))
        if all(t.constant for t in terms):
            parts.insert(0, (False, f"{step.level(scope)}.up(batch.zeros)" if scope else "batch.zeros"))
        key = Key("f", " ".join(scope))
        step.factors[key] = step.named.locals.new("_".join(("v", *(scope or ("rows",)))))
        step.say(f"{step.factors[key]} = {total(parts)}")
    step.say(f"log_v = {product(step, plan.log_v)}")
    if plan.gradient == "dreg":
        step.say("gate.weigh(log_v)")


def _drawn_log_w(step: Step, drawn: dict[Scope, str]) -> None:
    """log w averaged over enumerated values under the proposal."""
    texts = []
    for key, scope in step.plan.labels:
        name = labelled_or_unknown(step, key, scope)
        texts.append(_summed(step, scope, drawn, name) if scope else name)
    step.say(f"drawn_log_w = {' + '.join(texts) or 'batch.zeros'}")


def _estimate(step: Step, shares: dict[Scope, str], drawn: dict[Scope, str]) -> tuple[str, list[Summand]]:
    """The call of the bound, with a place for α, and the summands of f."""
    match step.plan.bound, step.plan.marginal:
        case "iw", _:
            _log_v(step)
            return "iw(log_v, log_w, {alpha})", []
        case "clamped", _:
            summands = _f(step, drawn)
            _drawn_log_w(step, drawn)
            return "clamped(f, drawn_log_w, {alpha})", summands
        case _, "jensen":
            summands = _f(step, shares)
            _drawn_log_w(step, drawn)
            return "jensen(f, log_w, drawn_log_w, {alpha})", summands
        case _:
            return "snis(f, log_w, {alpha})", _f(step, shares)


def emit_terms(step: Step, found: Mapping[Term, tuple[str, str]]) -> None:
    """The dictionary of terms: of each its variable and the share of its entries."""
    step.out.raw("terms = {", 8)
    factors = {term: step.model.factor(term.side, term.node) for term in found}
    heads = Counter(f.head for f in factors.values())
    for term, (text, share_of) in found.items():
        factor = factors[term]
        apart = f"{factor.node}[{factor.piece}]"  # of pieces that read the same
        name = factor.head if heads[factor.head] == 1 else ir.head(factor.side, apart, factor.given)
        where = f"{step.level(term.level)}, {share_of or None}" if term.level else "None, None"
        step.out.statement(f'"{name}": Term({text}, {where}),', 12)
    step.out.raw("}", 8)
