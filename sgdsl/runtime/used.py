"""A model inside another: its emitted class comes from here, frozen or trained further."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from sgdsl.runtime.batch import Batch
from sgdsl.runtime.copied import widened
from sgdsl.runtime.levels import Copies
from sgdsl.runtime.placed import Parameters, Values, placed
from sgdsl.runtime.places import Over, View, viewed


class SubModel(nn.Module):
    """The factors of another model, as methods. NAME: its name in the model that uses it; `frozen`: its weights get no
    gradient, and it stays in eval mode. Of a model with loops LEVELS … PIECES are as in Queries, and LOOPS are the ranges of each
    node."""

    NAME: ClassVar[str]
    LEVELS: ClassVar[tuple[tuple[str, ...], ...]]
    RANGES: ClassVar[Mapping[str, Copies]]
    VIEWS: ClassVar[Mapping[str, View]] = {}
    OVERS: ClassVar[Mapping[str, Over]] = {}
    PIECES: ClassVar[Mapping[str, Mapping[str, Mapping[str, str]]]]
    LOOPS: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False

    def freeze(self) -> Self:
        """Of all weights, those of models inside it among them; gradients still pass to what its methods are given."""
        self.requires_grad_(False)
        self.frozen = True
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.frozen)

    def together(self, side: str, node: str, values: Values, shapes: Sequence[tuple[int, ...]]) -> Parameters:
        """The parameters of all copies of a node, of these shapes, from values [S or 1, entries or 1, copies, …]: each
        [S or 1, entries, *shape]. Samples and entries are rows here."""
        sizes = [v.shape[:2] for v in values.values()]
        samples, entries = (max(s[i] for s in sizes) if sizes else 1 for i in (0, 1))
        rows = samples * entries
        flat = {
            n: v.expand(samples, entries, *v.shape[2:]).reshape(1, -1, *v.shape[2 + len(self.LOOPS[n]) :])
            for n, v in values.items()
        }
        like = next(self.parameters(), torch.zeros(()))
        counts = {c.count: flat[c.count] for c in self.RANGES.values() if c.count in flat}
        batch = placed(self, rows, counts, like.dtype, like.device)
        look_up = self.parameters_p if side == "p" else self.parameters_q
        copies = math.prod(self.RANGES[r].number for r in self.LOOPS[node])
        depth = len(self.LOOPS[node])
        found = []
        for piece in self.PIECES[side][node]:
            size = len(batch.views[piece]) if piece != node else rows * copies
            own = zip(look_up(piece, flat, batch), shapes, strict=True)
            found.append([_full(p, size, shape[depth:], like) for p, shape in own])
        whole = batch.views[node if side == "q" else f"{node} of p"] if len(found) > 1 else None
        parts = (viewed(whole, *pieces) if whole is not None else pieces[0] for pieces in zip(*found, strict=True))
        return tuple(p.reshape(samples, entries, *shape) for p, shape in zip(parts, shapes, strict=True))

    def parameters_p(self, node: str, v: Values, batch: Batch) -> Parameters:
        """Those of p of a node, or of a piece of its copies, at values of all copies."""
        raise KeyError(node)

    def parameters_q(self, node: str, v: Values, batch: Batch) -> Parameters:
        """The same of q."""
        raise KeyError(node)


def _full(parameter: Tensor | float, size: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A parameter at every entry, [1, size, *shape]."""
    found = torch.as_tensor(parameter, dtype=like.dtype, device=like.device)
    return torch.as_tensor(widened(found, size)).expand(1, size, *shape)
