"""Copies of loops `1..k` that may not be there: a model comes in, what reads one of them goes out (E0421, E0190)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.base.source import Span
from sgdsl.middle import ir
from sgdsl.middle.graphs import let_reads

Place = Sequence[ir.Range | int]


def lifeless(model: ir.Model) -> Iterator[Diagnostic]:
    """A fixed copy beyond the least k, read by what is there without it; and copies ahead where k is no part of the data."""
    seen = set()
    for name, place, span in _reads(model):
        let = model.valued(name)
        if not isinstance(let, ir.Let) or not isinstance(let.value, ir.View):
            continue
        for at, own in zip(let.value.at, model.valued(let.value.source.name).axes, strict=True):
            count = model.axis(own.axis).count
            if count is None or (name, span) in seen:
                continue
            k = model.node(count)
            if isinstance(at, ir.Lag) and at.offset > 0 and k.role not in ("given", "observed"):
                seen.add((name, span))
                yield _ahead(name, k, span)
            if isinstance(at, int) and k.type.first < at <= own.last and not _reaches(place, own.axis, at):
                seen.add((name, span))
                yield _missing(name, k, at, span)


def _reads(model: ir.Model) -> Iterator[tuple[str, Place, Span]]:
    for factor in (*model.p, *model.q):
        spans = factor.given_spans or (factor.span,) * len(factor.given)
        yield from ((name, factor.place, span) for name, span in zip(factor.given, spans, strict=True))
    for let in model.lets:
        yield from ((name, let.axes, let.span) for name in let_reads(let))


def _reaches(place: Place, axis: str, at: int) -> bool:
    """Whether a reader stands in the same loop, at this copy or behind it: where it is there, the copy is."""
    return any(isinstance(p, ir.Range) and p.axis == axis and p.first >= at for p in place)


def _missing(name: str, k: ir.Node, at: int, span: Span) -> Diagnostic:
    few = f"`{k.name}` may be {k.type.first}"
    return Diagnostic(
        "E0421", f"`{name}` is not always there: {few}", span, f"not there where `{k.name}` is below {at}", (), (),
        f"take all copies together, `sum(…[*])` or `last(…[*])`; or declare `{k.name} : count({at}, …)`",
    )  # fmt: skip


def _ahead(name: str, k: ir.Node, span: Span) -> Diagnostic:
    return Diagnostic(
        "E0190", f"`{name}` looks ahead in a loop that ends at the {k.role} node `{k.name}`: that is planned, not here yet", span,
        "planned", (), (), f"now: let it run forwards; or declare `given {k.name}`",
    )  # fmt: skip
