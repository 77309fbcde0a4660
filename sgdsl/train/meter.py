"""What an epoch was like: steps come in, means of bounds, terms and effective sample sizes go out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.batch import Batch, Step
from sgdsl.runtime.bounds import effective_sample_size, log_labels

LOOKS = 4  # steps of an epoch whose terms are looked at


@dataclass(slots=True)
class Meter:
    """Sums over the steps of the epoch so far. `bounds` [2]: of the mean bounds of unlabelled and labelled rows, on the
    device; `terms`: of each factor's mean log-probability; `ess`: by pattern of known labels, (sum, rows)."""

    bounds: Tensor
    steps: int = 0
    looks: int = 0
    terms: dict[str, float] = field(default_factory=dict)
    ess: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, step: Step, means: Tensor, alpha: float) -> None:
        """Every step; `means` [2, rows] and `alpha` as in Composition. The extra α log q(labels | x) is taken off again, so
        that labelled and unlabelled rows can be compared."""
        bound = step.bound.detach()
        if alpha:
            bound = bound - alpha * log_labels(step.log_w.detach())
        self.bounds.addmv_(means, bound)
        self.steps += 1

    def look(self, step: Step, batch: Batch) -> None:
        """A few steps of an epoch: terms over all rows, effective sample sizes by pattern."""
        self.looks += 1
        for name, term in step.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + float(term.rows().mean())
        with torch.no_grad():
            sizes = effective_sample_size(step.log_w).expand(batch.rows)
        for pattern, mask in patterns(batch.known):
            total, rows = self.ess.get(pattern, (0.0, 0))
            self.ess[pattern] = (total + float(sizes[mask].sum()), rows + int(mask.sum()))

    def summary(self, labelled: bool, unlabelled: bool) -> dict[str, Any]:
        """The means, as the metrics file has them; `kl[node]` is log q − log p of an inferred node."""
        bounds = (self.bounds / max(self.steps, 1)).tolist()
        terms = {name: total / max(self.looks, 1) for name, total in self.terms.items()}
        return {
            "bound": {
                "unlabelled": bounds[0] if unlabelled else None,
                "labelled": bounds[1] if labelled else None,
            },
            "terms": terms,
            "kl": divergences(terms),
            "ess": {pattern: total / rows for pattern, (total, rows) in self.ess.items() if rows},
        }

    def clear(self) -> None:
        self.bounds.zero_()
        self.steps = self.looks = 0
        self.terms, self.ess = {}, {}

    def export(self) -> dict[str, Any]:
        """For a checkpoint inside an epoch."""
        return {
            "bounds": self.bounds.tolist(),
            "steps": self.steps,
            "looks": self.looks,
            "terms": self.terms,
            "ess": {pattern: list(pair) for pattern, pair in self.ess.items()},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.bounds.copy_(torch.tensor(saved["bounds"]))
        self.steps, self.looks, self.terms = saved["steps"], saved["looks"], dict(saved["terms"])
        self.ess = {pattern: (total, rows) for pattern, (total, rows) in saved["ess"].items()}


def is_look(step: int, steps: int) -> bool:
    """Whether a step of an epoch of `steps` is looked at: some, evenly spaced, the last among them."""
    every = max(1, math.ceil(steps / LOOKS))
    return (steps - 1 - step % steps) % every == 0


def patterns(known: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The patterns of known labels, `y1, y2` or `none`, that occur, with the rows of each, [rows]."""
    if not known:
        return []
    names = list(known)
    code = torch.zeros_like(known[names[0]], dtype=torch.int64)
    for i, name in enumerate(names):
        code = code + (known[name].to(torch.int64) << i)
    present = torch.unique(code).tolist()
    named = [", ".join(n for i, n in enumerate(names) if c >> i & 1) or "none" for c in present]
    return [(name, code == c) for name, c in zip(named, present, strict=True)]


def divergences(terms: Mapping[str, float]) -> dict[str, float]:
    """log q − log p of each node that has both factors."""
    sides = {side: {_node(name): value for name, value in terms.items() if name[0] == side} for side in "pq"}
    return {node: value - sides["p"][node] for node, value in sides["q"].items() if node in sides["p"]}


def _node(term: str) -> str:
    """The node of `p(x | y, z)`."""
    return term[2:-1].partition(" |")[0]
