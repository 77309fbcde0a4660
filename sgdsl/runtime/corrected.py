"""What p believes, not q: an emitted model, values and labels come in; beliefs by importance weights p / r go out.

r is the density of what was drawn along q, so that a weight is p(given, drawn) / r(drawn). Values as in runtime/ask.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.ask import Belief, log_ratio
from sgdsl.runtime.beliefs import average, mixture_belief
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries

MOST_VALUES = 100  # of a node whose values are tried one by one


class Corrected(NamedTuple):
    """`belief`: a finite node's probabilities [rows, *event, values]; another's mean and standard deviation, [rows, *event]
    each. `log_weights` [draws, rows]: of every draw behind it, of all tried values."""

    belief: Belief
    log_weights: Tensor


def corrected(
    model: Queries,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    node: str,
    draws: Draws,
    samples: int,
) -> Corrected:
    """An estimate of p(node | everything given) that tends to it as `samples` grow, where q covers p: self-normalised
    importance sampling (Owen, 2013, Monte Carlo theory, methods and examples, section 9.2).

    A node of one finite cell is set to each of its values v, and p(given, v) is the mean of p / r over `samples` draws of
    all else: no value is missed because q never draws it. Any other node counts with the values that were drawn."""
    info = model.NODES[node]
    if not info.classes or info.event or info.loops or info.classes > MOST_VALUES:
        drawn = model.draw_q(values, known, draws, samples)
        log_w = log_ratio(model, drawn)
        return Corrected(_belief(model, node, drawn.values[node], log_w.softmax(0)), log_w)
    rows = next(iter(values.values())).shape[1]
    device = next(iter(values.values())).device
    certain = torch.ones(rows, dtype=torch.bool, device=device)
    mask, label = known.get(node, ~certain), values.get(node)
    found = []
    for value in range(info.first, info.first + info.classes):
        tried = torch.full((1, rows), value, device=device, dtype=torch.int64 if info.integer else None)
        drawn = model.draw_q({**values, node: tried}, {**known, node: certain}, draws, samples)
        log_w = log_ratio(model, drawn)
        found.append(log_w if label is None else torch.where(mask & (label[0] != value), -torch.inf, log_w))
    log_w = torch.stack(found)
    belief = log_w.logsumexp(1).softmax(0).t()
    return Corrected(belief, log_w.flatten(0, 1))


def effective_size(log_weights: Tensor) -> Tensor:
    """How many of the draws count, (Σ w)² / Σ w² (Kong, 1992): log weights [S, rows] → [rows], between 1 and S. 0 where all
    weights are 0."""
    size = (2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp()
    return size.nan_to_num(0.0)


def _belief(model: Queries, node: str, value: Tensor, weight: Tensor) -> Belief:
    """Weighted shares, or weighted mean and standard deviation, of what was drawn: [S or 1, rows, *event]."""
    info = model.NODES[node]
    if info.classes:
        return average(weight, F.one_hot(value.long() - info.first, info.classes).to(weight.dtype))
    return mixture_belief(info, weight, value, torch.zeros_like(value))
