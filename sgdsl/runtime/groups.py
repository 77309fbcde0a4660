"""Groups of weights: factors of log w by group come in; weighted means, recombined draws and their gradients go out.

In a row, the unknown nodes before the known ones fall into groups that no factor of q ties together. Their weights multiply,
so each group is averaged by itself, and what reads several is evaluated on recombinations, the sample of every group drawn
from its own weights (docs/objective.md, section 2). A row with fewer than two groups keeps its samples as they are. Where
copies of a loop are groups of their own, a value has an entry for each (row, copy), and their groups stand one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sgdsl.runtime.bounds import all_but_one, log_labels
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.grouping import Grouping


class Part(NamedTuple):
    """A summand of f that reads one group at most, and that group's log weights, [S or 1, rows or rows · copies] each."""

    f: Tensor
    log_w: Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """`groups` [weighed, rows]; `log_w` [weighed + 1, S, rows]: by group, the last for what is exact; `index` likewise:
    the sample of each group in each recombination; `several` [rows]: rows that are recombined. `place`: of each weighed node its
    copies among all."""

    place: Mapping[str, slice]
    groups: Tensor
    log_w: Tensor
    index: Tensor
    several: Tensor

    def part(self, f: Tensor, *carriers: str) -> Part:
        """A summand of f with the weights of its group."""
        return Part(f, self._of(self.log_w, carriers))

    def recombine(self, value: Tensor, *carriers: str, row: Tensor | None = None) -> Tensor:
        """A value [S or 1, entries, …] of one group, at that group's sample of each recombination; `row`: of each entry, or which
        of all rows' copies it is of."""
        if value.shape[0] == 1:
            return value
        index = self._of(self.index, carriers)
        index = index if row is None else index[:, row]
        return value.take_along_dim(index.reshape(*index.shape, *[1] * (value.dim() - 2)), 0)

    def returned(self, value: Tensor, *carriers: str, row: Tensor) -> Tensor:
        """The transpose of `recombine`: what recombinations hold, added up by the sample they took, [S, entries]."""
        index = self._of(self.index, carriers)[:, row]
        return torch.zeros_like(value).scatter_add(0, index, value)

    def of_samples(self, *carriers: str) -> Tensor:
        """w̄ of each sample in the mean of a summand of this group, [S, rows or rows · copies], without gradient."""
        return self._of(self.log_w, carriers).detach().softmax(0)

    @property
    def of_recombinations(self) -> Tensor:
        """The weight of each recombination, [S, rows], without gradient."""
        joint = self.joint.detach()
        return torch.where(self.several, 1 / len(joint), joint.softmax(0))

    @property
    def joint(self) -> Tensor:
        """The log weight of each sample as drawn, [S, rows]."""
        return self.log_w.sum(0)

    @property
    def log_picked(self) -> Tensor:
        """Σ over groups of log w̄ of the sample that each recombination took, [S, rows]; 0 where none was drawn."""
        picked = self.log_w.log_softmax(1).gather(1, self.index).sum(0)
        return torch.where(self.several, picked, 0.0)

    def _of(self, by_group: Tensor, carriers: Sequence[str]) -> Tensor:
        """The slice of the group that these nodes are in, [S, rows], or [S, rows · copies]."""
        group = _group_of(self.groups, self.place, carriers)
        found = by_group.gather(0, group[:, None].expand(-1, by_group.shape[1], -1))
        return found.permute(1, 2, 0).flatten(1)


def weigh(
    grouping: Grouping, groups: Tensor, samples: int, draws: Draws, units: Iterable[tuple[Tensor, tuple[str, ...]]]
) -> Weights:
    """The weights of a batch. `groups` as made by group_table; `units`: the factors of log w, [S or 1, rows or rows · copies]
    each, with the weighed nodes that each reads."""
    place = grouping.places()
    count, rows = groups.shape
    first = next(iter(units := list(units)))[0]
    log_w = first.new_zeros(count + 1, samples, rows)
    for unit, carriers in units:
        group = _group_of(groups, place, carriers)
        each = unit.expand(samples, -1).unflatten(1, (rows, -1)).permute(2, 0, 1)
        log_w = log_w.scatter_add(0, group[:, None].expand_as(each), each)
    active = _active(groups)
    several = active.sum(0) > 1
    aligned = torch.arange(samples, device=groups.device)[:, None].expand(-1, rows)
    picks = []
    for at in place.values():
        of_entries = log_w[at].detach().permute(1, 2, 0).flatten(1)
        pick = draws.resample(tuple(of_entries.shape), of_entries)
        picks.append(pick.unflatten(1, (rows, -1)).permute(2, 0, 1))
    taken = torch.where((several & active)[:, None], torch.cat(picks), aligned)
    return Weights(place, groups, log_w, torch.cat([taken, aligned[None]]), several)


