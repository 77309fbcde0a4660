"""Sheets of pictures as figures: samples, analogies and traversals of a run come in, images with words beside them go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sgdsl.report.charts import Chart, Moved, draw, draw_moved
from sgdsl.report.decode import Decoder, Held
from sgdsl.report.frames import varying
from sgdsl.report.grids import REACH, Order, held_values, offsets_of, traversal
from sgdsl.report.markup import Markup, element, joined
from sgdsl.report.sprites import limits_of, sprite
from sgdsl.train.dataset import Array
from sgdsl.train.pictures import analogies_sheet, class_node, samples_sheet
from sgdsl.train.prepare import Prepared
from sgdsl.train.run import Run
from sgdsl.train.sheets import Sheet, is_map

STEPS = 9
MOST_CELLS = 8  # of a node
MOST_APART = 12  # cells that are drawn each for itself
ENDS = ((0, -REACH), (STEPS // 2, 0.0), (STEPS - 1, REACH))
MOST_BYTES = 250_000  # of the traversals of a node; beyond it one class is shown, and fewer cells
WIDEST = 52  # pixels of the page for an image


@dataclass(frozen=True, slots=True)
class Words:
    """What stands around a sheet: `title`, `alt` of the picture, names of lines and columns."""

    title: str
    alt: str
    lines: Sequence[str] = ()
    heads: Sequence[str] = ()


def figure(images: Array, columns: int, words: Words, limits: tuple[float, float] | None = None) -> Markup:
    """Images in rows of `columns`, as one picture."""
    made = sprite(images, columns, limits, gap=max(1, min(images.shape[-2:]) // 24))
    heads = element("div", *(element("span", h) for h in words.heads), class_="heads", aria_hidden="true")
    lines = element("div", *(element("span", x) for x in words.lines), class_="lines", aria_hidden="true")
    picture = element(
        "img", src=made.uri, alt=words.alt, width=made.width * columns, height=_height(made.height, images, columns)
    )
    grid = element("div", heads, lines, picture, class_="sheet", style=f"max-width:{columns * WIDEST + 60}px")
    return element("figure", element("figcaption", words.title) if words.title else None, grid)


def _height(tile: int, images: Array, columns: int) -> int:
    return int(tile * -(-len(images) // columns))


def of_sheet(sheet: Sheet, alt: str) -> Markup:
    """A sheet of train.pictures."""
    columns = len(sheet.images[0])
    heads = [h if i else element("b", h) for i, h in enumerate(sheet.heads)]
    title = sheet.title.partition(": ")[2]
    images = np.stack([np.asarray(image, float) for line in sheet.images for image in line])
    return figure(images, columns, Words(title[:1].upper() + title[1:], alt, sheet.lines, heads))


def samples(run: Run, ready: Prepared) -> list[Markup]:
    """Of each observed map: draws a class, and every class in the manner of held-out rows."""
    found = []
    label = class_node(run)
    for node in (n for n, i in run.module.NODES.items() if i.role == "observed" and is_map(i)):
        beside = f", a row for each {label}" if label else ""
        found.append(of_sheet(samples_sheet(run, ready, node), f"Samples of {node} from the model{beside}."))
        if label is not None and len(ready.dataset.test):
            words = f"On the left held-out rows; beside each the model's {node} for every {label}, all else kept."
            found.append(of_sheet(analogies_sheet(run, ready, node, label), words))
    return found


def traversals(decoder: Decoder, orders: Sequence[Order], label: str) -> list[Markup]:
    """Each node's strongest cells moved alone, for each class where that is cheap, else for the first."""
    return [_traversed(decoder, o, held_values(decoder, label), i) for i, o in enumerate(orders)]


