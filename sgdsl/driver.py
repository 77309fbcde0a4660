"""The compiler on one page: a right model (checked.py) comes in, every stage up to readable PyTorch goes out. Never imports
torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pprint import pformat
from typing import Literal

from sgdsl.backend import drawn, latex, origins, python, standalone
from sgdsl.backend.names import name_all
from sgdsl.backend.runtime_names import names_of
from sgdsl.base.diagnostics import Diagnostic
from sgdsl.base.source import Source
from sgdsl.checked import Checked as Checked
from sgdsl.checked import check as check
from sgdsl.checked import read as read
from sgdsl.checked import remarks as remarks
from sgdsl.middle import explain, explain_data, explain_text, recognition
from sgdsl.middle import ir as ir

Stage = Literal["syntax", "ir", "graph", "plan", "python"]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled model: `text` is Python that needs sgdsl.runtime; `lines[i]` the .sgm line of its line i + 1, 0: none."""

    checked: Checked
    text: str
    lines: tuple[int, ...]

    @property
    def model(self) -> ir.Model:
        return self.checked.model

    @property
    def source(self) -> Source:
        return self.checked.source

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        return self.checked.notes


def emit(checked: Checked) -> Program:
    """The emitted module of a right model."""
    text, lines = python.emit(checked.model, checked.graphs, checked.plan)
    return Program(checked, text, lines)


def modules(model: ir.Model) -> Mapping[str, str]:
    """The attribute of the emitted module that owns the weights of each net and let."""
    return name_all(model, names_of()).modules


def compile_source(source: Source, overrides: Sequence[str] = ()) -> Program:
    """All of it: text in, program out."""
    return emit(check(source, overrides))


def compile_alone(program: Program) -> str:
    """One Python file that needs torch alone: the emitted text with the used parts of the runtime in front."""
    return standalone.alone(program.text)


def page(checked: Checked) -> explain.Page:
    """How the model is trained and why: per pattern of labels the objective, the weights, the cost."""
    lines = origins.term_lines(checked.plan, emit(checked).text)
    return explain.explain(checked.model, checked.graphs, checked.plan, lines)


def explained(checked: Checked) -> str:
    """The page as text."""
    return explain_text.page_text(page(checked))


def explained_as_data(checked: Checked) -> dict[str, object]:
    """The page for programs: plain values."""
    return explain_data.page_data(page(checked))


def explained_in_latex(checked: Checked) -> str:
    """The objectives of the page, an align* a pattern of labels."""
    return latex.page_latex(page(checked))


def show(checked: Checked, stage: Stage) -> str:
    """A stage as text."""
    match stage:
        case "syntax":
            return pformat(checked.syntax, width=120) + "\n"
        case "ir":
            return pformat(checked.model, width=120) + "\n"
        case "graph":
            made = recognition.in_words(checked.model)
            return "\n".join([*drawn.edges_in_words(checked.model, checked.graphs), *made]) + "\n"
        case "plan":
            return pformat(checked.plan, width=120) + "\n"
        case "python":
            return emit(checked).text
