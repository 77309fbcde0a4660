"""Arithmetic of shapes: shapes come in, a shape goes out, or Misfit with the reason."""

from __future__ import annotations

from itertools import zip_longest

Shape = tuple[int, ...]


class Misfit(ValueError):
    """Shapes that do not go together; the message says why."""


def written(shape: Shape) -> str:
    """A shape in words: `a number`, `[3, 4]`."""
    return str(list(shape)) if shape else "a number"


def broadcast(*shapes: Shape) -> Shape:
    """The common shape, aligned at the right as numpy does it. Raises Misfit."""
    result: list[int] = []
    for sizes in zip_longest(*(s[::-1] for s in shapes), fillvalue=1):
        found = set(sizes) - {1}
        if len(found) > 1:
            raise Misfit(f"{' and '.join(written(s) for s in shapes)} do not broadcast")
        result.append(found.pop() if found else 1)
    return tuple(reversed(result))


def fits(shape: Shape, target: Shape) -> bool:
    """Whether a value of `shape` broadcasts to exactly `target`."""
    padded = (1,) * (len(target) - len(shape)) + shape
    return len(padded) == len(target) and all(a in (1, b) for a, b in zip(padded, target, strict=True))


def axis_of(axis: int, dims: int) -> int:
    """An axis counted from the front. Raises Misfit."""
    if not -dims <= axis < dims:
        raise Misfit(f"there is no axis {axis} among {dims}")
    return axis % dims
