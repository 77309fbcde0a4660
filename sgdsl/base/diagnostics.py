"""Diagnostics as data: passes add them to a sink, a barrier between phases raises them all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sgdsl.base.source import Source, Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Label:
    """A second place in the source, underlined with dashes, and what is there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake of the user, or one thing to be told. `span` None: it has no place in a file."""

    code: str
    message: str
    span: Span | None = None
    under: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = ""
    severity: Severity = "error"
    source: Source | None = None


class DiagnosticError(Exception):
    """Raised at a barrier; carries every diagnostic of the phase, ordered by place."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in self.diagnostics))


@dataclass(slots=True)
class Sink:
    """Collects diagnostics of one source."""

    source: Source | None = None
    found: list[Diagnostic] = field(default_factory=list)

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep a diagnostic, once for the same code and place."""
        if all(
            (d.code, d.span, d.source) != (diagnostic.code, diagnostic.span, diagnostic.source) or d.span is None
            for d in self.found
        ):
            self.found.append(diagnostic)

    def barrier(self) -> None:
        """Raise DiagnosticError if any error was added."""
        if any(d.severity == "error" for d in self.found):
            raise DiagnosticError(sorted(self.found, key=_place))


def _place(diagnostic: Diagnostic) -> int:
    return diagnostic.span.start if diagnostic.span else -1
