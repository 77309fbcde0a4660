"""The first half of the compiler: a .sgm file comes in, a model that is right goes out, with its graphs and its plan.

Apart from the second half, driver.py, because `sgdsl check` needs no more and should start fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sgdsl.base.diagnostics import Diagnostic, DiagnosticError, Sink
from sgdsl.base.source import Source
from sgdsl.frontend import check as frontend_check
from sgdsl.frontend import syntax
from sgdsl.frontend.draft import Draft
from sgdsl.frontend.looped import write_loops
from sgdsl.frontend.lower import lower
from sgdsl.frontend.made import lacks, write_made
from sgdsl.frontend.parse import parse
from sgdsl.frontend.read import read_source, read_used
from sgdsl.frontend.report import Refused, report
from sgdsl.frontend.uses import options
from sgdsl.middle import checks, faithful, graphs, ir, looped, networks, optimise, plan, recognition, sides


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
    """parse, check the models it uses, lower, invert, check, graph, plan (which chooses estimators: middle/estimators.py).
    `overrides`: "train.lr=1e-3", …. Raises DiagnosticError at the first phase that finds a mistake, with everything that phase
    found; a mistake in a used model names its file."""
    return _check(source, overrides, ())


def _check(source: Source, overrides: Sequence[str], above: tuple[tuple[str, Source], ...]) -> Checked:
    """`above`: the models that use this one, outermost first, each with its name for the next."""
    sink = Sink(source)
    tree = parse(source, sink)
    sink.barrier()
    uses = _used_models(tree, source, sink, above)
    sink.barrier()
    draft = replace(lower(tree, source, sink, overrides), uses=uses)
    sink.barrier()
    if draft.axes and lacks(draft):
        draft = _made_through_loops(tree, draft, overrides, sink)
    else:
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


def _made_through_loops(tree: syntax.File, draft: Draft, overrides: Sequence[str], sink: Sink) -> Draft:
    """The draft of the file with the lines that q lacks in it."""
    aside = Sink(draft.source)
    model = frontend_check.check(draft, aside)
    aside.barrier()
    taken = (v.name for v in (*model.values, *model.nets, *model.uses, *model.axes))
    found = looped.propose(model, (*taken, *draft.consts), draft.auto.after)
    tree, lines, made = write_loops(tree, draft, found.lets, found.factors, found.refused, sink)
    sink.barrier()
    again = lower(tree, draft.source, aside, overrides)
    aside.barrier()
    return replace(again, uses=draft.uses, made=made, lines=lines)


def _used_models(
    tree: syntax.File, source: Source, sink: Sink, above: tuple[tuple[str, Source], ...]
) -> Mapping[str, ir.Use]:
    """The models of the `use` lines, by their names here. Adds E0109, E0220, E06."""
    found: dict[str, ir.Use] = {}
    for line in tree.statements:
        if isinstance(line, syntax.Use) and line.name.text not in found:
            try:
                found[line.name.text] = _used_model(line, source, above)
            except Refused as refused:
                report(sink, refused)
    return found


def _used_model(line: syntax.Use, source: Source, above: tuple[tuple[str, Source], ...]) -> ir.Use:
    """Raises Refused; DiagnosticError with the mistakes of the other file."""
    chosen, chain = options(line), (*above, (line.name.text, source))
    other = read_used(line.file, source, chain)
    try:
        checked = _check(other, (), chain)
    except DiagnosticError as error:
        raise DiagnosticError(_told_apart(d, other, line, source) for d in error.diagnostics) from None
    parents: dict[tuple[ir.Side, str], tuple[str, ...]] = {}
    for f in (*checked.model.p, *checked.model.q):
        before = parents.get((f.side, f.node), ())
        parents[f.side, f.node] = tuple(dict.fromkeys((*before, *_parents(checked, f))))
    return ir.Use(
        line.name.text, line.file.value, checked.model, parents, chosen.weights, chosen.frozen, line.name.span
    )


def _told_apart(found: Diagnostic, other: Source, line: syntax.Use, source: Source) -> Diagnostic:
    """A mistake in another file, with that file and who uses it."""
    if found.source is not None:
        return found
    number, _ = source.position(line.span.start)
    return replace(found, source=other, notes=(*found.notes, f"used by {source.name}, line {number}"))


def _parents(checked: Checked, factor: ir.Factor) -> tuple[str, ...]:
    """The nodes that a factor names or reads, lets contracted."""
    return checked.graphs.lets.contracted(dict.fromkeys((*factor.given, *graphs.factor_reads(factor))))


def remarks(checked: Checked) -> tuple[Diagnostic, ...]:
    """Notes on a right model that `sgdsl check` alone shows: independences that the written q assumes (N0501)."""
    return faithful.remarks(checked.model, checked.graphs)
