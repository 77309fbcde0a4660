"""What an emitted model says of itself: facts of its nodes, levels and loops, for those who make batches and ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from sgdsl.runtime.chains import Reading
from sgdsl.runtime.grouping import Grouping
from sgdsl.runtime.levels import Copies
from sgdsl.runtime.places import Over, View

DUMMIES = {"positive": 1.0, "unit": 0.5}


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """Facts of a node that its data and queries need; families are the prefixes of runtime functions ("": none); `loops`: the
    ranges of its copies, from outside in."""

    role: str
    support: str
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    event: tuple[int, ...]
    family_p: str
    family_q: str
    estimator: str
    parents_p: tuple[str, ...]
    parents_q: tuple[str, ...]
    partial: bool = False
    loops: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """The number of values of one cell; 0 where not finite."""
        match self.support:
            case "binary":
                return 2
            case "class":
                return self.sizes[0]
            case "range":
                return self.sizes[1] - self.sizes[0] + 1
            case _:
                return 0

    @property
    def first(self) -> int:
        """The smallest value of a cell of a finite node."""
        return self.sizes[0] if self.support == "range" else 0

    @property
    def integer(self) -> bool:
        """Whether its values are int64 (a class's index, a bounded count)."""
        return self.support in ("class", "range")


class Emitted(Protocol):
    """The part of an emitted model that batches are made for."""

    NODES: ClassVar[Mapping[str, NodeInfo]]
    LEVELS: ClassVar[tuple[tuple[str, ...], ...]]
    ORDER_Q: ClassVar[tuple[str, ...]]
    GROUPS: ClassVar[Grouping | None]
    RANGES: ClassVar[Mapping[str, Copies]]
    VIEWS: ClassVar[Mapping[str, View]]
    OVERS: ClassVar[Mapping[str, Over]]
    READINGS: ClassVar[Mapping[str, Reading]]
    VARYING: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]]
