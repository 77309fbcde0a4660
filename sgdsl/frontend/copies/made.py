"""References to copies come in; the lets that they become, one for each meaning, go out."""

from __future__ import annotations

from dataclasses import dataclass, field

from sgdsl.base.source import Span
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import unique
from sgdsl.middle import ir

Ranges = tuple[ir.Range, ...]
Meaning = tuple[object, ...]


@dataclass(slots=True)
class Made:
    """`fresh`: those made since they were last taken, to stand before the statement that reads them."""

    taken: set[str]
    known: dict[Meaning, str] = field(default_factory=dict)
    fresh: list[syntax.Let] = field(default_factory=list)

    def view(
        self, source: str, at: tuple[ir.Lag | int, ...], edges: dict[int, str], axes: Ranges, name: str, span: Span
    ) -> syntax.Name:
        refs = tuple((place, syntax.Name(edge, span)) for place, edge in sorted(edges.items()))
        value = syntax.View(syntax.Name(source, span), at, refs, span)
        return self._let(("view", source, at, tuple(edges.items()), axes), value, axes, name, span)

    def over(self, function: str, source: str, axes: Ranges, name: str, span: Span) -> syntax.Name:
        value = syntax.Over(function, syntax.Name(source, span), span)  # type: ignore[arg-type]
        return self._let(("over", function, source), value, axes, name, span)

    def place(self, range: ir.Range, span: Span) -> syntax.Name:
        return self._let(("place", range), syntax.Place(range, span), (range,), range.name, span)

    def mapped(self, value: syntax.Expr, axes: Ranges, name: str, span: Span) -> str:
        """`f(x[*])` inside `sum(f(x[*]))`: a let like one that is written."""
        found = unique(name, self.taken)
        self.fresh.append(syntax.Let(_head(found, axes, span), value, span))
        return found

    def take(self) -> list[syntax.Let]:
        fresh, self.fresh = self.fresh, []
        return fresh

    def _let(self, meaning: Meaning, value: syntax.Expr, axes: Ranges, name: str, span: Span) -> syntax.Name:
        if meaning not in self.known:
            self.known[meaning] = name if meaning[0] == "place" else unique(name, self.taken)
            self.fresh.append(syntax.Let(_head(self.known[meaning], axes, span), value, span, implicit=True))
        return syntax.Name(self.known[meaning], span)


def _head(name: str, axes: Ranges, span: Span) -> syntax.Name:
    return syntax.Name(name, span, tuple(syntax.Name(r.name, span) for r in axes))
