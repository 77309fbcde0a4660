"""Decoded means as a page stores them: pictures as one PNG, other nodes as whole numbers of 16 bits."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from sgdsl.report.sprites import Sprite, sprite
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.dataset import Array
from sgdsl.train.sheets import is_map

MOST_CELLS = 128
TOP = 65_535


@dataclass(frozen=True, slots=True)
class Numbers:
    """`text`: base64 of little-endian uint16, [frames, cells], 0 … 65,535 for `low` … `high`; `cells`: which are kept, of
    `of`; `classes`: they are the probabilities of a class."""

    text: str
    bytes: int
    low: float
    high: float
    cells: tuple[int, ...]
    of: int
    classes: bool


Frames = Sprite | Numbers


def frames_of(info: NodeInfo, images: Array, columns: int) -> Frames:
    """Means [frames, *event] of one node."""
    if is_map(info):
        return sprite(images, columns)
    flat = images.reshape(len(images), -1).astype(float)
    cells = varying(flat)
    kept = flat[:, cells]
    low, high = min(0.0, float(kept.min())), max(0.0, float(kept.max()))
    if info.integer or info.support in ("binary", "unit"):
        low, high = 0.0, 1.0
    scaled = np.rint((kept - low) / max(high - low, 1e-12) * TOP).clip(0, TOP).astype("<u2")
    text = base64.b64encode(scaled.tobytes()).decode()
    return Numbers(text, scaled.nbytes, low, high, tuple(cells.tolist()), flat.shape[1], info.integer)


def varying(flat: Array) -> Array:
    """The cells of [frames, cells] that vary most, in order, 128 at most."""
    most = np.argsort(-flat.var(0), kind="stable")[:MOST_CELLS]
    return np.sort(most)


def size_of(info: NodeInfo, images: Array) -> float:
    """Bytes that one image of a grid takes, judged by some."""
    if is_map(info):
        return sprite(images, len(images)).bytes / len(images)
    return 2.0 * min(MOST_CELLS, int(np.prod(images.shape[1:])))
