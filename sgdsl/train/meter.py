"""What an epoch was like: steps come in; means of bounds, terms, divergences and weights go out, by pattern of labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sgdsl.runtime.batch import Batch, Step
from sgdsl.runtime.bounds import chi_square, effective_sample_size, log_labels, normalised_weights
from sgdsl.train.patterns import Patterns

LOOKS = 4  # steps of an epoch whose terms are looked at
ROWS, ESS, CHI2, LABELS = "rows", "ess", "chi2", "log_q_labels"
MEASURES = (ROWS, ESS, CHI2, LABELS)
Sums = dict[str, float]


@dataclass(slots=True)
class Meter:
    """Sums over the steps of the epoch so far. `bounds` [2]: of the mean bounds of unlabelled and labelled rows, on the
    device; `sums[pattern]`: over the rows that were looked at, of every measure and of each factor's log-probability.

    `samples`: S; `weighed`: whether a term's samples are averaged with w̄, as the bound weighs them (all but `clamped`).
    Under `iw`, which does not split into terms, they are those of snis: expectations under q given the labels. Where
    weights have groups, w̄ is that of the joint weight, an approximation with more noise than the bound has."""

    bounds: Tensor
    patterns: Patterns
    samples: int
    weighed: bool
    steps: int = 0
    sums: dict[str, Sums] = field(default_factory=dict)

    def add(self, step: Step, means: Tensor, alpha: float) -> None:
        """Every step; `means` [2, rows] and `alpha` as in Composition. The extra α log q(labels | x) is taken off again, as the
        bound estimates it, so that labelled and unlabelled rows can be compared."""
        bound = step.bound.detach()
        if alpha:
            plain = step.drawn_log_w
            labels = log_labels(step.log_w) if plain is None else plain.mean(0)
            bound = bound - alpha * labels.detach()
        self.bounds.addmv_(means, bound)
        self.steps += 1

    @torch.no_grad()
    def look(self, step: Step, batch: Batch) -> None:
        """A few steps of an epoch: everything by pattern, brought from the device at once."""
        log_w, like = step.log_w, batch.zeros[0]
        weight = normalised_weights(log_w) if self.weighed else None
        drawn = self.samples / log_w.shape[-2]  # constant weights may have one sample for all
        found = [torch.ones_like(like), effective_sample_size(log_w) * drawn, chi_square(log_w), log_labels(log_w)]
        found += [term.rows(weight).to(like.device) for term in step.terms.values()]
        table = torch.stack([value.double().expand(batch.rows) for value in found], 1)
        totals = (self.patterns.indicator(batch.known, like) @ table).tolist()
        for pattern, line in zip(self.patterns.names, totals, strict=True):
            if line[0]:
                before = self.sums.setdefault(pattern, {})
                for name, value in zip((*MEASURES, *step.terms), line, strict=True):
                    before[name] = before.get(name, 0.0) + value

    def summary(self, labelled: bool, unlabelled: bool) -> dict[str, Any]:
        """The means, as the metrics file has them (docs/training.md): over the rows that were looked at, and by pattern."""
        bounds = (self.bounds / max(self.steps, 1)).tolist()
        parts = {name: self._pattern(name) for name in self.patterns.names if name in self.sums}
        return {
            "bound": {
                "unlabelled": bounds[0] if unlabelled else None,
                "labelled": bounds[1] if labelled else None,
            },
            "terms": row_means((sums, _terms(sums)) for sums in self.sums.values()),
            "kl": row_means((sums, self._divergences(name, sums)) for name, sums in self.sums.items()),
            "ess": {name: part["ess"] for name, part in parts.items()},
            "patterns": parts,
        }

    def _pattern(self, name: str) -> dict[str, Any]:
        """One pattern of the record."""
        sums = self.sums[name]
        found: dict[str, Any] = {measure: sums[measure] / sums[ROWS] for measure in (ESS, CHI2, LABELS)}
        kl = row_means([(sums, self._divergences(name, sums))])
        return {"rows": int(sums[ROWS]), **found, "terms": row_means([(sums, _terms(sums))]), "kl": kl}

    def _divergences(self, pattern: str, sums: Sums) -> Sums:
        """Sums of log q − log p of each node that is inferred in all rows of a pattern and has both factors."""
        return divergences(_terms(sums), self.patterns.fixed(pattern))

    def clear(self) -> None:
        self.bounds.zero_()
        self.steps, self.sums = 0, {}

    def export(self) -> dict[str, Any]:
        """For a checkpoint inside an epoch."""
        return {"bounds": self.bounds.tolist(), "steps": self.steps, "sums": self.sums}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.bounds.copy_(torch.tensor(saved["bounds"]))
        self.steps, self.sums = saved["steps"], {name: dict(sums) for name, sums in saved["sums"].items()}


def is_look(step: int, steps: int) -> bool:
    """Whether a step of an epoch of `steps` is looked at: some, evenly spaced, the last among them."""
    every = max(1, math.ceil(steps / LOOKS))
    return (steps - 1 - step % steps) % every == 0


def row_means(parts: Iterable[tuple[Sums, Sums]]) -> Sums:
    """Means over rows: pairs of what has the number of rows and sums over those rows. A name counts the rows of the parts
    that have it."""
    totals: Sums = {}
    rows: Sums = {}
    for counted, sums in parts:
        for name, value in sums.items():
            totals[name] = totals.get(name, 0.0) + value
            rows[name] = rows.get(name, 0.0) + counted[ROWS]
    return {name: total / rows[name] for name, total in totals.items()}


def divergences(terms: Mapping[str, float], known: Iterable[str] = ()) -> Sums:
    """log q − log p of each node that has both factors and is not known."""
    sides: dict[str, Sums] = {"p": {}, "q": {}}
    for name, value in terms.items():  # of a node in loops all pieces
        side, node = sides[name[0]], _node(name)
        side[node] = side.get(node, 0.0) + value
    return {n: v - sides["p"][n] for n, v in sides["q"].items() if n in sides["p"] and n not in set(known)}


def _terms(sums: Sums) -> Sums:
    return {name: value for name, value in sums.items() if name not in MEASURES}


def _node(term: str) -> str:
    """The node of `p(x | y, z)`."""
    return term[2:-1].partition(" |")[0].partition("[")[0]
