"""Text comes in; its statements as ranges of a flat text, without comments and bracketed newlines, go out.

Every offset of the flat text is the same offset of the source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Source, Span
from sgdsl.frontend.report import fatal, refusal, report
from sgdsl.frontend.syntax import Comment

DEEPEST = 100
_CLOSES = {")": "(", "]": "[", "}": "{"}
_EVENT = re.compile(r'"[^"\n]*"?|#[^\n]*|[()\[\]{}]|\n')
_NAME = r"[A-Za-z_]\w*"
_STARTS = re.compile(
    rf"[ \t]*(?:(?:given|observed|supervised|latent)[ \t]+{_NAME}[ \t]*:"
    rf"|(?:let|net|const|use)[ \t]+{_NAME}[ \t]*="
    rf"|[pq][ \t]+auto\b|[pq][ \t]*\([^=\n]*=|[pq][ \t]*\([^=\n]*\||(?:objective|train)[ \t]*\{{"
    rf"|(?:data|model)[ \t]+{_NAME}[ \t]*(?:[\"(#\n]|$)|for[ \t]+{_NAME}[ \t]+in\b)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement; `broken`: its brackets or strings are wrong, which was reported."""

    start: int
    end: int
    broken: bool


@dataclass(slots=True)
class Lines:
    """What the scanner has found so far."""

    source: Source
    sink: Sink
    flat: list[str] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    open: list[tuple[str, int]] = field(default_factory=list)
    start: int = 0
    copied: int = 0
    broken: bool = False

    def text(self) -> str:
        return "".join(self.flat)


def split(source: Source, sink: Sink) -> Lines:
    """The statements of a text. Adds E0102 (brackets) and E0103 (strings); raises DiagnosticError with E0107 beyond a
    nesting of 100."""
    lines = Lines(source, sink)
    for match in _EVENT.finditer(source.text):
        at, found = match.start(), match.group()
        match found[0]:
            case "\n":
                _newline(lines, at)
            case "#":
                lines.comments.append(Comment(found.rstrip(), Span(at, at + len(found.rstrip()))))
                _copy(lines, at, " " * len(found))
            case '"':
                _string(lines, at, found)
            case "(" | "[" | "{":
                _opened(lines, found, at)
            case _:
                _closed(lines, found, at)
    if lines.open:
        _unclosed(lines)
    _end(lines, len(source.text))
    _copy(lines, len(source.text), "")
    return lines


def _copy(lines: Lines, at: int, instead: str) -> None:
    """Bring the flat text to `at`, then `instead` in place of as many characters."""
    lines.flat.append(lines.source.text[lines.copied : at].replace("\r", " "))
    lines.flat.append(instead)
    lines.copied = at + len(instead)


def _end(lines: Lines, at: int) -> None:
    lines.pieces.append(Piece(lines.start, at, lines.broken))
    lines.start, lines.broken = at + 1, False


def _newline(lines: Lines, at: int) -> None:
    nested = len(lines.open) - _in_loop(lines)
    if nested > 0 and _STARTS.match(lines.source.text, at + 1):
        _unclosed(lines)
    if not lines.open:
        _end(lines, at)
    elif lines.open[-1][0] != "{":
        _copy(lines, at, " ")


def _in_loop(lines: Lines) -> int:
    """How many of the open brackets are the braces of loops, in which statements may stand."""
    if not re.match(r"\s*for\b", lines.source.text[lines.start : lines.start + 200]):
        return 0
    return next((i for i, (c, _) in enumerate(lines.open) if c != "{"), len(lines.open))


def _opened(lines: Lines, bracket: str, at: int) -> None:
    lines.open.append((bracket, at))
    if len(lines.open) > DEEPEST:
        message = f"brackets are nested deeper than {DEEPEST}"
        raise fatal("E0107", message, Span(at, at + 1), lines.source, "name the inner parts by `let` or `net`")


def _closed(lines: Lines, bracket: str, at: int) -> None:
    wanted = _CLOSES[bracket]
    here = Span(at, at + 1)
    if not lines.open:
        _report(lines, f"`{bracket}` closes nothing", here, "no bracket is open here")
    elif lines.open[-1][0] == wanted:
        lines.open.pop()
    elif any(c == wanted for c, _ in lines.open):
        top, place = lines.open[-1]
        label = Label(here, f"`{bracket}` stands where it should be closed")
        _report(lines, f"`{top}` is not closed", Span(place, place + 1), "opened here", label)
        while lines.open.pop()[0] != wanted:
            pass
    else:
        top, place = lines.open.pop()
        label = Label(Span(place, place + 1), "opened here")
        _report(lines, f"`{bracket}` closes `{top}`", here, f"should close `{top}`", label)


def _unclosed(lines: Lines) -> None:
    """The innermost open bracket is the mistake; the statement ends here."""
    keep = _in_loop(lines) if len(lines.open) > _in_loop(lines) else 0
    bracket, place = lines.open[-1]
    _report(lines, f"`{bracket}` is not closed", Span(place, place + 1), "opened here")
    del lines.open[keep:]


def _string(lines: Lines, at: int, found: str) -> None:
    if len(found) > 1 and found.endswith('"'):
        return
    if not lines.broken:
        lines.broken = True
        span = Span(at, at + len(found.rstrip()))
        hint = 'a string ends with `"` on the same line'
        report(lines.sink, refusal("E0103", "the string is not closed", span, "starts here", hint=hint))


def _report(lines: Lines, message: str, span: Span, under: str, *labels: Label) -> None:
    """One message about brackets a statement."""
    if not lines.broken:
        lines.broken = True
        report(lines.sink, refusal("E0102", message, span, under, labels=labels))
