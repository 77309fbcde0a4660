"""Charts as inline SVG: named series, or things that move, come in; figures with axes and a legend go out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from sgdsl.report.markup import Markup, element
from sgdsl.train.curves import Records, Series, limits, panels

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 30
NAMES, ROW = 70, 17  # room for names, height of a line, where things move
MOST_POINTS = 300
COLOURS = 6


@dataclass(frozen=True, slots=True)
class Chart:
    """`series` over `places`, values [places]; `low`, `high`: the range of the upward axis."""

    title: str
    across: str
    places: Sequence[float]
    series: Series
    low: float
    high: float


def curves(records: Records) -> list[Markup]:
    """What training recorded, a chart a panel: bounds, errors, effective sample sizes, divergences."""
    few = sorted({round(i) for i in np.linspace(0, len(records) - 1, MOST_POINTS)}) if records else []
    thinned = [records[i] for i in few]
    epochs = [float(r["epoch"]) for r in thinned]
    return [draw(Chart(p.title, "epoch", epochs, p.series, *limits(p))) for p in panels(thinned) if p.series]


def draw(chart: Chart) -> Markup:
    """A figure: its title, the picture, a legend."""
    names = list(chart.series)[:COLOURS]
    lines = [part for i, name in enumerate(names) for part in _line(chart, i, chart.series[name])]
    label = f"{chart.title}: {_spoken(chart, names)}"
    box = f"0 0 {WIDTH} {HEIGHT}"
    picture = element("svg", *_axes(chart), *lines, viewBox=box, role="img", aria_label=label, class_="chart")
    legend = [element("li", element("span", class_=f"swatch s{i}", aria_hidden="true"), n) for i, n in enumerate(names)]
    return element(
        "figure", element("figcaption", chart.title), picture, element("ul", *legend, class_="legend"), class_="plot"
    )


def _spoken(chart: Chart, names: Sequence[str]) -> str:
    """The first and last value of each series, for those who do not see the picture."""
    found = []
    for name in names:
        values = [v for v in chart.series[name] if math.isfinite(v)]
        found.append(f"{name} from {values[0]:.4g} to {values[-1]:.4g}" if values else f"{name} without values")
    return "; ".join(found)


def _x(chart: Chart, place: float) -> float:
    first, last = chart.places[0], chart.places[-1]
    share = (place - first) / (last - first) if last > first else 0.5
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(chart: Chart, value: float) -> float:
    share = (value - chart.low) / (chart.high - chart.low)
    return HEIGHT - BOTTOM - min(max(share, -0.02), 1.02) * (HEIGHT - TOP - BOTTOM)


def _axes(chart: Chart) -> list[Markup]:
    found = []
    for tick in MaxNLocator(nbins=4).tick_values(chart.low, chart.high):
        if chart.low <= tick <= chart.high:
            y = f"{_y(chart, tick):.1f}"
            found.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
            found.append(
                element("text", f"{tick:.6g}".replace("-", "−"), x=LEFT - 6, y=y, dy="0.35em", text_anchor="end")
            )
    for tick in MaxNLocator(nbins=5, integer=True).tick_values(chart.places[0], chart.places[-1]):
        if chart.places[0] <= tick <= chart.places[-1]:
            x = f"{_x(chart, tick):.1f}"
            found.append(element("text", f"{tick:g}", x=x, y=HEIGHT - BOTTOM + 14, text_anchor="middle"))
    found.append(element("text", chart.across, x=WIDTH - RIGHT, y=HEIGHT - 3, text_anchor="end", class_="axis"))
    return found


def _line(chart: Chart, index: int, values: Sequence[float]) -> list[Markup]:
    """A path, broken where there is no value; a dot where one value stands alone."""
    parts: list[list[str]] = [[]]
    for place, value in zip(chart.places, values, strict=True):
        if math.isfinite(value):
            parts[-1].append(f"{_x(chart, place):.1f},{_y(chart, value):.1f}")
        elif parts[-1]:
            parts.append([])
    lines = " ".join(f"M{'L'.join(part)}" for part in parts if len(part) > 1)
    dots = [part[0].split(",") for part in parts if len(part) == 1]
    found = [element("path", d=lines, class_=f"line s{index}")] if lines else []
    return found + [element("circle", cx=x, cy=y, r=2.5, class_=f"dot s{index}") for x, y in dots]


@dataclass(frozen=True, slots=True)
class Moved:
    """A thing that moves: its `name`, and its values at the low end, in the middle and at the high end."""

    name: str
    values: tuple[float, float, float]


def draw_moved(title: str, moved: Sequence[Moved], ends: tuple[str, str], low: float, high: float) -> Markup:
    """A line for each thing, from its value at the low end to that at the high end; the tick is its middle."""
    height = TOP + ROW * len(moved) + BOTTOM
    parts: list[Markup] = []
    for tick in MaxNLocator(nbins=4).tick_values(low, high):
        if low <= tick <= high:
            x = f"{_along(low, high, tick):.1f}"
            parts.append(element("line", x1=x, x2=x, y1=TOP, y2=height - BOTTOM, class_="grid"))
            parts.append(element("text", f"{tick:.6g}".replace("-", "−"), x=x, y=height - 14, text_anchor="middle"))
    for i, each in enumerate(moved):
        y = TOP + ROW * (i + 0.5)
        first, middle, last = (f"{_along(low, high, v):.1f}" for v in each.values)
        parts += [
            element("text", each.name, x=NAMES - 8, y=y, dy="0.35em", text_anchor="end"),
            element("line", x1=first, x2=last, y1=y, y2=y, class_="grid"),
            element("line", x1=middle, x2=middle, y1=y - 4, y2=y + 4, class_="middle"),
            element("circle", cx=first, cy=y, r=3.5, class_="dot s0"),
            element("circle", cx=last, cy=y, r=3.5, class_="dot s1"),
        ]
    said = "; ".join(f"{m.name} from {m.values[0]:.4g} to {m.values[2]:.4g}" for m in moved)
    box = f"0 0 {WIDTH} {height}"
    picture = element("svg", *parts, viewBox=box, role="img", aria_label=f"{title}: {said}", class_="chart")
    legend = [element("li", element("span", class_=f"swatch s{i}", aria_hidden="true"), e) for i, e in enumerate(ends)]
    return element(
        "figure", element("figcaption", title), picture, element("ul", *legend, class_="legend"), class_="plot"
    )


def _along(low: float, high: float, value: float) -> float:
    return NAMES + (value - low) / (high - low) * (WIDTH - NAMES - 12)
