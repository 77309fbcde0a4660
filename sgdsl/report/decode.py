"""What a model shows for chosen values: nodes held at values come in, the means of observed nodes along p go out.

Everything that is not held is set to its mean along p, finite nodes to the likeliest value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sgdsl.runtime.ask import Likeliest, certain_mask, descendants
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.densities_angle import wrapped
from sgdsl.runtime.queries import Drawn, Queries
from sgdsl.train.copies import cells_of, loops_of
from sgdsl.train.dataset import Array
from sgdsl.train.measure import SEED
from sgdsl.train.naming import value_names
from sgdsl.train.sheets import as_pictures, is_map

AT_ONCE = 256
SLIDING = ("normal", "laplace", "student_t", "log_normal", "von_mises")  # families whose values a slider moves
MOST_CLASSES = 24
KEPT_CLASSES = 12  # of a node that has more


@dataclass(frozen=True, slots=True)
class Held:
    """A finite node and the value it is held at, in a `word`; `node` "": nothing is held."""

    node: str = ""
    value: int = 0
    word: str = ""


@dataclass(frozen=True, slots=True)
class Decoder:
    """`given`: a value [*event] of each given node; `shown`: the observed nodes whose means are wanted; `classes`: names of
    classes by node, as the training data have them."""

    model: Queries
    given: Mapping[str, Tensor]
    shown: tuple[str, ...]
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def nodes(self) -> Mapping[str, NodeInfo]:
        return self.model.NODES

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def reaches(self, node: str) -> bool:
        """Whether a shown node depends on a node in p."""
        below = descendants(self.model.ORDER_P, {n: i.parents_p for n, i in self.nodes.items()}, node)
        return bool(below & set(self.shown))

    def sliding(self) -> list[str]:
        """The inferred nodes on the real line, above 0 or on the circle that what is shown depends on."""
        return [
            n
            for n, i in self.nodes.items()
            if i.role in ("latent", "supervised") and i.family_p in SLIDING and self.reaches(n)
        ]

    def finite(self) -> list[str]:
        """The inferred finite nodes of one cell, outside loops, that what is shown depends on, supervised ones first."""
        single = [n for n, i in self.nodes.items() if i.classes > 1 and not i.event and not i.loops and i.family_p]
        found = [n for n in single if self.reaches(n)]
        return sorted(
            (n for n in found if self.nodes[n].role != "observed"), key=lambda n: self.nodes[n].role == "latent"
        )

    def held_at(self, node: str) -> list[Held]:
        """A finite node at each value that is shown: all, or the first twelve of over 24."""
        info = self.nodes[node]
        words = value_names(info, self.classes.get(node, ()))
        shown = words if info.classes <= MOST_CLASSES else words[:KEPT_CLASSES]
        return [Held(node, info.first + i, word) for i, word in enumerate(shown)]

    def centre(self, held: Held, node: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of a node along p, [cells] each; a LogNormal's in logarithms, an angle's in radians."""
        drawn = self._drawn(self._held(held, 1), 1)
        info = self.nodes[node]
        mean, variance = (moment[0, 0].flatten() for moment in self.model.moments_p(node, drawn))
        if info.family_p == "log_normal":
            spread = (1 + variance / mean.square()).log()
            return mean.log() - spread / 2, spread.sqrt()
        variance = 2 * variance if info.family_p == "von_mises" else variance  # 1 − the mean cosine is half a square
        return mean, variance.sqrt().nan_to_num(nan=1.0, posinf=1.0)

    def moved(self, held: Held, node: str, offsets: Tensor) -> dict[str, Array]:
        """The shown nodes for `node` moved from its mean, `offsets` [n, cells] in standard deviations: [n, *event] each, in loops
        [n, copies, …, *event]; the cells of a node in loops are those of all copies."""
        mean, deviation = self.centre(held, node)
        at = mean + deviation * offsets.to(mean)
        info = self.nodes[node]
        values = at.exp() if info.family_p == "log_normal" else wrapped(at) if info.family_p == "von_mises" else at
        parts = []
        for some in values.split(AT_ONCE):
            copies = (self.model.RANGES[r].number for r in info.loops)
            fixed = {**self._held(held, len(some)), node: some.reshape(1, len(some), *copies, *info.event)}
            drawn = self._drawn(fixed, len(some))
            parts.append({shown: self._mean(drawn, shown, len(some)) for shown in self.shown})
        return {shown: np.concatenate([part[shown] for part in parts]) for shown in self.shown}

    def _held(self, held: Held, rows: int) -> dict[str, Tensor]:
        found = {n: v[None, None].expand(1, rows, *v.shape) for n, v in self.given.items()}
        if held.node:
            kind = torch.int64 if self.nodes[held.node].integer else torch.get_default_dtype()
            found[held.node] = torch.full((1, rows), held.value, dtype=kind, device=self.device)
        return found

    @torch.no_grad()
    def _drawn(self, values: Mapping[str, Tensor], rows: int) -> Drawn:
        known = {n: certain_mask(self.model, n, v[0]) for n, v in values.items()}
        draws = Likeliest(torch.Generator(self.device).manual_seed(SEED))
        return self.model.draw_p(values, known, draws, 1, rows=rows)

    def _mean(self, drawn: Drawn, node: str, rows: int) -> Array:
        """[rows, *event]; of a class its probabilities, [rows, *event, classes]."""
        mean = self.model.moments_p(node, drawn)[0][0]
        if self.nodes[node].classes and not self.nodes[node].integer:
            mean = mean[..., 1]
        images = np.asarray(mean.expand(rows, *mean.shape[1:]).float().cpu().numpy())
        return as_pictures(self.nodes[node], images) if is_map(self.nodes[node]) else images

    def cell_name(self, node: str, cell: int) -> str:
        """z[3], or light where it has one cell; in a loop z[2], or z[2][3]."""
        info = self.nodes[node]
        if info.loops:
            return cells_of(node, info.event, loops_of(info, self.model.RANGES))[cell][0]
        return f"{node}[{cell}]" if math.prod(info.event) > 1 else node
