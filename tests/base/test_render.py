"""Diagnostics as people and programs see them."""

from __future__ import annotations

import json
import re

import pytest

from sgdsl.base.diagnostics import Diagnostic, Label
from sgdsl.base.excerpt import WIDEST, width
from sgdsl.base.render import document, render
from sgdsl.base.source import Source, Span

TEXT = "model m\nlatent     z : real[50]\nq(z | x, y) = Poisson(mlp(500))\n"
SOURCE = Source("models/m.sgm", TEXT)


def span(words: str, text: str = TEXT) -> Span:
    start = text.index(words)
    return Span(start, start + len(words))


def shown(diagnostic: Diagnostic, text: str = TEXT) -> list[str]:
    """The lines below the arrow."""
    return render(diagnostic, source=Source("m.sgm", text)).split("\n")[2:]


def test_the_example_of_the_architecture() -> None:
    """The whole form: title, place, gutter, carets, dashes, hint."""
    label = Label(span("real[50]"), "declared here")
    found = Diagnostic(
        "E0302", "`z` draws counts", span("Poisson"), "draws counts", (label,), ("a\nb",), "try Normal", source=SOURCE
    )
    assert render(found) == "\n".join(
        [
            "error[E0302]: `z` draws counts",
            " --> models/m.sgm:3:15",
            "  |",
            "2 | latent     z : real[50]",
            "  |                -------- declared here",
            "3 | q(z | x, y) = Poisson(mlp(500))",
            "  |               ^^^^^^^ draws counts",
            "  |",
            "  = note: a",
            "          b",
            "  = hint: try Normal",
        ]
    )


def test_several_labels_of_one_line_hang_below_each_other() -> None:
    """No text is written over another."""
    labels = (Label(span("x, y"), "parents"), Label(span("mlp(500)"), "network"))
    assert shown(Diagnostic("E0302", "m", span("q(z"), "the factor", labels)) == [
        "  |",
        "3 | q(z | x, y) = Poisson(mlp(500))",
        "  | ^^^   ----            -------- network",
        "  | |     |",
        "  | |     parents",
        "  | the factor",
    ]


def test_a_span_of_several_lines() -> None:
    """Every line of a short one, the ends of a long one, its words at the end."""
    text = "".join(f"  line {i}\n" for i in range(12))
    short = shown(Diagnostic("E0101", "m", Span(text.index("line 1"), text.index("line 2") + 6), "both"), text)
    assert short == ["  |", "2 |   line 1", "  |   ^^^^^^", "3 |   line 2", "  |   ^^^^^^ both"]
    long = shown(Diagnostic("E0101", "m", Span(2, len(text)), "all"), text)
    assert long == ["   |", " 1 |   line 0", "   |   ^^^^^^", "...", "12 |   line 11", "   |   ^^^^^^^ all"]


def test_tabs_and_wide_characters_keep_carets_in_place() -> None:
    """Columns of the screen, not characters."""
    text = "\tp\t日本 = e\u0301x\n"
    lines = shown(Diagnostic("E0101", "m", span("日本", text), "", (Label(span("x", text), "here"),)), text)
    assert lines[1:] == ["1 |     p   日本 = e\u0301x", "  |         ^^^^    - here"]


@pytest.mark.parametrize("place", [0, 150, 200, 5000, 9999])
def test_a_long_line_is_cut_around_the_carets(place: int) -> None:
    """A line of 10,000 characters does not fill the screen, and its caret points at the right one."""
    text = "a" * place + "B" + "a" * (9999 - place)
    line, carets = shown(Diagnostic("E0101", "m", Span(place, place + 1), "bad"), text)[1:]
    assert width(line) <= WIDEST + 6
    assert line[carets.index("^")] == "B"


def test_places_at_the_edges() -> None:
    """A span may be empty, at the end of the text, beyond it, or a line break."""
    assert shown(Diagnostic("E0101", "m", Span(len(TEXT), len(TEXT))))[1:] == ["4 |", "  | ^"]
    assert shown(Diagnostic("E0101", "m", Span(10**6, 10**6 + 3)))[1:] == ["4 |", "  | ^"]
    assert shown(Diagnostic("E0101", "m", Span(7, 8), "no doc"))[1:] == ["1 | model m", "  |        ^ no doc"]
    assert render(Diagnostic("E0109", "cannot read", hint="look", source=Source("a.sgm", ""))).split("\n") == [
        "error[E0109]: cannot read",
        " --> a.sgm",
        "  = hint: look",
    ]


def test_text_cannot_steer_the_terminal() -> None:
    """Escape sequences and changes of direction in a file are shown, not obeyed."""
    text = "model \x1b[2J \u202e m\n"
    out = render(Diagnostic("E0105", "a \x1b[31m file", Span(6, 7)), source=Source("\x1b.sgm", text))
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_colour_changes_nothing_but_colour() -> None:
    """Taken away, the colours leave the plain text."""
    found = Diagnostic("W0401", "m", span("q(z"), "u", (Label(span("x, y"), "l"),), ("n",), "h", "warning")
    coloured = render(found, True, SOURCE)
    assert "\x1b[1;33m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(found, False, SOURCE)


def test_json_has_places_and_a_version() -> None:
    """What an editor needs, from 1, the end exclusive."""
    found = Diagnostic("E0302", "m", span("Poisson"), "u", (Label(span("real[50]"), "l"),), ("n",), "h", source=SOURCE)
    made = json.loads(json.dumps(document([found])))
    assert made["format"] == 1
    (entry,) = made["diagnostics"]
    assert entry["span"] == {"line": 3, "column": 15, "end_line": 3, "end_column": 22}
    assert entry["labels"] == [{"span": {"line": 2, "column": 16, "end_line": 2, "end_column": 24}, "text": "l"}]
    assert (entry["code"], entry["severity"], entry["file"], entry["hint"]) == ("E0302", "error", "models/m.sgm", "h")
