"""Digits in many hands: a seed and the fonts of matplotlib come in; small pictures of the ten digits in each font go out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageFont

from sgdsl.train.dataset import Array
from sgdsl.train.makers.stream import Reals, Stream, stream_of

CELL, TALL = 64, 48  # side of a picture; height of the digit in its middle
STROKED = 24  # fonts of strokes
PRINTED = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmb10", "cmss10",
)  # fmt: skip
Arc = tuple[
    float, float, float, float, float, float
]  # middle x, y, radii, from and to: degrees from the right, downwards
Line = tuple[tuple[float, float], ...]
STROKES: dict[int, tuple[Arc | Line, ...]] = {
    0: ((0.5, 0.5, 0.38, 0.5, 0, 360),),
    1: (((0.26, 0.2), (0.56, 0.0), (0.56, 1.0)),),
    2: ((0.5, 0.3, 0.36, 0.3, -170, 35), ((0.795, 0.472), (0.1, 1.0), (0.9, 1.0))),
    3: ((0.46, 0.26, 0.34, 0.26, -160, 90), (0.46, 0.75, 0.38, 0.25, -90, 155)),
    4: (((0.7, 1.0), (0.7, 0.0), (0.06, 0.7), (0.96, 0.7)),),
    5: (((0.84, 0.0), (0.24, 0.0), (0.17, 0.46)), (0.47, 0.67, 0.38, 0.33, -145, 150)),
    6: ((0.5, 0.68, 0.37, 0.32, 0, 360), (0.78, 0.68, 0.65, 0.68, -180, -92)),
    7: (((0.08, 0.0), (0.92, 0.0), (0.38, 1.0)),),
    8: ((0.5, 0.26, 0.31, 0.26, 0, 360), (0.5, 0.76, 0.38, 0.24, 0, 360)),
    9: ((0.5, 0.32, 0.37, 0.32, 0, 360), (0.22, 0.32, 0.65, 0.68, 0, 88)),
}  # in a square, from its upper left corner


@dataclass(frozen=True, slots=True)
class Glyphs:
    """`ink` [fonts, 10, 64, 64], 0 … 1; `wide` [fonts, 10] widths of the digits, in heights."""

    ink: Array
    wide: Reals


def draw_glyphs(seed: int) -> Glyphs:
    """Fourteen fonts that come with matplotlib, and 24 of strokes, as thick and as bent as the seed says."""
    random = stream_of(seed, 0)
    fonts = [*_printed(), *(_stroked(random) for _ in range(STROKED))]
    ink = np.array([[_in_cell(digit) for digit in font] for font in fonts])
    wide = np.array([[digit.shape[1] / digit.shape[0] for digit in font] for font in fonts])
    return Glyphs(ink.astype(np.float32) / 255, wide)


def _in_cell(digit: Array) -> Array:
    """A digit of any size as one of height 48 in the middle of 64 × 64."""
    wide = min(CELL - 2, max(1, round(TALL * digit.shape[1] / digit.shape[0])))
    small = np.asarray(Image.fromarray(digit).resize((wide, TALL), Image.Resampling.BOX))
    cell = np.zeros((CELL, CELL), np.uint8)
    cell[(CELL - TALL) // 2 :, (CELL - wide) // 2 :][:TALL, :wide] = small
    return cell


def _cut(ink: Array) -> Array:
    """The smallest rectangle with all the ink."""
    rows, columns = (np.flatnonzero((ink > 40).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _printed() -> Iterator[list[Array]]:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for path in (folder / f"{name}.ttf" for name in PRINTED):
        if path.exists():
            font = ImageFont.truetype(str(path), 96)
            masks = [font.getmask(str(d)) for d in range(10)]
            yield [_cut(np.array(m, np.uint8).reshape(m.size[::-1])) for m in masks]


# --- strokes --------------------------------------------------------------------------------------------------


def _stroked(random: Stream) -> list[Array]:
    """A font of lines around the strokes: as thick, narrow, leaning and square as the stream says."""
    thick, narrow, lean, square, contrast = (
        float(random.between(*r, 1)[0])
        for r in ((0.05, 0.14), (0.5, 0.85), (-0.1, 0.25), (2.0, 3.2), (0.75, 1.0))
    )  # fmt: skip
    found = []
    for digit in range(10):
        corners = [_points(part, square) for part in STROKES[digit]]
        moved = [c + 0.02 * random.normal(1, 2) for c in corners]
        found.append(_cut(_inked(moved, thick, narrow, lean, contrast)))
    return found


def _points(part: Arc | Line, square: float) -> Reals:
    """[n, 2] corners; an arc is of a superellipse, |x|ᵖ + |y|ᵖ = 1."""
    if isinstance(part[0], tuple):
        return np.array(part, np.float64)
    x, y, across, down, start, end = np.array(part, np.float64)
    angle = np.deg2rad(np.linspace(start, end, max(6, round(abs(end - start) / 15))))
    bent = [np.sign(c) * np.abs(c) ** (2 / square) for c in (np.cos(angle), np.sin(angle))]
    return np.stack([x + across * bent[0], y + down * bent[1]], 1)


def _inked(parts: Sequence[Reals], thick: float, narrow: float, lean: float, contrast: float) -> Array:
    """Bytes [96, 112]: 255 within half the thickness of a stroke; strokes across are thinner by `contrast`."""
    y, x = np.mgrid[:96, :112] / 72.0
    place = np.stack([(x - 0.28 + lean * (y - 0.67)) / narrow, y - 0.17], -1)
    scale = np.array([narrow, 1 / contrast])
    nearest = np.full(x.shape, math.inf)
    for points in parts:
        for a, b in pairwise(points):
            along, offset = (b - a) * scale, (place - a) * scale
            t = np.clip((offset @ along) / max(float(along @ along), 1e-12), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(offset - t[..., None] * along, axis=-1))
    return np.rint(255 * np.clip((thick - nearest) * 72 + 0.5, 0, 1)).astype(np.uint8)
