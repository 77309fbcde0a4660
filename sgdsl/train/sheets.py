"""What a model learned, to look at: a run comes in; samples, analogies and training curves go out as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.dataset import Array

DPI = 150
CELL = 0.52  # inches of a small picture
GAP = 0.07  # of a picture's side, between two
FOOT = 0.42  # inches below the pictures
SMALLEST_SIDE = 4
FAINT = "#6b7280"
COLORS = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#dc2626", "#0891b2")


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


def draw_sheet(sheet: Sheet, path: Path) -> Path:
    """Writes a sheet of pictures."""
    rows, columns = len(sheet.images), max(len(line) for line in sheet.images)
    low, high = _range(sheet.images)
    height, width = sheet.images[0][0].shape[-2:]
    gap = max(1, round(GAP * width))
    first = gap * 3 if sheet.split else 0
    canvas = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap + first, 3))
    for i, line in enumerate(sheet.images):
        for j, image in enumerate(line):
            x = j * (width + gap) + (first if j else 0)
            canvas[i * (height + gap) :][:height, x : x + width] = _colours(image, low, high)
    wide = CELL * canvas.shape[1] / width
    tall = CELL * canvas.shape[0] / width
    room = 0.42 + 0.25 * bool(sheet.heads)
    figure = Figure(figsize=(max(wide + 1.1, 4.2), tall + room + FOOT), dpi=DPI, facecolor="white")
    axes = figure.add_axes(_box(figure, wide, tall))
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    places = [j * (width + gap) + (first if j else 0) + width / 2 - 0.5 for j in range(columns)]
    _words(axes, sheet, [i * (height + gap) + height / 2 - 0.5 for i in range(rows)], places)
    _finish(figure, sheet.title, sheet.caption)
    return _write(figure, path)


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


def _finish(figure: Figure, title: str, caption: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.5, 1 - 0.09 / height, title, ha="center", va="top", fontsize=11, fontweight="bold")
    figure.text(0.5, 0.11 / height, caption, ha="center", va="bottom", fontsize=8, color=FAINT)


def _write(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI)
    return path


def _range(images: Sequence[Sequence[Array]]) -> tuple[float, float]:
    """0 … 1, or where values go beyond, the middle 98 % of them."""
    values = np.concatenate([np.asarray(i, float).ravel() for line in images for i in line])
    if values.min() >= -0.05 and values.max() <= 1.05:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 99))
    return float(low), float(max(high, low + 1e-6))


def _colours(image: Array, low: float, high: float) -> Array:
    """[c, h, w] or [h, w] as [h, w, 3] in 0 … 1: three channels are colours; of others the first, dark ink on white."""
    scaled = np.clip((np.asarray(image, float) - low) / (high - low), 0, 1)
    if scaled.ndim == 3 and scaled.shape[0] == 3:
        return np.moveaxis(scaled, 0, -1)
    plain = scaled[0] if scaled.ndim == 3 else scaled
    return np.repeat(1 - plain[..., None], 3, -1)


# --- curves ---------------------------------------------------------------------------------------------------


def draw_curves(records: Sequence[Mapping[str, Any]], title: str, caption: str, path: Path) -> Path:
    """Bounds, label errors, effective sample size and divergences over the epochs; only panels that have something to show."""
    panels = [p for p in (_bounds(records), _errors(records), _sizes(records), _divergences(records)) if p[1]]
    figure = Figure(figsize=(3.5 * len(panels) + 0.3, 3.5), dpi=DPI, facecolor="white")
    epochs = [r["epoch"] for r in records]
    for i, (name, series) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        for (label, values), colour in zip(series.items(), COLORS, strict=False):
            axes.plot(epochs, values, color=colour, linewidth=1.6, label=label, marker="o" if len(epochs) == 1 else "")
        _style(axes, name, series)
    width = figure.get_figwidth()
    figure.subplots_adjust(left=0.6 / width, right=1 - 0.12 / width, top=0.8, bottom=0.21, wspace=0.28)
    _finish(figure, title, caption)
    return _write(figure, path)


def _style(axes: Axes, name: str, series: Mapping[str, Sequence[float]]) -> None:
    axes.set_title(name, fontsize=9.5, loc="left")
    axes.set_xlabel("epoch", fontsize=8.5, color=FAINT)
    axes.tick_params(labelsize=8, color=FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.grid(color="#e5e7eb", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(_limits(series))
    axes.legend(fontsize=7.5, frameon=False)


def _limits(series: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """The range of the later nine tenths of the epochs: the first ones would flatten everything else."""
    late = np.concatenate([np.asarray(v, float)[len(v) // 10 :] for v in series.values()])
    late = late[np.isfinite(late)]
    low, high = (float(late.min()), float(late.max())) if late.size else (0.0, 1.0)
    room = 0.06 * max(high - low, 1e-3)
    return low - room, high + room


Panel = tuple[str, dict[str, list[float]]]


def _series(records: Sequence[Mapping[str, Any]], part: str, scale: float = 1.0) -> dict[str, list[float]]:
    """The curves of one part of the records, by name; an epoch without a value is a gap."""
    names = dict.fromkeys(n for r in records for n, v in r.get(part, {}).items() if v is not None)
    gap = float("nan")
    return {n: [scale * v if (v := r.get(part, {}).get(n)) is not None else gap for r in records] for n in names}


def _bounds(records: Sequence[Mapping[str, Any]]) -> Panel:
    found = _series(records, "bound")
    if any(r.get("validation_bound") is not None for r in records):
        found["held out"] = [r.get("validation_bound", float("nan")) for r in records]
    return "bound, nats a row", found


def _errors(records: Sequence[Mapping[str, Any]]) -> Panel:
    rates = [{"error": {n: s["value"] for n, s in r["error"].items() if s["kind"] == "error"}} for r in records]
    return "error on the labelled rows, %", _series(rates, "error", 100)


def _sizes(records: Sequence[Mapping[str, Any]]) -> Panel:
    found = {f"{n} known": v for n, v in _series(records, "ess").items() if n != "none"}
    constant = all(abs(x - v[0]) < 1e-6 for v in found.values() for x in v)
    return "effective sample size", {} if constant else found


def _divergences(records: Sequence[Mapping[str, Any]]) -> Panel:
    return "log q − log p, nats a row", _series(records, "kl")