def _group_of(groups: Tensor, place: Mapping[str, slice], carriers: Sequence[str]) -> Tensor:
    """The group that these nodes are in, as a place in `log_w`: [1 or copies, rows], the last place for none."""
    count = len(groups)
    if not carriers:
        return torch.full_like(groups[:1], count)
    return torch.stack([groups[place[c]] for c in carriers]).amax(0) % (count + 1)


def _active(groups: Tensor) -> Tensor:
    """Whether a row has each group, [weighed, rows]."""
    count, rows = groups.shape
    return groups.new_zeros(count + 1, rows, dtype=torch.bool).scatter(0, groups % (count + 1), True)[:count]


def grouped(weights: Weights, parts: Sequence[Part], recombined: Tensor, alpha: float) -> Tensor:
    """Σ over parts of Σ_s w̄_{g,s} f_s, plus the mean of what was recombined, plus (1 + α) Σ_g log mean_s w_{g,s}: [rows].

    `recombined` [S or 1, rows]: the summand of f that reads several groups."""
    mean = torch.where(weights.several, recombined.mean(0), 0.0)
    return _estimate(*_pairs(weights, parts, recombined), weights.log_w, alpha) + mean


def grouped_gains(weights: Weights, parts: Sequence[Part], recombined: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """What a sample adds to the estimate, for the score terms of draws made before recombination and of those made after it
    (and of the choice of samples), [S, rows] each, without gradient.

    The first is the estimate minus that without sample s. Of the recombined part, that is the mean over the recombinations
    that s has no part in, which are draws of the estimate without s; divided by the probability that there is any, for which
    its expectation does not depend on s."""
    with torch.no_grad():
        fs, log_ws = _pairs(weights, parts, recombined)
        samples = weights.log_w.shape[1]
        recombined = recombined.expand(samples, -1)
        whole = _estimate(fs, log_ws, weights.log_w, alpha)
        if samples == 1:
            alone = whole[None] + torch.where(weights.several, recombined, 0.0)
            return alone, alone
        kept = all_but_one(samples, whole.device).unbind(1)
        without = [_estimate([f[k] for f in fs], [w[k] for w in log_ws], weights.log_w[:, k], alpha) for k in kept]
        early = whole - torch.stack(without)
        gain = early + torch.where(weights.several, recombined.mean(0) - _apart(weights, recombined), 0.0)
        return gain, torch.where(weights.several, recombined_gain(recombined), early)


def recombined_gain(recombined: Tensor) -> Tensor:
    """What each recombination adds to their mean, less the mean of the others, [S, rows], without gradient."""
    with torch.no_grad():
        return (recombined - recombined.mean(0)) / max(1, len(recombined) - 1)


def _apart(weights: Weights, recombined: Tensor) -> Tensor:
    """For each sample the mean over the recombinations without it, over the probability that there is one: [S, rows]."""
    samples = recombined.shape[0]
    sample = torch.arange(samples, device=recombined.device)
    # [sample, recombination, rows]; the last index, of draws that no weight bears on, keeps s apart from recombination s
    apart = ~sample.new_zeros(samples, *weights.index.shape[1:], dtype=torch.bool).scatter(0, weights.index, True)
    mean = torch.where(apart, recombined, 0.0).sum(1) / apart.sum(1).clamp(min=1)
    spared = _spared(weights)
    found = -torch.expm1((samples - 1) * torch.log1p(-spared))
    return mean / found.clamp(min=torch.finfo(mean.dtype).tiny)


def _spared(weights: Weights) -> Tensor:
    """The probability that a recombination other than s itself takes no group's sample s, [S, rows]."""
    share = torch.where(_active(weights.groups)[:, None], weights.log_w[:-1].softmax(1), 0.0)
    return (1 - share).prod(0)


def _pairs(weights: Weights, parts: Sequence[Part], recombined: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Every summand as drawn with its weights, [S, rows or rows · copies]; the recombined one only where it was not."""
    samples = weights.log_w.shape[1]
    plain = torch.where(weights.several, 0.0, recombined)
    fs = [f.expand(samples, -1) for f in (*(p.f for p in parts), plain)]
    return fs, [*(p.log_w for p in parts), weights.joint]


def _estimate(fs: Sequence[Tensor], log_ws: Sequence[Tensor], log_w: Tensor, alpha: float) -> Tensor:
    rows = log_w.shape[-1]
    means = [(w.softmax(0) * f).sum(0).reshape(rows, -1).sum(1) for f, w in zip(fs, log_ws, strict=True)]
    mean = torch.stack(means).sum(0)
    return mean + (1 + alpha) * log_labels(log_w)
