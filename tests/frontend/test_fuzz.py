"""Random programs: sentences of the grammar, and right programs with random edits; nothing but DiagnosticError comes out."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark

from sgdsl.base.diagnostics import Diagnostic, DiagnosticError
from sgdsl.base.render import render
from sgdsl.frontend.parse import grammar
from tests.frontend.reading import M2, read

SOURCES = [M2, *(p.read_text(encoding="utf-8") for p in sorted((Path(__file__).parents[2] / "models").glob("*.sgm")))]
WORDS = sorted({word for text in SOURCES for word in re.findall(r"\w+|[^\w\s]|\n", text)} | {
    "table", "learned", "concat", "sum", "for", "use", "auto", "partial", "gumbel", "score", ">>", "..", "0", "-1",
    "1e400", "count", "linear", "net", "let", "const", "é", "\0", '"', "Delta", "each",
})  # fmt: skip
CALM = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def survives(text: str) -> None:
    """A program is read, or refused by diagnostics that can be shown."""
    for found in diagnostics(text):
        assert re.fullmatch(r"[EW]0\d{3}", found.code)
        assert render(found, color=False)


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    """None for a right program, at least one for a wrong one."""
    try:
        read(text)
    except DiagnosticError as error:
        return error.diagnostics or (Diagnostic("", "refused without a reason"),)
    return ()


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A right program with one to five words deleted, doubled, replaced or put in."""
    words = re.findall(r"\w+|[^\w]", draw(st.sampled_from(SOURCES)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(words) - 1))
        word = draw(st.sampled_from(WORDS))
        words[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from([[], [word], [words[at]] * 2, [word, " "]]))
    return "".join(words)


@CALM
@given(edited())
def test_edited_programs(text: str) -> None:
    """Protects from tracebacks on the mistakes that people make."""
    survives(text)


SENTENCES = from_lark(Lark(grammar(), start="start"))


@CALM
@given(SENTENCES)
def test_sentences_of_the_grammar(text: str) -> None:
    """Protects from tracebacks on programs whose form is right and whose sense is not."""
    survives(text)


@CALM
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Protects from tracebacks on what was never a program."""
    survives(text)
