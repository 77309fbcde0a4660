"""Sheets of small pictures: arrays with words beside them come in, a PNG file goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.dataset import Array

DPI = 150
CELL = 0.52  # inches of a small picture
GAP = 0.07  # of a picture's side, between two
FOOT = 0.42  # inches below the pictures
SMALLEST_SIDE = 4
FAINT = "#6b7280"
INK = ("bernoulli", "continuous_bernoulli")  # families whose cells are drawn as ink on white


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pictures in rows, with words beside them. `images` [rows][columns] of arrays [c, h, w] or [h, w]; `lines`, `heads`:
    names of rows and columns; `lines_name`: of all rows; `split`: a wider gap after the first column."""

    title: str
    caption: str
    images: Sequence[Sequence[Array]]
    lines: Sequence[str] = ()
    heads: Sequence[str] = ()
    lines_name: str = ""
    split: bool = False


def is_map(info: NodeInfo) -> bool:
    """Whether a node's values are pictures: [h, w] or [c, h, w] of numbers, at least 4 × 4."""
    event = info.event
    return info.support in ("unit", "real", "binary") and len(event) in (2, 3) and min(event[-2:]) >= SMALLEST_SIDE


def as_pictures(info: NodeInfo, images: Array) -> Array:
    """Values of a map as pictures, [n, copies, …, *event] → [n, h, w] or [n, c, h, w]: copies in one, from left to right; grey
    levels that are no ink, such as those of a Normal, as colours, so that light stays light."""
    if info.loops:
        images = np.concatenate(list(np.moveaxis(images.reshape(len(images), -1, *info.event), 1, 0)), -1)
    if info.family_p in INK or (len(info.event) == 3 and info.event[0] == 3):
        return images
    plain = images if len(info.event) == 2 else images[:, 0]
    return np.repeat(plain[:, None], 3, 1)


def draw_sheet(sheet: Sheet, path: Path) -> Path:
    """Writes a sheet of pictures."""
    rows, columns = len(sheet.images), max(len(line) for line in sheet.images)
    low, high = value_range(sheet.images)
    height, width = sheet.images[0][0].shape[-2:]
    gap = max(1, round(GAP * width))
    first = gap * 3 if sheet.split else 0
    canvas = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap + first, 3))
    for i, line in enumerate(sheet.images):
        for j, image in enumerate(line):
            x = j * (width + gap) + (first if j else 0)
            canvas[i * (height + gap) :][:height, x : x + width] = colours(image, low, high)
    wide = CELL * canvas.shape[1] / width
    tall = CELL * canvas.shape[0] / width
    room = 0.42 + 0.25 * bool(sheet.heads)
    least = max(4.2, 0.11 * len(sheet.title), 0.066 * len(sheet.caption))
    figure = Figure(figsize=(max(wide + 1.1, min(least, 9.0)), tall + room + FOOT), dpi=DPI, facecolor="white")
    axes = figure.add_axes(_box(figure, wide, tall))
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    places = [j * (width + gap) + (first if j else 0) + width / 2 - 0.5 for j in range(columns)]
    _words(axes, sheet, [i * (height + gap) + height / 2 - 0.5 for i in range(rows)], places)
    add_words(figure, sheet.title, sheet.caption)
    return write_figure(figure, path)


def _box(figure: Figure, wide: float, tall: float) -> tuple[float, float, float, float]:
    """The axes in the middle of a figure with room for words, as shares of it."""
    width, height = figure.get_size_inches()
    return (max(0.75, (width - wide) / 2) / width, FOOT / height, wide / width, tall / height)


def _words(axes: Axes, sheet: Sheet, rows: Sequence[float], columns: Sequence[float]) -> None:
    axes.set_frame_on(False)
    axes.tick_params(length=0, labelsize=9, labeltop=True, labelbottom=False, pad=3)
    axes.set_yticks(rows if sheet.lines else [], sheet.lines or None)
    axes.set_xticks(columns[: len(sheet.heads)], sheet.heads)
    axes.set_ylabel(sheet.lines_name, fontsize=9, color=FAINT)


def add_words(figure: Figure, title: str, caption: str) -> None:
    """The title above, and below it in small letters where the rows came from."""
    height = figure.get_size_inches()[1]
    figure.text(0.5, 1 - 0.09 / height, title, ha="center", va="top", fontsize=11, fontweight="bold")
    figure.text(0.5, 0.11 / height, caption, ha="center", va="bottom", fontsize=8, color=FAINT)


def write_figure(figure: Figure, path: Path) -> Path:
    """Without a screen and without pyplot's global state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI)
    return path


def value_range(images: Sequence[Sequence[Array]]) -> tuple[float, float]:
    """0 … 1, or where values go beyond, the middle 98 % of them."""
    values = np.concatenate([np.asarray(i, float).ravel() for line in images for i in line])
    if values.min() >= -0.05 and values.max() <= 1.05:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 99))
    return float(low), float(max(high, low + 1e-6))


def colours(image: Array, low: float, high: float) -> Array:
    """[c, h, w] or [h, w] as [h, w, 3] in 0 … 1: three channels are colours; of others the first, dark ink on white."""
    scaled = np.clip((np.asarray(image, float) - low) / (high - low), 0, 1)
    if scaled.ndim == 3 and scaled.shape[0] == 3:
        return np.moveaxis(scaled, 0, -1)
    plain = scaled[0] if scaled.ndim == 3 else scaled
    return np.repeat(1 - plain[..., None], 3, -1)
