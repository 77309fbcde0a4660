"""Two models of one graph: the plan of the first is forced on the second, and the two are compared, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from sgdsl import driver
from sgdsl.base.diagnostics import Sink
from sgdsl.middle import plan
from sgdsl.middle.estimators import Choice, entries
from sgdsl.middle.optimise import optimise
from sgdsl.middle.scopes import Scopes

LAID_OUT = ("enumerate", "sum_and_sample", "delta")  # estimators that decide on levels; all others draw


def forced(small: driver.Checked, full: driver.Checked) -> driver.Checked:
    """`small`, whose estimators are written, planned with the sizes and the patterns of labels of `full`."""
    sizes = {n: entries(full.model, full.plan.choices, n) for n in full.plan.draws}
    model = replace(small.model, data=full.model.data)
    sink = Sink(small.source)
    made = optimise(model, small.graphs, plan.plan(model, small.graphs, sink, sizes))
    sink.barrier()
    return replace(small, model=model, plan=made)


def differences(small: plan.Plan, full: plan.Plan) -> list[str]:
    """Every part of the plans that differs, in words: empty when they are identical but for how a node is drawn (and hence
    for dreg, which no scored node has), for S, which is at least 2 where anything is scored, and for rewrites, which go by
    families and networks."""
    found = []
    for part in (f for f in fields(full) if f.compare and f.name not in ("rewrites", "gradient")):
        mine, wanted = (_plain(p, getattr(p, part.name)) for p in (small, full))
        if part.name == "samples":
            wanted = max(full.samples, 2 if small.scored else 1)
        if mine != wanted:
            found.append(f"{part.name}: {mine} instead of {wanted}")
    return found


def _plain(owner: plan.Plan, part: object) -> object:
    """A part without what may differ."""
    if isinstance(part, Scopes):
        return {n: part[n] for n in sorted(part.values)}
    if part is owner.choices:
        return {n: _way(c) for n, c in owner.choices.items()}
    return dict(part) if isinstance(part, Mapping) else part


def _way(choice: Choice) -> str:
    return choice.name if choice.name in LAID_OUT else "drawn"
