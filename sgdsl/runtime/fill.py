"""Missing cells: an emitted model and rows with gaps come in; what p says about every cell of the partial nodes goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from sgdsl.runtime import ask
from sgdsl.runtime.ask import Belief
from sgdsl.runtime.batch import present_cells
from sgdsl.runtime.beliefs import average, mixture_belief
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries


class Filled(NamedTuple):
    """`beliefs[node]`: probabilities [rows, *event, values] of a finite node; (mean, standard deviation), [rows, *event] each, of
    another. `present[node]` [rows, *event]. `log_weights` [S, rows]."""

    beliefs: dict[str, Belief]
    present: dict[str, Tensor]
    log_weights: Tensor


def fill(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> Filled:
    """p(missing cells | what is there) of each partial node: p's factor of the node, averaged over draws along q of all that
    is hidden, by their importance weights p(there, drawn) / r(drawn) (Owen, 2013, section 9.2); the moments by total
    variance. A missing cell that p makes depend on another missing cell of its own row counts that one as missing."""
    drawn = model.draw_q(values, known, draws, samples)
    log_w = ask.log_ratio(model, drawn)
    weight = log_w.softmax(0)
    beliefs: dict[str, Belief] = {}
    present: dict[str, Tensor] = {}
    for node, info in model.NODES.items():
        if not info.partial:
            continue
        there = present_cells(info, values[node])[1]
        present[node] = there[0]
        means, within = model.moments_at(node, drawn.values)
        beliefs[node] = average(weight, means) if info.classes else mixture_belief(info, weight, means, within)
    return Filled(beliefs, present, log_w)
