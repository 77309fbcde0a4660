"""The type of a node: `support(sizes)[shape]` as a value, with what follows from it about tensors and inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Support = Literal["real", "positive", "unit", "binary", "class", "count", "range", "simplex", "angle", "direction"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Type:
    """`support(sizes)[shape]`. `count(a, b)` is the support "range" with sizes (a, b); class(k) has sizes (k,).
    `partial`: cells may be missing."""

    support: Support
    sizes: tuple[int, ...] = ()
    shape: Shape = ()
    partial: bool = False

    def __str__(self) -> str:
        name = "count" if self.support == "range" else self.support
        sizes = f"({', '.join(map(str, self.sizes))})" if self.sizes else ""
        return name + sizes + (str(list(self.shape)) if self.shape else "") + " partial" * self.partial

    @property
    def values(self) -> int | None:
        """How many values one cell may take; None where they are not finitely many."""
        match self.support:
            case "binary":
                return 2
            case "class":
                return self.sizes[0]
            case "range":
                return self.sizes[1] - self.sizes[0] + 1
            case _:
                return None

    @property
    def first(self) -> int:
        """The smallest value of a finite cell: a for count(a, b), else 0."""
        return self.sizes[0] if self.support == "range" else 0

    @property
    def cells(self) -> int:
        return math.prod(self.shape)

    @property
    def cardinality(self) -> int | None:
        """How many values the whole node may take, values ** cells; None where not finite."""
        return None if self.values is None else self.values**self.cells

    @property
    def event(self) -> Shape:
        """The shape of one value in a tensor: [] for a scalar; a class is stored as its index, not one-hot."""
        return self.shape + (self.sizes if self.support in ("simplex", "direction") else ())

    @property
    def one_hot(self) -> bool:
        """Whether a network reads it one-hot (a class, a count(a, b))."""
        return self.support in ("class", "range")

    @property
    def input_width(self) -> int:
        """Its width as a flattened input of a network, in its input form (language.md, 2), the mask of a partial node behind."""
        mask = self.cells if self.partial else 0
        if self.one_hot:
            return self.cells * (self.values or 0) + mask
        return math.prod(self.event) * (2 if self.support == "angle" else 1) + mask
