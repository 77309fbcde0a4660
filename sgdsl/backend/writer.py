"""Lines of Python in the layout of `ruff format` (120 columns): statements come in, text and its map to .sgm lines go out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

WIDTH = 120
OPEN, CLOSE = "([{", ")]}"
_BRACKETS = re.compile(r"[()\[\]{}]")
_ASSIGNMENT = re.compile(r"[()\[\]{}]| = ")
_MARKS = re.compile(r"""[()\[\]{}"']|, | \+ | - """)


@dataclass(slots=True)
class Writer:
    """Collects lines. `at`: the .sgm line that the next lines come from, 0 for none."""

    lines: list[str] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    at: int = 0

    def raw(self, text: str = "", indent: int = 0) -> None:
        """Text as it is; empty for a blank line."""
        for line in text.split("\n"):
            self.lines.append(" " * indent + line if line else "")
            self.origins.append(self.at)

    def statement(self, text: str, indent: int) -> None:
        """A statement on one line, broken at its brackets or operators when it is too long."""
        for line in broken(text, indent):
            self.raw(line)

    def definition(self, text: str, tail: str, indent: int) -> None:
        """`def f(…)` and what stands behind its brackets."""
        for line in broken(text, indent, tail):
            self.raw(line)

    def take(self, other: Writer) -> None:
        """The lines of another one behind these."""
        self.lines += other.lines
        self.origins += other.origins

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def broken(text: str, indent: int, tail: str = "") -> list[str]:
    """The lines of one statement or argument: whole if it fits, else its sum one term a line, else its last bracket opened."""
    if indent + len(text) + len(tail) <= WIDTH:
        return [" " * indent + text + tail]
    head, value = _assigned(text)
    items = _split(value, (", ",))
    if head and len(items) > 1:
        body = [line for item in items for line in broken(item, indent + 4, ",")]
        return [" " * indent + head + "(", *body, " " * indent + ")" + tail]
    terms = _split(value, (" + ", " - "))
    if head and len(terms) > 1:
        body = [line for term in terms for line in broken(term, indent + 4)]
        return [" " * indent + head + "(", *body, " " * indent + ")" + tail]
    if len(terms) > 1:  # inside brackets
        lines = [line for term in terms for line in broken(term, indent)]
        return [*lines[:-1], lines[-1] + tail]
    start = _last_bracket(text)
    if start < 0:
        return [" " * indent + text + tail]
    inner = text[start + 1 : -1]
    first, last = " " * indent + text[: start + 1], " " * indent + text[-1] + tail
    items = _split(inner, (", ",))
    if indent + 4 + len(inner) <= WIDTH and not inner.endswith(","):
        return [first, " " * (indent + 4) + inner, last]
    several = len(items) > 1 or inner.endswith(",")
    comma = "," if several or text[start] != "(" or _is_call(text, start) else ""
    body = [line for item in items for line in broken(item.removesuffix(",").strip(), indent + 4, comma)]
    return [first, *body, last]


def _is_call(text: str, start: int) -> bool:
    """Whether a bracket holds arguments, not one expression."""
    return start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_)]")


def _assigned(text: str) -> tuple[str, str]:
    """`x = …` or `return …` as its head and value; ("", text) for an expression."""
    depth = 0
    for mark in _ASSIGNMENT.finditer(text):
        if mark.group() == " = ":
            if depth == 0:
                return text[: mark.end()], text[mark.end() :]
        else:
            depth += 1 if mark.group() in OPEN else -1
    return ("return ", text[7:]) if text.startswith("return ") else ("", text)


def _split(text: str, marks: tuple[str, ...]) -> list[str]:
    """At every mark outside brackets and strings; a term keeps the operator before it, an item loses its comma."""
    parts, depth, start, quoted = [], 0, 0, ""
    for mark in _MARKS.finditer(text):
        found = mark.group()
        if found in "\"'":
            if not quoted:
                quoted = found
            elif found == quoted and text[mark.start() - 1] != "\\":
                quoted = ""
        elif not quoted and found in OPEN:
            depth += 1
        elif not quoted and found in CLOSE:
            depth -= 1
        elif not quoted and depth == 0 and found in marks:
            parts.append(text[start : mark.start()])
            start = mark.start() + (2 if found == ", " else 1)
    return [p.strip() for p in [*parts, text[start:]] if p.strip()]


def _last_bracket(text: str) -> int:
    """Where the bracket opens that the text's last character closes; -1 if it closes none."""
    if not text or text[-1] not in CLOSE:
        return -1
    depth = 0
    for mark in reversed(list(_BRACKETS.finditer(text))):
        depth += 1 if mark.group() in CLOSE else -1
        if depth == 0:
            return mark.start()
    return -1


def tuple_of(items: Iterable[str]) -> str:
    """Texts as a tuple."""
    found = list(items)
    return f"({found[0]},)" if len(found) == 1 else f"({', '.join(found)})"


def quoted(text: str) -> str:
    """A name as a string."""
    return f'"{text}"'
