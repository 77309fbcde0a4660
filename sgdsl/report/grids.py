"""Which grids of decoded means a page carries, within a budget of bytes: a decoder comes in, grids go out.

A grid moves one cell or two of a latent node over a range of standard deviations of its prior, for each class. Cells are
ordered by what they do: how far the shown means move between −2 and 2 standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
import torch

from sgdsl.report.decode import Decoder, Held
from sgdsl.report.frames import Frames, frames_of, size_of
from sgdsl.train.dataset import Array

REACH = 2.5  # standard deviations to either side
STEPS = (9, 7, 5, 3)  # along a slider, as many as the budget of a grid allows
GRID_BYTES = 700_000
PAGE_BYTES = 2_000_000  # of all grids; as text in the page a third more
MOST_GRIDS = 6
MOST_LABELS = 3
PROBED = 24  # images by which the bytes of one are judged
MANY = 16
FAR = 2.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Decoded means of `node` moved along `cells` (one or two, counted flat), at `offsets` standard deviations, with
    `label` held at each of `classes`, in words. `frames` by shown node, [classes, down, across]."""

    label: str
    classes: tuple[str, ...]
    node: str
    cells: tuple[int, ...]
    offsets: tuple[float, ...]
    frames: Mapping[str, Frames]

    @property
    def count(self) -> int:
        return max(1, len(self.classes)) * self.images

    @property
    def images(self) -> int:
        """Of one class."""
        return len(self.offsets) if len(self.cells) == 1 else len(self.offsets) ** 2

    @property
    def bytes(self) -> int:
        return sum(f.bytes for f in self.frames.values())


@dataclass(frozen=True, slots=True)
class Order:
    """The cells of a node, those that do most first. `strength` of the first; `size`: bytes of one decoded image."""

    node: str
    cells: tuple[int, ...]
    strength: float
    size: float


def held_values(decoder: Decoder, label: str) -> list[Held]:
    """A label at each class; nothing held where there is no label."""
    return decoder.held_at(label) if label else [Held()]


def offsets_of(steps: int) -> tuple[float, ...]:
    return tuple(np.linspace(-REACH, REACH, steps).round(4).tolist())


def order(decoder: Decoder, label: str, node: str) -> Order:
    """Looks at up to three classes, at one where there are many cells."""
    held = held_values(decoder, label)
    cells = decoder.centre(held[0], node)[0].numel()
    some = [held[i] for i in sorted({0, len(held) // 2, len(held) - 1})] if cells <= MANY else held[:1]
    steps = FAR * torch.eye(cells)
    effect, size = np.zeros(cells), 0.0
    for each in some:
        means = decoder.moved(each, node, torch.cat([-steps, steps]))
        for images in means.values():
            scale = float(images.std()) or 1.0
            effect += np.abs(images[cells:] - images[:cells]).reshape(cells, -1).mean(1) / scale
        size = max(size, sum(size_of(decoder.nodes[n], images[:PROBED]) for n, images in means.items()))
    best = np.argsort(-effect, kind="stable")
    return Order(node, tuple(best.tolist()), float(effect[best[0]]), size)


def orders_of(decoder: Decoder) -> dict[str, list[Order]]:
    """For each label, or "" where there is none: every node that slides, the strongest first."""
    labels = decoder.finite()[:MOST_LABELS] or [""]
    found = {label: [order(decoder, label, n) for n in decoder.sliding()] for label in labels}
    return {label: sorted(orders, key=lambda o: -o.strength) for label, orders in found.items()}


def grids(decoder: Decoder, ordered_by: Mapping[str, Sequence[Order]]) -> list[Grid]:
    """As many as fit: for each label the strongest pair of cells of each node, then the next pairs."""
    queues = []
    for label, orders in ordered_by.items():
        pairs = [[(label, o, o.cells[i : i + 2]) for i in range(0, len(o.cells), 2)] for o in orders]
        queues.append([x for x in chain(*zip_longest(*pairs)) if x])
    found: list[Grid] = []
    for label, ordered, cells in [x for x in chain(*zip_longest(*queues)) if x]:
        made = make(decoder, label, ordered, cells)
        if found and sum(g.bytes for g in found) + made.bytes > PAGE_BYTES:
            break
        found.append(made)
        if len(found) == MOST_GRIDS:
            break
    return found


def make(decoder: Decoder, label: str, ordered: Order, cells: Sequence[int]) -> Grid:
    """One grid, in steps as fine as its budget allows, and with fewer classes where three steps are too many."""
    held = held_values(decoder, label)
    fits = [s for s in STEPS if ordered.size * len(held) * s ** len(cells) <= GRID_BYTES]
    steps = fits[0] if fits else STEPS[-1]
    if not fits:
        held = held[: max(2, int(GRID_BYTES / (ordered.size * steps ** len(cells))))]
    offsets = offsets_of(steps)
    moves = _moves(len(ordered.cells), cells, offsets)
    means = [decoder.moved(each, ordered.node, moves) for each in held]
    shown = {n: np.concatenate([m[n] for m in means]) for n in decoder.shown}
    frames = {n: frames_of(decoder.nodes[n], images, steps) for n, images in shown.items()}
    classes = tuple(h.word for h in held) if label else ()
    return Grid(label, classes, ordered.node, tuple(cells), offsets, frames)


def _moves(count: int, cells: Sequence[int], offsets: Sequence[float]) -> torch.Tensor:
    """Every combination, [down · across, count]: the first cell moves across, the second down."""
    down = offsets if len(cells) > 1 else (0.0,)
    moves = torch.zeros(len(down) * len(offsets), count)
    for i, (second, first) in enumerate((b, a) for b in down for a in offsets):
        moves[i, cells[0]] = first
        if len(cells) > 1:
            moves[i, cells[1]] = second
    return moves


def traversal(decoder: Decoder, held: Held, ordered: Order, most: int, steps: int) -> dict[str, Array]:
    """Each of the strongest cells moved alone: [cells, steps, *event] by shown node."""
    cells = ordered.cells[:most]
    moves = torch.cat([_moves(len(ordered.cells), (cell,), offsets_of(steps)) for cell in cells])
    means = decoder.moved(held, ordered.node, moves)
    return {n: images.reshape(len(cells), steps, *images.shape[1:]) for n, images in means.items()}
