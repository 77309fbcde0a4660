"""Groups of weights in words: a model, its plan and the groups of a pattern of labels come in, part of a sentence goes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.objective import Weighting
from sgdsl.middle.plan import Plan
from sgdsl.middle.recombination import copies_tied
from sgdsl.middle.written import copy_of, written


def grouped_in_words(model: ir.Model, graphs: Graphs, plan: Plan, drawn: Sequence[Weighting]) -> str:
    """`drawn`: the groups with draws. Which labels each is the weight of; where it is one a copy, and why it is not."""
    looped = any(model.node(v).axes for g in drawn for v in g.drawn)
    grouped = (plan.bound, plan.marginal) == ("snis", "lse") and plan.samples > 1
    why = _tied(model, graphs, plan) if looped and grouped else {}
    parts = [f"{', '.join(g.labels)} by {', '.join(g.drawn)}{_copies(g, why)}" for g in drawn]
    if len(drawn) > 1:
        return f", {len(drawn)} groups ({'; '.join(parts)})"
    return "".join(_copies(g, why) for g in drawn)


def _copies(group: Weighting, why: dict[str, str]) -> str:
    """Whether each copy is a group of its own."""
    index = ", ".join(loop.index for loop in group.loops)
    tied = next((why[v] for v in group.drawn if v in why), "")
    if not index:
        return f", all copies in one group, since {tied} ties them" if tied else ""
    inside = f", in which {tied} ties copies" if tied else ""
    return f", a group for each {index}, since no factor of q reads two{inside}"


def _tied(model: ir.Model, graphs: Graphs, plan: Plan) -> dict[str, str]:
    drawn = [v for v in plan.draws if plan.choices[v].drawn]
    messages = {m.name: m for m in plan.messages}
    found = copies_tied(model, graphs, plan.draws, drawn, plan.log_w, messages)
    return {v: _factor(model, name) for v, name in found.items()}


def _factor(model: ir.Model, name: str) -> str:
    """A factor of q as written, or a sum over values."""
    factor = next((f for f in model.q if name in (f.id, f.node)), None)
    if factor is None:
        return f"the {name}"
    given = _list(dict.fromkeys(written(model, g) for g in factor.given))
    return f"q({copy_of(factor)} | {given})" if given else f"q({copy_of(factor)})"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