def _traversed(decoder: Decoder, order: Order, held: Sequence[Held], number: int) -> Markup:
    cells = min(MOST_CELLS, len(order.cells))
    if order.size * cells * STEPS * len(held) > MOST_BYTES:
        held = held[:1]
        cells = min(cells, max(2, int(MOST_BYTES / (order.size * STEPS))))
    means = [traversal(decoder, each, order, cells, STEPS) for each in held]
    named = [decoder.cell_name(order.node, c) for c in order.cells[:cells]]
    parts = []
    for shown in decoder.shown:
        images = [m[shown] for m in means]
        limits = limits_of([i.reshape(-1, *i.shape[2:]) for i in images]) if is_map(decoder.nodes[shown]) else None
        for each, values in zip(held, images, strict=True):
            where = f" with {each.node} = {each.word}" if each.node else ""
            alt = f"Means of {shown} as each of {', '.join(named)} goes from −{REACH} to {REACH} deviations{where}."
            body = (
                _strips(values, named, alt, limits)
                if limits
                else _plots(values, named, shown, decoder.nodes[shown].support == "real")
            )
            parts.append(element("div", body, data_choice=str(each.value), hidden=each is not held[0]))
    chooser = _chooser(held, f"traversed-{number}")
    title = element("h3", f"Along {order.node}")
    return element("section", title, chooser, *parts, class_="choices")


def _strips(values: Array, named: Sequence[str], alt: str, limits: tuple[float, float]) -> Markup:
    heads = [f"{t:+g}".replace("-", "−") if t else "0" for t in offsets_of(STEPS)]
    heads = [h if i % 2 == 0 else "" for i, h in enumerate(heads)]
    return figure(values.reshape(-1, *values.shape[2:]), STEPS, Words("", alt, named, heads), limits)


def _plots(values: Array, named: Sequence[str], shown: str, ordered: bool) -> Markup:
    """A chart for each moved cell: the means of a node that is no picture at −2.5, 0 and 2.5 deviations. Many real numbers are
    drawn as lines, cell after cell; of others those that move most, each for itself."""
    flat = values.reshape(*values.shape[:2], -1).astype(float)
    low, high = min(0.0, float(flat.min())), float(flat.max())
    room = 0.04 * max(high - low, 1e-6)
    limits = (low - room, high + room)
    draw_one = _line_chart if ordered and flat.shape[-1] > MOST_APART else _move_chart
    return element("div", *(draw_one(m, n, shown, limits) for n, m in zip(named, flat, strict=True)), class_="plots")


def _line_chart(means: Array, name: str, shown: str, limits: tuple[float, float]) -> Markup:
    kept = varying(means)
    series = {f"{name} at {t:g}".replace("-", "−"): means[i][kept].tolist() for i, t in ENDS}
    return draw(Chart(f"{shown} along {name}", f"cell of {shown}", [float(c) for c in kept], series, *limits))


def _move_chart(means: Array, name: str, shown: str, limits: tuple[float, float]) -> Markup:
    most = np.sort(np.argsort(-np.ptp(means, axis=0), kind="stable")[:MOST_APART])
    at = [i for i, _ in ENDS]
    count = means.shape[1]
    moved = [
        Moved(cell_name(shown, c, count), (float(means[at[0], c]), float(means[at[1], c]), float(means[at[2], c])))
        for c in most.tolist()
    ]
    some = f", the {MOST_APART} of {count} cells that move most" if count > MOST_APART else ""
    ends = (f"{name} at −{REACH:g}", f"{name} at {REACH:g}")
    return draw_moved(f"{shown} along {name}{some}", moved, ends, *limits)


def cell_name(node: str, cell: int, cells: int) -> str:
    """z[3], or light where it has one cell."""
    return f"{node}[{cell}]" if cells > 1 else node


def _chooser(held: Sequence[Held], name: str) -> Markup | None:
    """A selector of class, where there are several."""
    if len(held) < 2:
        where = f"With {held[0].node} = {held[0].word}." if held[0].node else ""
        return element("p", where, class_="note") if where else None
    options = [element("option", h.word, value=str(h.value)) for h in held]
    label = element("label", f"{held[0].node} = ", for_=name)
    return element("p", joined((label, element("select", *options, id=name, class_="chooser"))), class_="script")
