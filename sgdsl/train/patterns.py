"""Which labels are known together: masks by node come in, named patterns of known labels and their rows go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sgdsl.train.dataset import Index, Mask

MOST = 8  # patterns with a name of their own, the most frequent first
NONE, OTHERS = "none", "others"


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns of known labels among the training rows. `nodes`: every supervised node; `known[pattern]`: the nodes
    known in it; `rows[pattern]`: its training rows. A pattern is called `y1, y2`, or `none`."""

    nodes: tuple[str, ...]
    known: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the rows of `indicator`: the most frequent patterns, and `others` where there are more."""
        names = tuple(self.known)
        return names if len(names) <= MOST else (*names[:MOST], OTHERS)

    def fixed(self, pattern: str) -> tuple[str, ...]:
        """Nodes that are known in at least some rows of a pattern."""
        return self.known.get(pattern, self.nodes)

    def indicator(self, known: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """1 where a row has the pattern, [names, rows]; `known[node]` [rows], `like` [rows]."""
        found = []
        for pattern in list(self.known)[:MOST]:
            same = [known[node] == (node in self.known[pattern]) for node in self.nodes if node in known]
            found.append(torch.stack([torch.ones_like(like, dtype=torch.bool), *same]).all(0))
        masks = torch.stack(found)
        if len(self.known) > MOST:
            masks = torch.cat([masks, ~masks.any(0, keepdim=True)])
        return masks.double()


def find_patterns(nodes: Sequence[str], granted: Mapping[str, Mask], rows: Index) -> Patterns:
    """The patterns of the training rows `rows`, the most frequent first. `granted[node]` [all rows]; a node without a mask
    is nowhere known."""
    masks = [granted[node][rows] if node in granted else np.zeros(len(rows), bool) for node in nodes]
    whole = np.stack([np.ones(len(rows), bool), *masks], 1)
    kinds, counts = np.unique(whole, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    known, found = {}, {}
    for i in order.tolist():
        members = tuple(node for node, there in zip(nodes, kinds[i, 1:].tolist(), strict=True) if there)
        name = pattern_name(members)
        known[name], found[name] = members, int(counts[i])
    return Patterns(tuple(nodes), known, found)


def pattern_name(members: Sequence[str]) -> str:
    return ", ".join(members) or NONE


def pattern_rows(patterns: Patterns, granted: Mapping[str, Mask], pattern: str, rows: Index) -> Index:
    """Those of `rows` whose known labels are exactly the pattern's."""
    members = patterns.known[pattern]
    same = [(granted[n][rows] if n in granted else np.zeros(len(rows), bool)) == (n in members) for n in patterns.nodes]
    return rows[np.stack([np.ones(len(rows), bool), *same]).all(0)]
