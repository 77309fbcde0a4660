"""The pages of `sgdsl explain CODE`: files of pages/ come in, a title, a text, a wrong and a right program a code go out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PAGES = Path(__file__).parent / "pages"
_PAGE = re.compile(
    r"# (?P<title>.+)\n\n(?P<text>.+?)\n\n```wrong(?P<command>-command)?\n(?P<wrong>.+?)```\n\n"
    r"```right(?:-command)?\n(?P<right>.+?)```\n",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """`wrong` makes exactly this mistake, `right` does not. `command`: they are lines for a shell or for Python, since
    no program alone makes the mistake."""

    code: str
    title: str
    text: str
    wrong: str
    right: str
    command: bool = False


def _read(path: Path) -> ErrorPage:
    found = _PAGE.fullmatch(path.read_text(encoding="utf-8"))
    assert found is not None, f"{path} is no page"
    text = found.group("text").strip()
    return ErrorPage(
        path.stem,
        found.group("title"),
        text,
        found.group("wrong"),
        found.group("right"),
        found.group("command") is not None,
    )


ERRORS: dict[str, ErrorPage] = {path.stem: _read(path) for path in sorted(_PAGES.glob("*.md"))}
