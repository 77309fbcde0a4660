"""What the checks of one file share: the draft, and the lets and nets whose shapes are known so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Span
from sgdsl.catalog.shapes import Shape, written
from sgdsl.frontend.draft import Draft, ranges_of
from sgdsl.frontend.report import Refused
from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Flow:
    """What runs between two parts of a network: a map [c, h, w] (or none) and `width` flat features beside it; where a gru
    or lstm is to come, `steps`: they are those of each step of a sequence, `state`: the width of a state that waits for it;
    `classes`: the number of values of each cell, where an embed is to come."""

    map: Shape | None
    width: int
    steps: bool = False
    state: int = 0
    classes: int = 0

    @property
    def flat(self) -> int:
        return (math.prod(self.map) if self.map is not None else 0) + self.width

    @property
    def shape(self) -> Shape:
        return self.map if self.map is not None and not self.width else (self.flat,)

    def __str__(self) -> str:
        if self.steps or self.state:
            return f"{self.width} features{' a step' if self.steps else f' and a state of {self.state}'}"
        beside = f" and {self.width} features" if self.width else ""
        return f"a map {written(self.map)}{beside}" if self.map is not None else f"{self.width} features"


@dataclass(frozen=True, slots=True)
class Use:
    """The first use of a net: what it reads there, its parts with that shape, what it gives."""

    input: Flow
    parts: tuple[ir.Part, ...]
    output: Flow
    span: Span


@dataclass(slots=True)
class Context:
    """`plain`: every net's parts before any shape is known; `uses`: nets in use; `lets`: those that are known."""

    draft: Draft
    sink: Sink
    plain: dict[str, tuple[ir.Part, ...]] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)
    lets: dict[str, ir.Let] = field(default_factory=dict)

    def is_value(self, name: str) -> bool:
        """Whether a name is a node or a let."""
        return name in self.draft.nodes or name in self.draft.lets

    def ref(self, name: str, span: Span) -> ir.Ref:
        """A node or let where it is read. Raises Refused, silently, for a let that was refused before."""
        if name in self.draft.nodes:
            kind = self.draft.nodes[name].type
            return ir.Ref(name, kind, kind.event, span)
        if name not in self.lets:
            raise Refused()
        return ir.Ref(name, self.lets[name].type, self.lets[name].value.shape, span)

    def axes_of(self, name: str) -> tuple[ir.Range, ...]:
        """The loops of a node or let."""
        node = self.draft.nodes.get(name)
        return node.axes if node else ranges_of(self.draft.lets[name].name, self.draft.ranges)

    def declared(self, name: str) -> tuple[Label, ...]:
        """The label of a node's or let's declaration."""
        if name in self.draft.nodes:
            node = self.draft.nodes[name]
            return (Label(node.span, f"{node.type}, declared here"),)
        if name in self.draft.lets:
            return (Label(self.draft.lets[name].name.span, "declared here"),)
        return ()
