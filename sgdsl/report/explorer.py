"""The part of a page that is played with: grids of decoded means come in, sliders, a selector of class and canvases go out.

page.js redraws the canvases from the grids; nothing is computed in the browser but which image is shown.
"""

from __future__ import annotations

import json

from sgdsl.report.decode import Decoder
from sgdsl.report.frames import Frames, Numbers
from sgdsl.report.grids import REACH, Grid
from sgdsl.report.markup import Markup, element, joined
from sgdsl.report.sprites import Sprite

PICTURE = 236  # pixels of the page for the large image


def explorer(decoder: Decoder, made: list[Grid]) -> Markup:
    """Every grid as a view of its own, one of them shown."""
    options = [element("option", _name(decoder, g), value=str(i)) for i, g in enumerate(made)]
    chooser = element(
        "p",
        element("label", "Sliders over ", for_="view"),
        element("select", *options, id="view"),
        hidden=len(made) < 2,
    )
    total = sum(g.bytes for g in made) / 1000
    images = sum(g.count * len(g.frames) for g in made)
    cost = f"{len(made)} grids, {images:,} decoded means, {total:,.0f} kB in all." if len(made) > 1 else None
    return joined(
        (
            element("noscript", element("p", "The sliders need JavaScript; the traversals below do not.")),
            element("div", chooser, *(view(decoder, g, i) for i, g in enumerate(made)), class_="script explorer"),
            element("p", cost, class_="note") if cost else None,
        )
    )


def view(decoder: Decoder, grid: Grid, number: int) -> Markup:
    """One grid: the large images, a slider for each cell, a radio button with a small image for each class."""
    facts = {
        "offsets": list(grid.offsets),
        "down": len(grid.offsets) if len(grid.cells) > 1 else 1,
        "classes": grid.classes,
        "label": grid.label,
        "axes": [_cell(decoder, grid, c) for c in grid.cells],
    }
    stores = [_store(f, f"g{number}-{n}") for n, f in grid.frames.items()]
    large = [_canvas(n, f, f"g{number}-{n}", "large") for n, f in grid.frames.items()]
    sliders = [_slider(decoder, grid, number, i) for i in range(len(grid.cells))]
    controls = element("div", *sliders, _classes(grid, number) if grid.classes else None, class_="controls")
    stage = element("div", element("div", *large, class_="shown"), controls, class_="stage")
    cost = element("p", cost_of(grid), class_="note cost")
    return element(
        "div", *stores, stage, cost, id=f"view-{number}", class_="view", data_view=json.dumps(facts), hidden=number > 0
    )


def cost_of(grid: Grid) -> str:
    """What a grid costs, in images and kilobytes."""
    steps = " × ".join(str(len(grid.offsets)) for _ in grid.cells)
    classes = f" × {len(grid.classes)} values of {grid.label}" if grid.classes else ""
    parts = [_frames_in_words(n, f, grid.count) for n, f in grid.frames.items()]
    return f"This grid: {steps} steps{classes} = {' and '.join(parts)}, {grid.bytes / 1000:,.0f} kB."


def _frames_in_words(node: str, frames: Frames, count: int) -> str:
    if isinstance(frames, Numbers):
        some = f", the {len(frames.cells)} of {frames.of} cells that vary most" if len(frames.cells) < frames.of else ""
        return f"{count:,} means of {node} ({len(frames.cells)} numbers each{some})"
    return f"{count:,} images of {node} ({frames.width} × {frames.height})"


def _name(decoder: Decoder, grid: Grid) -> str:
    cells = " and ".join(_cell(decoder, grid, c) for c in grid.cells)
    return f"{cells}, for each {grid.label}" if grid.label else cells


def _cell(decoder: Decoder, grid: Grid, cell: int) -> str:
    return decoder.cell_name(grid.node, cell)


def _slider(decoder: Decoder, grid: Grid, number: int, axis: int) -> Markup:
    """A range over the steps, in the middle."""
    name, key = _cell(decoder, grid, grid.cells[axis]), f"slider-{number}-{axis}"
    middle = len(grid.offsets) // 2
    field = element(
        "input",
        type="range",
        id=key,
        min=0,
        max=len(grid.offsets) - 1,
        step=1,
        value=middle,
        data_axis=axis,
        aria_valuetext="0 standard deviations",
    )
    said = element("output", "0 sd", for_=key)
    ends = element("span", f"−{REACH:g} … {REACH:g} standard deviations of p", class_="note")
    return element("div", element("label", element("i", name), " ", said, for_=key), field, ends, class_="slider")


def _classes(grid: Grid, number: int) -> Markup:
    """Each class as it looks at the sliders' place."""
    frames = {n: f for n, f in grid.frames.items() if isinstance(f, Sprite)}
    buttons = []
    for i, value in enumerate(grid.classes):
        key = f"class-{number}-{i}"
        radio = element("input", type="radio", name=f"class-{number}", id=key, value=i, checked=i == 0)
        small = [_canvas(n, f, f"g{number}-{n}", "small", i) for n, f in list(frames.items())[:1]]
        buttons.append(element("label", radio, *small, element("span", value), for_=key))
    legend = element("legend", element("i", grid.label), " =")
    return element("fieldset", legend, element("div", *buttons, class_="classes"))


def _canvas(node: str, frames: Frames, source: str, kind: str, fixed: int | None = None) -> Markup:
    match frames:
        case Sprite():
            width, height, style = frames.width, frames.height, None
            if kind == "large":
                scale = PICTURE / max(width, height)
                style = f"width:{width * scale:.0f}px;height:{height * scale:.0f}px"
            what = "image"
        case Numbers():
            width, height, style, what = 520, PICTURE, None, "numbers"
    canvas = element(
        "canvas",
        width=width,
        height=height,
        style=style,
        class_=f"{kind} {what}",
        data_source=source,
        data_node=node,
        data_class=fixed,
        role="img" if kind == "large" else None,
        aria_hidden="true" if kind == "small" else None,
        aria_label=node if kind == "large" else None,
    )
    return element("figure", canvas, element("figcaption", element("i", node))) if kind == "large" else canvas


def _store(frames: Frames, name: str) -> Markup:
    """Where page.js finds the grid's images or numbers."""
    match frames:
        case Sprite():
            return element("img", hidden=True, alt="", src=frames.uri, id=name)
        case Numbers():
            facts = {"low": frames.low, "high": frames.high, "cells": list(frames.cells)}
            text = Markup(frames.text)  # base64: letters, digits, + / =
            return element("script", text, type="text/plain", id=name, data_facts=json.dumps(facts))
