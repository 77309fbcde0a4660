"""Rows that know a label in some of a loop's copies: a model and its plan come in, sentences on what these do go out."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.middle import ir
from sgdsl.middle.estimators import weigh
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.plan import Plan
from sgdsl.middle.written import copy_of, copy_text, written


def partly_known(model: ir.Model, graphs: Graphs, plan: Plan) -> Iterator[tuple[str, str]]:
    """For each label in loops a title and what its copies do: each as in the pattern of its own, weighed by the known ones."""
    labels = [n for n in model.nodes if n.role == "supervised"]
    for node in (n for n in labels if n.axes):
        copy = copy_text(node.name, node.axes)
        counts = [k for r in node.axes if (k := model.axis(r.axis).count) and model.node(k).role == "supervised"]
        weighed = weigh(graphs, plan.draws, plan.choices, (*counts, node.name))
        words = f"where {copy} is known, the terms and cases of `{node.name} known`; elsewhere those of `{node.name} unknown`"
        chained = any(node.name in members for members in graphs.carried)  # a known copy may read an unknown one
        if node.name not in weighed.before and not chained:
            yield f"{node.name} known on some copies", f"{words}; log q of the known copies is exact"
            continue
        known = "; ".join(_density(model, f) for f in model.pieces("q", node.name))
        how = (
            "is averaged over the draws before it"
            if plan.bound == "clamped"
            else "makes up the weight w_s, as a product"
        )
        yield f"{node.name} known on some copies", f"{words}; of the known copies alone log q {how}: {known}"


def _density(model: ir.Model, factor: ir.Factor) -> str:
    given = ", ".join(dict.fromkeys(written(model, name) for name in factor.given))
    return f"q({copy_of(factor)}{f' | {given}' if given else ''})"
