"""Copies of loops `1..k`: levels come in, the weight with which each copy is there goes out."""

from __future__ import annotations

from sgdsl.backend.step import Step
from sgdsl.middle.elimination import Scope


def alive(step: Step, scope: Scope, kind: str = "", summed: bool = False) -> str:
    """At a level, how much of each copy is there: 1 or 0 where k is known or in the level, else the weight of all k that reach
    the copy, of the shares of a `kind`, or all of it where copies are `summed` up to each k later; "" where every copy is there.
    """
    found = []
    for name in scope:
        count = step.model.axis(step.plan.scopes.ranges[name].axis).count if name in step.plan.scopes.ranges else None
        if count and not (summed and count in step.plan.choices and count not in scope):
            own = (count, name) if count in scope else (name,)
            found.append(step.raised(_alive(step, name, count, own, kind), own, scope))
    return " * ".join(found)


def alive_labels(step: Step, scope: Scope) -> str:
    """The same of copies whose labels are known, where k is: 1 or 0."""
    found = []
    for name in scope:
        count = step.model.axis(step.plan.scopes.ranges[name].axis).count if name in step.plan.scopes.ranges else None
        if count:
            key = ("labels alive", (name,))
            if key not in step.made:
                step.made[key] = step.named.locals.new(f"there_{name}")
                text = f'alive_where(batch.values["{count}"], self.RANGES["{name}"], batch.zeros)'
                step.say(f"{step.made[key]} = {text}")
            found.append(step.raised(step.made[key], (name,), scope))
    return " * ".join(found)


def _alive(step: Step, name: str, count: str, own: Scope, kind: str) -> str:
    """The variable at the level of the range, with k where that is in it."""
    key = (f"{kind}alive", own)
    if key not in step.made:
        ranges = f'self.RANGES["{name}"]'
        if len(own) > 1:
            text = f'alive_at({step.level(own)}, "{count}", "{name}", {ranges}, batch.zeros)'
        elif count in step.plan.choices:
            text = f'alive({step.level((count,))}, "{count}", {step.shares[f"{kind}share", count]}, {ranges})'
        else:
            text = f"alive_where({step.value(count)}, {ranges}, batch.zeros)"
        step.made[key] = step.named.locals.new("_".join((f"{kind}alive", *own)))
        step.say(f"{step.made[key]} = {text}")
    return step.made[key]
