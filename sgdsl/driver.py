"""The compiler on one page: a .sgm file comes in, every stage up to readable PyTorch goes out. Never imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat
from typing import Literal

from sgdsl.backend import latex, origins, python, standalone
from sgdsl.base.diagnostics import Diagnostic, Sink
from sgdsl.base.source import Source
from sgdsl.frontend import check as frontend_check
from sgdsl.frontend import syntax
from sgdsl.frontend.lower import lower
from sgdsl.frontend.made import write_made
from sgdsl.frontend.parse import parse
from sgdsl.frontend.read import read_source
from sgdsl.middle import (
    checks,
    explain,
    explain_data,
    explain_text,
    faithful,
    graphs,
    ir,
    networks,
    optimise,
    plan,
    recognition,
    sides,
)

Stage = Literal["syntax", "ir", "graph", "plan", "python"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A model that is right: what `check`, `graph` and `explain` need. `notes`: warnings."""

    source: Source
    syntax: syntax.File
    model: ir.Model
    graphs: graphs.Graphs
    plan: plan.Plan
    notes: tuple[Diagnostic, ...]


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


def read(path: str | Path) -> Source:
    """The text of a .sgm file. Raises DiagnosticError (E01) where it is none."""
    return read_source(path)


def check(source: Source, overrides: Sequence[str] = ()) -> Checked:
    """parse, lower, invert, check, graph, plan (which chooses estimators: middle/estimators.py). `overrides`: "train.lr=1e-3", ….
    Raises DiagnosticError at the first phase that finds a mistake, with everything that phase found."""
    sink = Sink(source)
    tree = parse(source, sink)
    sink.barrier()
    draft = lower(tree, source, sink, overrides)
    sink.barrier()
    made = recognition.propose(draft.roles, draft.parents("p"), draft.parents("q"), draft.auto.after)
    draft = write_made(draft, made, sink)
    sink.barrier()
    model = frontend_check.check(draft, sink)
    sink.barrier()
    checks.check_graph(model, sink)
    sink.barrier()
    model = sides.complete(model, sink)
    sink.barrier()
    dags = graphs.build(model)
    step = optimise.optimise(model, dags, plan.plan(model, dags, sink))
    networks.check_norms(model, dags, sink)
    sink.barrier()
    return Checked(source, tree, model, dags, step, tuple(sink.found))


def remarks(checked: Checked) -> tuple[Diagnostic, ...]:
    """Notes on a right model that `sgdsl check` alone shows: independences that the written q assumes (N0501)."""
    return faithful.remarks(checked.model, checked.graphs)


def emit(checked: Checked) -> Program:
    """The emitted module of a right model."""
    text, lines = python.emit(checked.model, checked.graphs, checked.plan)
    return Program(checked, text, lines)


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
            edges = [(s, e) for s, g in (("p", checked.graphs.p), ("q", checked.graphs.q)) for e in g.edges]
            made = recognition.in_words(checked.model)
            return "\n".join([*(f"{side}: {parent} -> {child}" for side, (parent, child) in edges), *made]) + "\n"
        case "plan":
            return pformat(checked.plan, width=120) + "\n"
        case "python":
            return emit(checked).text
