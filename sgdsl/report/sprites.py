"""Many small pictures as one: arrays of decoded images come in, a PNG as a data URI goes out."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sgdsl.train.dataset import Array
from sgdsl.train.sheets import colours, value_range

LEVELS = 63  # grey levels kept, less one: the eye sees no difference, the file is a third smaller
LARGEST_SIDE = 112


@dataclass(frozen=True, slots=True)
class Sprite:
    """`uri`: the picture; `bytes`: of its PNG; `height`, `width`: of one image in it."""

    uri: str
    bytes: int
    height: int
    width: int


def sprite(images: Array, columns: int, limits: tuple[float, float] | None = None, gap: int = 0) -> Sprite:
    """Images [n, h, w] or [n, c, h, w] in rows of `columns`, row by row; `gap`: transparent pixels around each."""
    shrunk = shrink(images)
    low, high = limits or value_range([list(shrunk)])
    tiles = np.stack([np.rint(LEVELS * colours(image, low, high)) for image in shrunk])
    grey = bool((tiles[..., 0] == tiles[..., 1]).all() and (tiles[..., 1] == tiles[..., 2]).all())
    tiles = np.rint(tiles * (255 / LEVELS)).astype(np.uint8)[..., :1] if grey else _levels(tiles)
    if gap:
        tiles = _framed(tiles, gap)
    height, width, channels = tiles.shape[1:]
    rows = -(-len(tiles) // columns)
    padded = np.zeros((rows * columns, height, width, channels), np.uint8)
    padded[: len(tiles)] = tiles
    sheet = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    flat = sheet.reshape(rows * height, columns * width, channels)
    data = png(flat)
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    return Sprite(uri, len(data), height, width)


def _levels(tiles: Array) -> Array:
    return np.asarray(np.rint(tiles * (255 / LEVELS)).astype(np.uint8))


def _framed(tiles: Array, gap: int) -> Array:
    """With an alpha channel that is 0 around each tile."""
    opaque = np.concatenate([tiles, np.full((*tiles.shape[:-1], 1), 255, np.uint8)], -1)
    return np.pad(opaque, ((0, 0), (gap, gap), (gap, gap), (0, 0)))


def png(pixels: Array) -> bytes:
    """[h, w, channels] of bytes: grey, grey and alpha, colours, or colours and alpha."""
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


def shrink(images: Array) -> Array:
    """Averaged over whole blocks, so that no side is over 112 pixels."""
    factor = -(-max(images.shape[-2:]) // LARGEST_SIDE)
    if factor == 1:
        return images
    height, width = (side // factor for side in images.shape[-2:])
    cut = images[..., : height * factor, : width * factor]
    blocks = cut.reshape(*images.shape[:-2], height, factor, width, factor)
    return np.asarray(blocks.mean((-3, -1)))


def limits_of(frames: Sequence[Array]) -> tuple[float, float]:
    """The range of values that pictures shown together share."""
    return value_range([list(images) for images in frames])
