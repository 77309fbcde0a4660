"""Copies: the number lines that loops run on, and places on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sgdsl.base.source import NOWHERE, Span


@dataclass(frozen=True, slots=True)
class Axis:
    """A number line that copies stand on, first … last, named after an index. Nodes and lets whose copies meet, one reading
    another under one index, share an axis. `count`: the node k of `for i in 1..k`, a count(a, last); None: the range is fixed.
    """

    name: str
    first: int
    last: int
    count: str | None = None
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def copies(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Range:
    """The places first … last of an axis. `name`: unique in the model, the axis's own where it is all of it, else such as
    `t_2_20`; it stands for the copies in scopes and levels."""

    name: str
    axis: str
    first: int
    last: int

    @property
    def copies(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Lag:
    """The place `offset` from each of `range`'s own: -1 for z[t - 1], 0 for z[t] in a loop over a part of z's copies."""

    range: Range
    offset: int = 0
