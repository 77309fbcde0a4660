"""The first half of the compiler: a .sgm file comes in, a model that is right goes out, with its graphs and its plan.

Apart from the second half, driver.py, because `sgdsl check` needs no more and should start fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgdsl.base.diagnostics import Diagnostic, Sink
from sgdsl.base.source import Source
from sgdsl.frontend import check as frontend_check
from sgdsl.frontend import syntax
from sgdsl.frontend.lower import lower
from sgdsl.frontend.made import write_made
from sgdsl.frontend.parse import parse
from sgdsl.frontend.read import read_source
from sgdsl.middle import checks, faithful, graphs, ir, networks, optimise, plan, recognition, sides


@dataclass(frozen=True, slots=True)
class Checked:
    """A model that is right: what `check`, `graph` and `explain` need. `notes`: warnings."""

    source: Source
    syntax: syntax.File
    model: ir.Model
    graphs: graphs.Graphs
    plan: plan.Plan
    notes: tuple[Diagnostic, ...]


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
