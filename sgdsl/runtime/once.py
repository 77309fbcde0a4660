"""Entries that are the same for all samples, computed once: masks come in, index tensors and values by entry go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.runtime.facts import NodeInfo
from sgdsl.runtime.levels import Level


@dataclass(frozen=True, slots=True)
class Once:
    """`entry` [computed]: the entry of the level that each computed one is of, None where every entry is computed for each
    sample; `number`: it among [S · entries]; `place` [S · entries]: the computed one of each."""

    samples: int
    entry: Tensor | None = None
    number: Tensor | None = None
    place: Tensor | None = None

    def into(self, value: Tensor) -> Tensor:
        """What is computed of a value: [S or 1, entries, …] → [1, computed, …]."""
        if self.entry is None or self.number is None:
            return value
        if len(value) == 1:
            return value.index_select(1, self.entry)
        return value.flatten(0, 1).index_select(0, self.number)[None]

    def of(self, up: Tensor) -> Tensor:
        """The entry below of each computed one, from that of each entry of the level."""
        return up if self.entry is None else up.index_select(0, self.entry)

    def back(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Every sample's: [1, computed, …] → [S, entries, …] each."""
        if self.place is None:
            return values
        place = self.place
        return tuple(v[0].index_select(0, place).unflatten(0, (self.samples, -1)) for v in values)


@dataclass(frozen=True, slots=True)
class Varying:
    """The entries of a level where a value is the `same` for all samples, and those where it is `apart`: int64 each."""

    same: Tensor
    apart: Tensor

    def over(self, samples: int) -> Once:
        """The same ones first, then the others for each sample."""
        same, apart = self.same, self.apart
        if samples == 1 or not len(same):
            return Once(samples)
        entries, device = len(same) + len(apart), same.device
        sample = torch.arange(samples, device=device)[:, None]
        entry = torch.cat([same, apart.repeat(samples)])
        number = torch.cat([same, (apart + sample * entries).flatten()])
        own = len(same) + torch.arange(samples * len(apart), device=device).view(samples, -1)
        place = torch.empty(samples, entries, dtype=torch.int64, device=device)
        place[:, same] = torch.arange(len(same), device=device)
        place[:, apart] = own
        return Once(samples, entry, number, place.flatten())


def varying(
    wanted: Mapping[str, tuple[str, Sequence[str]]],
    nodes: Mapping[str, NodeInfo],
    known: Mapping[str, Tensor],
    levels: Mapping[str, Level],
) -> dict[str, Varying]:
    """For each factor, from its level and the nodes that it hangs on: where these are not known, and where one that is summed
    and sampled is not the likeliest."""
    found = {}
    for factor, (name, sources) in wanted.items():
        apart = torch.stack([_lacks(nodes[node], node, known, levels.get(name)) for node in sources]).any(0)
        found[factor] = Varying((~apart).nonzero()[:, 0], apart.nonzero()[:, 0])
    return found


def _lacks(info: NodeInfo, node: str, known: Mapping[str, Tensor], level: Level | None) -> Tensor:
    if info.estimator == "sum_and_sample":
        assert level is not None, f"{node} is listed on no level"
        return level.values[node][0] == 1
    return ~known[node] if level is None else ~known[node].index_select(0, level.row)
