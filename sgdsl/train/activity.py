"""What each inferred node carries: a trained model and rows come in, active dimensions and classes in use go out.

A dimension of a node that is not finite is active where the mean that q gives it varies over the rows by more than 0.01
of the variance of its prior (active units, Burda, Grosse, Salakhutdinov 2016, whose priors have variance 1) and its KL to
the prior is over 0.01 nats (as Sønderby et al. 2016 count units; needed where the prior has parents: then q may vary and
add nothing). A cell of a finite node is active where its value and the row share over 0.01 nats: the entropy of the mean
of q less the mean entropy of q. In loops a dimension, or cell, is that of a copy, and the rows are told apart copy by copy: what
differs from copy to copy alone says nothing about a row. Copies beyond a row's k are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.densities import DENSITIES, VECTORS
from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Parameters, Queries, Values
from sgdsl.train.bind import Table
from sgdsl.train.entries import of_factor, there
from sgdsl.train.measure import SEED, hidden, portions

VARIES = 0.01  # of the prior's variance
NATS = 0.01  # of KL, or of information
USED = 0.1  # of the share that a class would have if all were alike
SAMPLES = 16
NEARLY = 50  # one active dimension of this many is still nothing


@dataclass(frozen=True, slots=True)
class Activity:
    """`kl`: log q − log p, nats a row, all cells and copies together; `cells` of which `active` carry something; `classes` of a
    finite node, of which `used` occur (in the cell that has most of them), 0 of another; `copies` of a node in loops."""

    role: str
    kl: float
    cells: int
    active: int
    classes: int = 0
    used: int = 0
    copies: int = 1

    @property
    def collapsed(self) -> bool:
        """Whether (nearly) all of a latent node says nothing about the row."""
        nothing = self.active <= self.cells // NEARLY or (self.classes > 0 and self.used <= 1)
        return self.role == "latent" and nothing

    def words(self) -> str:
        if self.classes and self.cells == 1:
            return f"{self.used} of {self.classes} classes in use"
        kind = "cells" if self.classes else "dimensions"
        each = " in each copy" if self.copies > 1 else ""
        return f"{self.active} of {self.cells} {kind if self.cells > 1 else kind[:-1]} active{each}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def activities(model: Queries, table: Table, rows: Tensor) -> dict[str, Activity]:
    """Every inferred node with both factors, of families that have moments; labels of the `rows` hidden."""
    draws = Draws(torch.Generator(rows.device).manual_seed(SEED))
    copies = max((math.prod(model.RANGES[r].number for r in i.loops) for i in model.NODES.values()), default=1)
    nodes = [node for node in model.ORDER_Q if measurable(model, node)]
    seen: dict[str, list[tuple[Tensor, ...]]] = {node: [] for node in nodes}
    for index in portions(rows, SAMPLES * copies) if model.RANGES else (rows,):
        values = model.draw_q(hidden(model, table, index, None), {}, draws, SAMPLES).values
        for node in nodes:
            seen[node].append(_seen(model, node, values))
    return {n: _activity(model.NODES[n], *(torch.cat(t, 1) for t in zip(*seen[n], strict=True))) for n in nodes}


def measurable(model: Queries, node: str) -> bool:
    """Whether both densities of every copy are known cell by cell."""
    info = model.NODES[node]
    pieces = [p.get(node, {}) for p in model.PIECES.values()]
    families = [info.family_p, info.family_q, *(family for found in pieces for family in found.values())]
    return all(family in DENSITIES for family in families)


def _seen(model: Queries, node: str, values: Values) -> tuple[Tensor, ...]:
    """What `_finite`, or `_activity`, is made of, [S, rows, copies, …] each."""
    classes = model.NODES[node].classes
    at = partial(of_factor, model, node=node, values=values)
    if classes:
        return there(model, node, values), *(at(side=s, asked=_log_probs, behind=(classes,)) for s in ("q", "p"))
    ratio = at(side="q", asked=_density) - at(side="p", asked=_density)
    return there(model, node, values), ratio, at(side="q", asked=_centre), at(side="p", asked=_variance)


def _activity(info: NodeInfo, there: Tensor, *seen: Tensor) -> Activity:
    """Of the copies that are `there`, [S, rows, copies]: log q − log p, the mean of q, and the variance of p, cell by cell."""
    if info.classes:
        return _finite(info, there, *seen)
    ratio, centre, variance = seen
    copied = there.reshape(*there.shape, *[1] * len(info.event))
    kl = torch.where(copied > 0, ratio, 0.0).sum() / math.prod(there.shape[:2])
    prior = _mean(variance, copied)
    turns = info.support in ("angle", "direction")
    varies = _turning(centre, copied, info.support) if turns else _spread(centre, copied)
    active = varies > VARIES * torch.where(prior.isfinite(), prior, 0.0)
    vectors = {info.family_p, info.family_q} & VECTORS
    active &= _mean(ratio, copied) > NATS / (info.event[-1] if vectors else 1)
    return Activity(info.role, float(kl), active.numel(), int(active.sum()), copies=there.shape[2])


def _mean(value: Tensor, there: Tensor) -> Tensor:
    """Over samples, rows and copies that are there: [S, rows, copies, *event] → [*event]."""
    total = torch.where(there > 0, value, 0.0).sum((0, 1, 2))
    return total / there.sum((0, 1, 2)).clamp(min=1)


def _spread(value: Tensor, there: Tensor) -> Tensor:
    """How the mean over samples varies over rows, within copies: [S, rows, copies, *event] → [*event]."""
    often = there.mean(0)
    mean = torch.where(there > 0, value, 0.0).mean(0) / often.clamp(min=1 / SAMPLES)
    number = often.sum(0)
    centre = (often * mean).sum(0) / number.clamp(min=1 / SAMPLES)
    return (often * (mean - centre).square()).sum((0, 1)) / (number - 1).clamp(min=0).sum(0).clamp(min=1)


def _turning(value: Tensor, there: Tensor, support: str) -> Tensor:
    """The circular variance of angles, or spherical one of directions, over samples and rows, within copies: [S, rows, copies,
    *event] → [*event]."""
    number = there.sum((0, 1))
    length: Tensor
    if support == "direction":
        sums = (there * value).sum((0, 1))
        length = torch.linalg.vector_norm(sums, dim=-1, keepdim=True).expand_as(sums)
    else:
        length = torch.hypot((there * value.cos()).sum((0, 1)), (there * value.sin()).sum((0, 1)))
    return (number - length).sum(0) / number.sum(0).clamp(min=1)


def _density(piece: str, family: str, parameters: Parameters, value: Tensor) -> Tensor:
    """Of a vector family the cells have no densities of their own: each takes an equal share."""
    event = int(family in VECTORS)
    found = DENSITIES[family](value, *parameters, event=event)
    return (found[..., None] / value.shape[-1] if event else found).expand_as(value)


def _centre(piece: str, family: str, parameters: Parameters, value: Tensor) -> Tensor:
    return mean_of(family, parameters).expand_as(value)


def _variance(piece: str, family: str, parameters: Parameters, value: Tensor) -> Tensor:
    return variance_of(family, parameters).expand_as(value)


def _log_probs(piece: str, family: str, parameters: Parameters, value: Tensor) -> Tensor:
    """log of every value's probability, [S or 1, entries, *event, values]."""
    logits = torch.as_tensor(parameters[0])
    found = logits.log_softmax(-1) if family == "categorical" else torch.stack((-logits, logits), -1).sigmoid().log()
    return found.expand(*value.shape, found.shape[-1])


