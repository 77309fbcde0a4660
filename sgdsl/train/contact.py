"""A contact sheet of a data set: rows come in, a PNG of some of its pictures, by class where there are classes, goes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array, Dataset, Field, Index, shuffled
from sgdsl.train.errors import data_error
from sgdsl.train.sheets import SMALLEST_SIDE, Sheet, draw_sheet

ACROSS, DOWN = 12, 8
MOST_CLASSES = 20  # with a line each


def contact_sheet(dataset: Dataset, path: Path) -> Path:
    """Twelve pictures of each class, or 96 of all, from a fixed seed. Raises DataError: E0635 where no field is a picture."""
    name, field = _pictures(dataset)
    label = next(((n, f) for n, f in dataset.fields.items() if _is_label(f)), None)
    order = shuffled(dataset.rows, 0)
    if label is None:
        lines = [order[i : i + ACROSS] for i in range(0, min(len(order), ACROSS * DOWN), ACROSS)]
        words: Sequence[str] = ()
    else:
        lines, words = _by_class(label[1], order)
    images = [[_shown(field.values[row]) for row in line] for line in lines]
    title = f"{name} of {dataset.source}"
    return draw_sheet(Sheet(title, f"{dataset.rows:,} rows", images, words, lines_name=label[0] if label else ""), path)


def _pictures(dataset: Dataset) -> tuple[str, Field]:
    for name, field in dataset.fields.items():
        if _is_picture(field.values.shape[1:]):
            return name, field
    shapes = ", ".join(f"`{n}` {list(f.values.shape[1:])}" for n, f in list(dataset.fields.items())[:5])
    raise data_error(
        "E0635",
        f"{dataset.source}: no field is a picture: {shapes}",
        hint="a picture is [h, w], [3, h, w] or [h, w, 3]",
    )


def _is_picture(shape: tuple[int, ...]) -> bool:
    sides = shape if len(shape) == 2 else shape[1:] if shape[:1] in ((1,), (3,)) else shape[:2]
    return len(shape) in (2, 3) and min(sides) >= SMALLEST_SIDE and (len(shape) == 2 or 3 in shape or 1 in shape)


def _is_label(field: Field) -> bool:
    """Whether its values are few classes, one a row."""
    values = field.values
    if values.ndim != 1:
        return False
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool(known.size and (known == np.rint(known)).all() and 2 <= len(np.unique(known)) <= MOST_CLASSES)


def _by_class(field: Field, order: Index) -> tuple[list[Index], list[str]]:
    """Rows of each class, and its name; at last those of none."""
    known = np.ones(len(order), bool) if field.known is None else field.known
    values = np.where(known, field.values, np.nan).astype(np.float64)
    there = np.unique(values[~np.isnan(values)])
    names = [field.classes[int(c)] if field.classes else f"{c:g}" for c in there]
    found = [(order[values[order] == c], name) for c, name in zip(there, names, strict=True)]
    found.append((order[np.isnan(values[order])], "unknown"))
    kept = [(rows[:ACROSS], name) for rows, name in found if len(rows)]
    return [rows for rows, _ in kept], [name for _, name in kept]


def _shown(image: Array) -> Array:
    """[3, h, w] in 0 … 1, grey levels as they are stored: light is light."""
    colours = image[None] if image.ndim == 2 else image if image.shape[0] in (1, 3) else np.moveaxis(image, 2, 0)
    scale = 255 if image.dtype == np.uint8 else 1
    return np.broadcast_to(colours, (3, *colours.shape[1:])).astype(np.float64) / scale
