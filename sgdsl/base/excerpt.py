"""A line of source and the marks on it come in; what a terminal shows goes out: text, underlines, words below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import category, combining, east_asian_width

TAB = 4
WIDEST = 120
BEFORE = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """Columns [start, end) of one line, from 0 in characters; `main`: carets, else dashes."""

    start: int
    end: int
    text: str
    main: bool

    @property
    def stroke(self) -> str:
        return "^" if self.main else "-"


def safe(text: str) -> str:
    """Text that cannot steer a terminal: control characters and changes of writing direction made visible."""
    return "".join(c if c == "\n" or not _steers(c) else "�" for c in text)


def _steers(character: str) -> bool:
    return category(character) == "Cc" or "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"


def width(text: str) -> int:
    """Columns that a terminal gives to text: two for wide characters, none for combining ones."""
    return sum(map(_cell, text))


def _cell(character: str) -> int:
    if combining(character) or category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def excerpt(line: str, marks: Iterable[Mark]) -> tuple[str, list[list[tuple[str, bool]]]]:
    """The line as shown, and the rows under it; a row is pieces (text, whether it belongs to a main mark)."""
    columns = _columns(line)
    placed = [_place(m, columns) for m in marks]
    first, shown = _window(line, columns, placed)
    shift = first - (1 if first else 0)  # the ellipsis in front takes a column
    last = width(shown) - 1 if shown.endswith("…") else columns[-1]
    moved = (_moved(m, shift, last) for m in placed)
    return shown, _rows(sorted(moved, key=lambda m: (m.start, m.main)))


def _moved(mark: Mark, shift: int, last: int) -> Mark:
    """A mark in columns of what is shown; one outside stands at the edge."""
    start = min(max(mark.start - shift, 0), last)
    return Mark(start, max(min(mark.end - shift, last + 1), start + 1), mark.text, mark.main)


def _columns(line: str) -> list[int]:
    """The column where each character starts, tabs expanded; and the one after the last."""
    columns = [0]
    for character in line:
        step = TAB - columns[-1] % TAB if character == "\t" else _cell(safe(character))
        columns.append(columns[-1] + step)
    return columns


def _place(mark: Mark, columns: Sequence[int]) -> Mark:
    """A mark in columns instead of characters, at least one column long."""
    start, end = (columns[min(place, len(columns) - 1)] for place in (mark.start, mark.end))
    return Mark(start, max(end, start + 1), mark.text, mark.main)


def _window(line: str, columns: Sequence[int], marks: Sequence[Mark]) -> tuple[int, str]:
    """The first column shown, and the text from there: all of a short line, a long one around its main mark."""
    cells = [" " * (columns[i + 1] - columns[i]) if c == "\t" else safe(c) for i, c in enumerate(line)]
    if columns[-1] <= WIDEST:
        return 0, "".join(cells).rstrip()
    wanted = next((m.start for m in marks if m.main), marks[0].start if marks else 0)
    first = 0 if wanted < WIDEST - BEFORE else wanted - BEFORE
    first = next(column for column in columns if column >= first)
    inside = [c for i, c in enumerate(cells) if first <= columns[i] and columns[i + 1] <= first + WIDEST]
    cut = columns[-1] > first + WIDEST
    return first, ("…" if first else "") + "".join(inside) + ("…" if cut else "")


def _rows(marks: Sequence[Mark]) -> list[list[tuple[str, bool]]]:
    """Underlines, the text of the last mark behind its own; then the others' texts, hung below from right to left."""
    length = max((m.end for m in marks), default=0)
    strokes = [(" ", False)] * length
    for mark in sorted(marks, key=lambda m: (m.main, m.start - m.end)):
        strokes[mark.start : mark.end] = [(mark.stroke, mark.main)] * (mark.end - mark.start)
    rows = [list(strokes)]
    waiting = [m for m in marks if m.text]
    if waiting and waiting[-1].end == length:
        behind = waiting.pop()
        rows[0].append((f" {behind.text}", behind.main))
    if waiting:
        rows.append(_pipes(waiting))
    while waiting:
        hung = waiting.pop()
        left = [m for m in waiting if m.start < hung.start]
        row = _pipes(left)
        row.append((" " * (hung.start - len(row)) + hung.text, hung.main))
        rows.append(row)
    return rows


def _pipes(marks: Sequence[Mark]) -> list[tuple[str, bool]]:
    """A vertical stroke under the start of each mark; one piece a column."""
    row = [(" ", False)] * (max((m.start for m in marks), default=-1) + 1)
    for mark in marks:
        row[mark.start] = ("|", mark.main)
    return row
