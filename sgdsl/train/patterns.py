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
    known in it, `numbers[pattern]` how many copies of each node of `nodes` (0 or 1 outside loops); `rows[pattern]`: its
    training rows. A pattern is called `y1, y2`, in loops `y1, y2 (3 copies)`, or `none`."""

    nodes: tuple[str, ...]
    known: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, int]
    numbers: Mapping[str, tuple[int, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the rows of `indicator`: the most frequent patterns, and `others` where there are more."""
        names = tuple(self.known)
        return names if len(names) <= MOST else (*names[:MOST], OTHERS)

    def fixed(self, pattern: str) -> tuple[str, ...]:
        """Nodes that are known in at least some rows of a pattern."""
        return self.known.get(pattern, self.nodes)

    def indicator(self, known: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """1 where a row has the pattern, [names, rows]; `known[node]` [rows or rows · copies], `like` [rows]."""
        found = []
        there = {node: mask.reshape(len(like), -1).sum(1) for node, mask in known.items()}
        for pattern in list(self.known)[:MOST]:
            wanted = zip(self.nodes, self.numbers[pattern], strict=True)
            same = [there[node] == number for node, number in wanted if node in known]
            found.append(torch.stack([torch.ones_like(like, dtype=torch.bool), *same]).all(0))
        masks = torch.stack(found)
        if len(self.known) > MOST:
            masks = torch.cat([masks, ~masks.any(0, keepdim=True)])
        return masks.double()


def find_patterns(nodes: Sequence[str], granted: Mapping[str, Mask], rows: Index) -> Patterns:
    """The patterns of the training rows `rows`, the most frequent first. `granted[node]` [all rows]; a node without a mask
    is nowhere known."""
    kinds, counts = np.unique(_numbers(nodes, granted, rows), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    known, found, numbers = {}, {}, {}
    for i in order.tolist():
        there = {node: number for node, number in zip(nodes, kinds[i, 1:].tolist(), strict=True) if number}
        name = pattern_name([_counted(n, m) if n in granted and granted[n].ndim > 1 else n for n, m in there.items()])
        known[name], found[name] = tuple(there), int(counts[i])
        numbers[name] = tuple(kinds[i, 1:].tolist())
    return Patterns(tuple(nodes), known, found, numbers)


def _numbers(nodes: Sequence[str], granted: Mapping[str, Mask], rows: Index) -> Index:
    """A column of ones, and how many copies of each node are known, [rows, 1 + nodes]."""
    nothing = np.zeros(len(rows), np.int64)
    found = [granted[n][rows].reshape(len(rows), -1).sum(1) if n in granted else nothing for n in nodes]
    return np.stack([nothing + 1, *found], 1)


def _counted(node: str, number: int) -> str:
    return f"{node} ({number} {'copy' if number == 1 else 'copies'})"


def pattern_name(members: Sequence[str]) -> str:
    return ", ".join(members) or NONE


def pattern_rows(patterns: Patterns, granted: Mapping[str, Mask], pattern: str, rows: Index) -> Index:
    """Those of `rows` whose known labels are exactly the pattern's."""
    wanted = np.array((1, *patterns.numbers[pattern]))
    found: Index = rows[(_numbers(patterns.nodes, granted, rows) == wanted).all(1)]
    return found
