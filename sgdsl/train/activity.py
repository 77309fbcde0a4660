"""What each inferred node carries: a trained model and rows come in, active dimensions and classes in use go out.

A dimension of a node that is not finite is active where the mean that q gives it varies over the rows by more than 0.01
of the variance of its prior (active units, Burda, Grosse, Salakhutdinov 2016, whose priors have variance 1) and its KL to
the prior is over 0.01 nats (as Sønderby et al. 2016 count units; needed where the prior has parents: then q may vary and
add nothing). A cell of a finite node is active where its value and the row share over 0.01 nats: the entropy of the mean
of q less the mean entropy of q.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import DENSITIES, Drawn, Parameters, Queries
from sgdsl.train.bind import Table
from sgdsl.train.measure import SEED, hidden

VARIES = 0.01  # of the prior's variance
NATS = 0.01  # of KL, or of information
USED = 0.1  # of the share that a class would have if all were alike
SAMPLES = 16
NEARLY = 50  # one active dimension of this many is still nothing


@dataclass(frozen=True, slots=True)
class Activity:
    """`kl`: log q − log p, nats a row, all cells together; `cells` of which `active` carry something; `classes` of a finite
    node, of which `used` occur (in the cell that has most of them), 0 of another."""

    role: str
    kl: float
    cells: int
    active: int
    classes: int = 0
    used: int = 0

    @property
    def collapsed(self) -> bool:
        """Whether (nearly) all of a latent node says nothing about the row."""
        nothing = self.active <= self.cells // NEARLY or (self.classes > 0 and self.used <= 1)
        return self.role == "latent" and nothing

    def words(self) -> str:
        if self.classes and self.cells == 1:
            return f"{self.used} of {self.classes} classes in use"
        kind = "cells" if self.classes else "dimensions"
        return f"{self.active} of {self.cells} {kind if self.cells > 1 else kind[:-1]} active"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def activities(model: Queries, table: Table, rows: Tensor) -> dict[str, Activity]:
    """Every inferred node with both factors, of families that have moments; labels of the `rows` hidden. Of models with loops
    none: their copies share a row."""
    if model.RANGES:
        return {}
    draws = Draws(torch.Generator(rows.device).manual_seed(SEED))
    drawn = model.draw_q(hidden(model, table, rows, None), {}, draws, SAMPLES)
    nodes = [n for n in model.ORDER_Q if measurable(model.NODES[n])]
    return {node: _activity(model, node, drawn) for node in nodes}


def measurable(info: NodeInfo) -> bool:
    """Whether both densities are known cell by cell."""
    return info.family_p in DENSITIES and info.family_q in DENSITIES and bool(info.family_p) and bool(info.family_q)


def _activity(model: Queries, node: str, drawn: Drawn) -> Activity:
    info = model.NODES[node]
    q, p = drawn.parameters[node], model.parameters_p(node, drawn.values)
    if info.classes:
        return _finite(info, _log_probs(info.family_q, q), _log_probs(info.family_p, p))
    value = drawn.values[node]
    log_q = DENSITIES[info.family_q](value, *q, event=0)
    log_p = DENSITIES[info.family_p](value, *p, event=0)
    kl = (log_q - log_p).expand_as(value).mean((0, 1))
    varies = mean_of(info.family_q, q).expand_as(value).mean(0).var(0)
    prior = variance_of(info.family_p, p).expand_as(value).mean((0, 1))
    enough = varies > VARIES * torch.where(prior.isfinite(), prior, 0.0)
    active = enough & (kl > NATS)
    return Activity(info.role, float(kl.sum()), active.numel(), int(active.sum()))


def _log_probs(family: str, parameters: Parameters) -> Tensor:
    """log of every value's probability, [S or 1, rows, *event, values]."""
    logits = torch.as_tensor(parameters[0])
    if family == "categorical":
        return logits.log_softmax(-1)
    return torch.stack((-logits, logits), -1).sigmoid().log()


def _finite(info: NodeInfo, log_q: Tensor, log_p: Tensor) -> Activity:
    """Of log-probabilities [S or 1, rows or 1, *event or nothing, values]."""
    log_q, log_p = torch.broadcast_tensors(log_q, log_p)
    log_q = log_q.expand(*log_q.shape[:2], *info.event, info.classes)
    probs = log_q.exp()
    kl = torch.where(probs > 0, probs * (log_q - log_p), 0.0).sum(-1).mean((0, 1))
    belief = probs.mean(0)
    shares = belief.mean(0)
    information = _entropy(shares) - _entropy(belief).mean(0)
    used = int((shares > USED / info.classes).sum(-1).max())
    active = int((information > NATS).sum())
    return Activity(info.role, float(kl.sum()), information.numel(), active, info.classes, used)


def _entropy(probs: Tensor) -> Tensor:
    """In nats, over the last dimension."""
    total: Tensor = torch.special.entr(probs).sum(-1)
    return total


def from_dict(saved: Mapping[str, Any]) -> Activity:
    return Activity(**saved)