def _finite(info: NodeInfo, there: Tensor, log_q: Tensor, log_p: Tensor) -> Activity:
    """The same of a finite node, of the log-probabilities of its values, [S, rows, copies, *event, values]."""
    copied = there.reshape(*there.shape, *[1] * (len(info.event) + 1))
    probs = torch.where(copied > 0, log_q.exp(), 0.0)
    kl = torch.where(probs > 0, probs * (log_q - log_p), 0.0).sum((0, 1, 2)).sum() / math.prod(there.shape[:2])
    often = copied.mean(0)
    belief = probs.mean(0) / often.clamp(min=1 / SAMPLES)
    number = often.sum(0)
    shares = (often * belief).sum(0) / number.clamp(min=1 / SAMPLES)  # of each copy
    known = _entropy(shares) - (often[..., 0] * _entropy(belief)).sum(0) / number[..., 0].clamp(min=1 / SAMPLES)
    information = (number[..., 0] * known).sum(0) / number[..., 0].sum(0).clamp(min=1 / SAMPLES)
    overall = (number * shares).sum(0) / number.sum(0).clamp(min=1 / SAMPLES)
    used = int((overall > USED / info.classes).sum(-1).max())
    active = int((information > NATS).sum())
    return Activity(info.role, float(kl), information.numel(), active, info.classes, used, there.shape[2])


def _entropy(probs: Tensor) -> Tensor:
    """In nats, over the last dimension."""
    total: Tensor = torch.special.entr(probs).sum(-1)
    return total


def from_dict(saved: Mapping[str, Any]) -> Activity:
    return Activity(**saved)
