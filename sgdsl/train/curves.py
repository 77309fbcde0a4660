"""Training curves: the records of all epochs come in, one picture with a panel for each thing that changed goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sgdsl.train.sheets import DPI, FAINT, add_words, write_figure

COLORS = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#dc2626", "#0891b2")
GRID = "#e5e7eb"
Records = Sequence[Mapping[str, Any]]
Series = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """`series`: the curves by name, a value an epoch; `low`, `high`: what the axis must reach."""

    title: str
    series: Series
    low: float | None = None
    high: float | None = None


def draw_curves(records: Records, title: str, caption: str, path: Path) -> Path:
    """Bounds, label errors, effective sample sizes and divergences over the epochs; only panels that have something to show."""
    shown = panels(records)
    width = 3.5 * len(shown) + 0.3
    figure = Figure(figsize=(width, 3.5), dpi=DPI, facecolor="white")
    epochs = [r["epoch"] for r in records]
    for i, panel in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), i + 1)
        for (label, values), colour in zip(panel.series.items(), COLORS, strict=False):
            axes.plot(epochs, values, color=colour, linewidth=1.6, label=label, marker="o" if len(epochs) == 1 else "")
        _style(axes, panel)
    figure.subplots_adjust(left=0.6 / width, right=1 - 0.12 / width, top=0.8, bottom=0.21, wspace=0.28)
    add_words(figure, title, caption)
    return write_figure(figure, path)


def panels(records: Records) -> list[Panel]:
    """What the epochs have to show, a panel each."""
    return [p for p in (_bounds(records), _errors(records), _sizes(records), _divergences(records)) if p.series]


def _style(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, fontsize=9.5, loc="left")
    axes.set_xlabel("epoch", fontsize=8.5, color=FAINT)
    axes.tick_params(labelsize=8, color=FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.grid(color=GRID, linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(limits(panel))
    axes.legend(fontsize=7.5, frameon=False)


def limits(panel: Panel) -> tuple[float, float]:
    """The range of the later nine tenths of the epochs, for the first ones would flatten all others; and what it must reach."""
    late = np.concatenate([np.asarray(v, float)[len(v) // 10 :] for v in panel.series.values()])
    values = [*late[np.isfinite(late)].tolist(), *(x for x in (panel.low, panel.high) if x is not None)] or [0.0, 1.0]
    low, high = min(values), max(values)
    room = 0.05 * max(high - low, 1e-3)
    return low - room, high + room


def _series(records: Records, part: str, scale: float = 1.0) -> Series:
    """The curves of one part of the records, by name; an epoch without a value is a gap."""
    names = dict.fromkeys(n for r in records for n, v in r.get(part, {}).items() if v is not None)
    gap = float("nan")
    return {n: [scale * v if (v := r.get(part, {}).get(n)) is not None else gap for r in records] for n in names}


def _bounds(records: Records) -> Panel:
    found = _series(records, "bound")
    if any(r.get("validation_bound") is not None for r in records):
        found["held out"] = [r.get("validation_bound", float("nan")) for r in records]
    return Panel("bound, nats a row", found)


def _errors(records: Records) -> Panel:
    rates = [{"error": {n: s["value"] for n, s in r["error"].items() if s["kind"] == "error"}} for r in records]
    found = _series(rates, "error", 100)
    highest = max((v for values in found.values() for v in values), default=0.0)
    return Panel("error on the labelled rows, %", found, 0.0, max(highest, 1.0))


def _sizes(records: Records) -> Panel:
    """Left out where every weight is constant: then it is the number of draws."""
    whole = _series(records, "ess")
    named = [(f"{name} known", values) for name, values in whole.items() if name != "none"]
    found = dict(named[: len(COLORS)])
    constant = all(abs(x - v[0]) < 1e-6 for v in found.values() for x in v)
    draws = max((v for values in whole.values() for v in values), default=1.0)
    return Panel("effective sample size", {} if constant else found, 1.0, draws)


def _divergences(records: Records) -> Panel:
    return Panel("KL of q to p, nats a row", _largest(_series(records, "kl")), 0.0)


def _largest(series: Series) -> Series:
    """As many curves as there are colours: those that are highest at the end; what is left out is in metrics.jsonl."""
    kept = sorted(series, key=lambda name: -np.nan_to_num(series[name][-1]))[: len(COLORS)]
    return {name: values for name, values in series.items() if name in kept}
