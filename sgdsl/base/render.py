"""A diagnostic comes in; text for people, with carets, or a dictionary for programs goes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from sgdsl.base.diagnostics import Diagnostic, Severity
from sgdsl.base.excerpt import Mark, excerpt, safe
from sgdsl.base.source import Source, Span

FORMAT = 1
SHOWN = 4  # a span over more lines shows its first and its last

_BOLD, _BLUE, _RESET = "\x1b[1m", "\x1b[1;34m", "\x1b[0m"
_TINTS: Mapping[Severity, str] = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m"}


@dataclass(frozen=True, slots=True)
class _Ink:
    """Colours of one diagnostic; without colour every method gives the text back."""

    color: bool
    severity: Severity

    def main(self, text: str) -> str:
        return self._dye(text, _TINTS[self.severity])

    def frame(self, text: str) -> str:
        return self._dye(text, _BLUE)

    def bold(self, text: str) -> str:
        return self._dye(text, _BOLD)

    def _dye(self, text: str, tint: str) -> str:
        return f"{tint}{text}{_RESET}" if self.color and text.strip() else text


def render(diagnostic: Diagnostic, color: bool = False, source: Source | None = None) -> str:
    """The diagnostic as lines of text, without a last line break. `source`: where its spans are if it names none."""
    source = diagnostic.source or (source if diagnostic.span is not None else None)
    ink = _Ink(color, diagnostic.severity)
    title = f"{diagnostic.severity}[{diagnostic.code}]" if diagnostic.code else diagnostic.severity
    lines = [ink.main(title) + ink.bold(": " + safe(diagnostic.message))]
    marked = _marked(diagnostic, source)
    gutter = len(str(max(marked, default=1)))
    if source is not None:
        lines.append(f"{' ' * gutter}{ink.frame('-->')} {_where(source, diagnostic.span)}")
    bar = f"{' ' * gutter} {ink.frame('|')}"
    if source is not None and marked:
        lines += [bar, *_body(source, marked, gutter, ink)]
    after = [("note", n) for n in diagnostic.notes] + [("hint", diagnostic.hint)] * bool(diagnostic.hint)
    if after and marked:
        lines.append(bar)
    lines += [_remark(kind, text, gutter, ink) for kind, text in after]
    return "\n".join(line.rstrip() for line in lines)


def _where(source: Source, span: Span | None) -> str:
    name = safe(source.name)
    if span is None:
        return name
    line, column = source.position(_inside(span, source).start)
    return f"{name}:{line}:{column}"


def _inside(span: Span, source: Source) -> Span:
    """A span within the text, however it was made."""
    size = len(source.text)
    start = min(max(span.start, 0), size)
    return Span(start, min(max(span.end, start), size))


def _marked(diagnostic: Diagnostic, source: Source | None) -> dict[int, list[Mark]]:
    """The marks of each line that is shown, by line number."""
    if source is None or not source.text:
        return {}
    places = [(diagnostic.span, diagnostic.under, True)] if diagnostic.span is not None else []
    places += [(label.span, label.text, False) for label in diagnostic.labels]
    found: dict[int, list[Mark]] = {}
    for span, text, main in places:
        for line, mark in _cut(_inside(span, source), safe(text), main, source):
            found.setdefault(line, []).append(mark)
    return dict(sorted(found.items()))


def _cut(span: Span, text: str, main: bool, source: Source) -> Iterator[tuple[int, Mark]]:
    """A span as marks of single lines, its text at the last."""
    first, start = source.position(span.start)
    last, end = source.position(span.end)
    if end == 1 and last > first:  # the span ends with a line break
        last, end = last - 1, len(source.line(last - 1)) + 1
    lines = range(first, last + 1) if last - first < SHOWN else (first, last)
    for number in lines:
        line = source.line(number)
        begin = start - 1 if number == first else len(line) - len(line.lstrip())
        stop = end - 1 if number == last else len(line.rstrip())
        if stop > begin or number in (first, last):
            yield number, Mark(begin, stop, text if number == last else "", main)


def _body(source: Source, marked: Mapping[int, list[Mark]], gutter: int, ink: _Ink) -> Iterator[str]:
    """The marked lines with their numbers, and what stands below each."""
    far = {b for a, b in pairwise(marked) if b - a >= SHOWN and _spans(marked[a], marked[b])}
    for number, marks in marked.items():
        if number in far:
            yield ink.frame("...")
        shown, rows = excerpt(source.line(number), marks)
        yield f"{ink.frame(f'{number:>{gutter}} |')} {shown}"
        for row in rows:
            yield f"{' ' * gutter} {ink.frame('|')} {''.join(_pieces(row, ink))}"


def _spans(above: Iterable[Mark], below: Iterable[Mark]) -> bool:
    """Whether lines between two marked ones were left out of one span: the upper part of a cut mark has no text."""
    return any(not a.text and a.main == b.main for a in above for b in below)


def _pieces(row: Iterable[tuple[str, bool]], ink: _Ink) -> Iterator[str]:
    """A row's text, neighbours of one colour joined."""
    run, current = "", False
    for text, main in row:
        if main != current and run:
            yield (ink.main if current else ink.frame)(run)
            run = ""
        run, current = run + text, main
    yield (ink.main if current else ink.frame)(run)


def _remark(kind: str, text: str, gutter: int, ink: _Ink) -> str:
    head = f"{' ' * gutter} = "
    first, *more = safe(text).split("\n")
    indent = " " * (len(head) + len(kind) + 2)
    return "\n".join([f"{' ' * gutter} {ink.frame('=')} {ink.bold(kind)}: {first}", *(indent + line for line in more)])


# --- for programs ---------------------------------------------------------------------------------------------


def document(diagnostics: Iterable[Diagnostic], source: Source | None = None) -> dict[str, object]:
    """Diagnostics for programs: `format` rises when a field changes its meaning; lines and columns count from 1, an end
    is the first place after."""
    return {"format": FORMAT, "diagnostics": [as_dict(d, source) for d in diagnostics]}


def as_dict(diagnostic: Diagnostic, source: Source | None = None) -> dict[str, object]:
    """One diagnostic as plain values."""
    source = diagnostic.source or source
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": source.name if source else None,
        "span": _range(diagnostic.span, source),
        "under": diagnostic.under,
        "labels": [{"span": _range(label.span, source), "text": label.text} for label in diagnostic.labels],
        "notes": list(diagnostic.notes),
        "hint": diagnostic.hint,
    }


def _range(span: Span | None, source: Source | None) -> dict[str, int] | None:
    if span is None or source is None:
        return None
    inside = _inside(span, source)
    (line, column), (end_line, end_column) = source.position(inside.start), source.position(inside.end)
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
