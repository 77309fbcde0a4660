"""The table of functions in expressions: a row is a name, how many values it takes, and the shape it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from sgdsl.catalog.shapes import Misfit, Shape, axis_of, broadcast, written

Rule = Callable[[tuple[Shape, ...], int | None], Shape]


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """`rule` takes the arguments' shapes and the axis (None: not given). `domain` bounds a constant argument."""

    name: str
    rule: Rule
    least: int = 1
    most: int | None = 1
    axis: bool = False
    size: bool = False  # `size = [h, w]` must be given
    help: str = ""


def _same(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    return shapes[0]


def _all(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    return broadcast(*shapes)


def _reduced(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    """Every event dimension goes, or the one at `axis`."""
    if axis is None:
        return ()
    at = axis_of(axis, len(shapes[0]))
    return shapes[0][:at] + shapes[0][at + 1 :]


def _stacked(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    if len(set(shapes)) > 1:
        raise Misfit(f"the shapes differ: {', '.join(written(s) for s in shapes)}")
    return (len(shapes), *shapes[0])


def _concatenated(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    """Along `axis`, 0 by default; a number counts as [1]."""
    full = [s or (1,) for s in shapes]
    if len({len(s) for s in full}) > 1:
        raise Misfit(f"{', '.join(written(s) for s in shapes)} have different numbers of dimensions")
    at = axis_of(axis or 0, len(full[0]))
    if len({s[:at] + s[at + 1 :] for s in full}) > 1:
        raise Misfit(f"{', '.join(written(s) for s in shapes)} differ beside axis {at}")
    return (*full[0][:at], sum(s[at] for s in full), *full[0][at + 1 :])


def _dot(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    """The sum of products over the last dimension."""
    if not shapes[0] or not shapes[1] or shapes[0][-1] != shapes[1][-1]:
        raise Misfit(f"{written(shapes[0])} and {written(shapes[1])} have no last dimension in common")
    return broadcast(*shapes)[:-1]


def _zeros(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    raise AssertionError("the shape of zeros is written in its arguments")


def _placed(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    """A map and its place (a, u, v), (a, u, v, k) or (a, u, v, k, b); the shape's last two sizes are those of `size`."""
    image, at = shapes
    if len(image) != 3:
        raise Misfit(f"{written(image)} is no map [c, h, w]")
    if at not in ((3,), (4,), (5,)):
        raise Misfit(f"a place is (a, u, v), of shape [3], or (a, u, v, k, b), of [4] or [5], not {written(at)}")
    return image


def _reshaped(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    """One channel for every height × width of cells: here a cell is one of 1 × 1."""
    return (prod(shapes[0]), 1, 1)


def _centre(shapes: tuple[Shape, ...], axis: int | None) -> Shape:
    """Where the weight of a map lies, (u, v)."""
    if len(shapes[0]) != 3:
        raise Misfit(f"{written(shapes[0])} is no map [c, h, w]")
    return (2,)


_ELEMENTWISE = ("exp", "log", "sqrt", "abs", "sigmoid", "tanh", "softplus", "relu", "square", "sin", "cos")
_ROWS = (
    *(FunctionRow(name, _same, help=f"{name} of every cell") for name in _ELEMENTWISE),
    FunctionRow("clamp", _all, 3, 3, help="clamp(x, lo, hi): x kept between two bounds"),
    FunctionRow("sum", _reduced, axis=True, help="over all event dimensions, or `axis = …`"),
    FunctionRow("mean", _reduced, axis=True, help="over all event dimensions, or `axis = …`"),
    FunctionRow("max", _reduced, axis=True, help="over all event dimensions, or `axis = …`"),
    FunctionRow("last", _reduced, axis=True, help="the last cell, or the last along `axis = …`"),
    FunctionRow("stack", _stacked, 1, None, help="values of one shape, in a new first dimension"),
    FunctionRow("dot", _dot, 2, 2, help="the sum of products over the last dimension"),
    FunctionRow("concat", _concatenated, 1, None, axis=True, help="values one behind the other, along `axis` (0)"),
    FunctionRow("crop", _placed, 2, 2, size=True, help="crop(image, at, size = [h, w]): the patch at `at` = (a, u, v)"),
    FunctionRow(
        "paste", _placed, 2, 2, size=True, help="paste(patch, at, size = [h, w]): a canvas with the patch at `at`"
    ),
    FunctionRow("reshape", _reshaped, size=True, help="reshape(v, size = [h, w]): the cells of v as a map [c, h, w]"),
    FunctionRow(
        "centre", _centre, help="centre(map): the place (u, v) of the middle of its cells, weighed by their values"
    ),
    FunctionRow("zeros", _zeros, 1, None, help="zeros(n, …): zeros of that shape"),
)

FUNCTIONS: dict[str, FunctionRow] = {row.name: row for row in _ROWS}
