"""What q lacks in a model with loops comes in; the lines that say it, as a file would, and the tree with them in it go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import groupby
from typing import Any

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Source, Span
from sgdsl.catalog.families import FAMILIES, MADE
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.text import text
from sgdsl.frontend.draft import Draft
from sgdsl.frontend.made import FLAT, MAPS, NO_MAPS, SIDE
from sgdsl.frontend.parse import parse
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.middle import ir

FEATURE = 128  # numbers that stand for a copy, or for all that is later
Header = tuple[str, ...]
Line = tuple[Header, tuple[str, ...]]  # the loops around it, and its text with the reasons behind it


def write_loops(
    tree: syntax.File,
    draft: Draft,
    lets: Sequence[ir.Gathered],
    factors: Sequence[ir.Made],
    refused: Mapping[str, str],
    sink: Sink,
) -> tuple[syntax.File, tuple[str, ...], dict[str, ir.Made]]:
    """The tree, the lines that are new in it, and what each made factor was made of, by its text. They stand at the line
    `q auto` or at the end; their place in diagnostics is that line, or the declaration of a node. Adds E0428."""
    for name, why in refused.items():
        report(sink, _unsaid(draft, name, why))
    lines: list[Line] = [line for let in lets for line in _let_lines(let, draft)]
    made: dict[str, ir.Made] = {}
    for factor in factors:
        found = list(_prior_lines(tree, factor) if factor.prior else _lines(factor, draft))
        made |= {shown[0]: factor for _, shown in found}
        lines += found
    written = tuple(_written(lines))
    places = {name: draft.auto.span or node.span for name, node in draft.nodes.items()}
    return _with(tree, written, places, next((places[f.node] for f in factors), draft.model.span)), written, made


def _unsaid(draft: Draft, name: str, why: str) -> Refused:
    node = draft.nodes[name]
    labels = [Label(draft.auto.span, "to be made")] if draft.auto.span else []
    head = f"{name}[{', '.join(r.axis for r in node.axes)}]" if node.axes else name
    return refusal("E0428", f"the compiler cannot make q for `{name}`", node.span, "has no q line", labels=labels,
                   notes=[why], hint=f"write it, `q({head} | …) = …`, and name what it reads of others by lets")  # fmt: skip


# --- lines ----------------------------------------------------------------------------------------------------


def _let_lines(let: ir.Gathered, draft: Draft) -> Iterator[Line]:
    """`let later[t] = …`, with the copy that it starts from; its mean stands a loop further out."""
    index = [r.axis for r in let.axes]
    name, loops, reads = f"{let.name}{_index(index)}", _headers(let.axes, draft), ", ".join(let.reads)
    match let.kind:
        case "each":
            yield loops, (f"let {name} = {_feature(let.reads, draft)}({reads})",)
        case "mean" | "last":
            yield loops, (f"let {name} = {let.kind}({reads})",)
        case _:
            r, step = let.axes[-1], 1 if let.kind == "later" else -1
            start = r.last + 1 if step == 1 else r.first - 1
            before = f"{index[-1]} {'+' if step == 1 else '-'} 1"
            yield loops[:-1], (f"let {let.name}{_index([*index[:-1], str(start)])} = zeros({FEATURE})",)
            yield loops, (f"let {name} = gru({FEATURE})({reads}, {let.name}{_index([*index[:-1], before])})",)


def _lines(made: ir.Made, draft: Draft) -> Iterator[Line]:
    """A made factor."""
    node = draft.nodes[made.node]
    family = MADE[node.type.support]
    assert family in FAMILIES, f"{node.type} has a p, but no family for q"
    index = [str(p) if isinstance(p, int) else p.axis for p in made.place]
    head = ir.head("q", f"{made.node}{_index(index)}", made.given)
    reasons = (f"    # {given}: {why}" for given, why in zip(made.given, made.why, strict=True))
    loops = _headers((p for p in made.place if isinstance(p, ir.Range)), draft)
    yield loops, (f"{head} = {family}({_network(made, draft)})", *reasons)


def _prior_lines(tree: syntax.File, made: ir.Made) -> Iterator[Line]:
    """q is p: its lines, in loops like theirs."""
    for loops, factor in _factors(tree.statements, ()):
        if factor.side == "p" and factor.node.text == made.node:
            by = factor.text.rpartition(" by ")[0] if factor.by else factor.text
            yield loops, (f"q{by[1:]}", "    # as in p: no data and no label depend on it")


def _factors(statements: Iterable[syntax.Statement], loops: Header) -> Iterator[tuple[Header, syntax.Factor]]:
    for statement in statements:
        if isinstance(statement, syntax.Loop):
            header = f"for {statement.index.text} in {text(statement.low)}..{text(statement.high)} {{"
            yield from _factors(statement.body, (*loops, header))
        elif isinstance(statement, syntax.Factor):
            yield loops, statement


def _headers(ranges: Iterable[ir.Range], draft: Draft) -> Header:
    axes = {a.name: a for a in draft.axes}
    found = []
    for r in ranges:
        axis = axes[r.axis]
        last = axis.count if axis.count is not None and r.last == axis.last else r.last
        found.append(f"for {r.axis} in {r.first}..{last} {{")
    return tuple(found)


def _index(index: Sequence[str]) -> str:
    return f"[{', '.join(index)}]" if index else ""


def _feature(reads: Sequence[str], draft: Draft) -> str:
    """The network of one copy's feature."""
    return f"(conv(32, 64) >> mlp({FEATURE}))" if _has_map(reads, draft) else f"mlp({FEATURE})"


def _network(made: ir.Made, draft: Draft) -> str:
    """The network of a made factor: as `q auto` says, else by what it reads."""
    if not made.given:
        return "learned"
    if draft.auto.network is not None:
        return draft.auto.text
    stages = MAPS if _has_map(made.given, draft) else FLAT
    return " >> ".join(f"{name}({', '.join(map(str, sizes))})" for name, sizes in stages)


def _has_map(reads: Iterable[str], draft: Draft) -> bool:
    """Whether one conv can read all maps among single copies of nodes."""
    sides = set()
    for read in reads:
        name, _, index = read.partition("[")
        node = draft.nodes.get(name)
        single = node is not None and "*" not in index and bool(index) == bool(node.axes)
        if node is not None and single and len(node.type.event) == 3 and node.type.support not in NO_MAPS:
            sides.add(node.type.event[1:])
    return len(sides) == 1 and min(*sides.pop()) >= SIDE


# --- the text and the tree ------------------------------------------------------------------------------------


def _written(lines: Iterable[Line]) -> Iterator[str]:
    """Neighbours of the same loops share them."""
    for loops, group in groupby(lines, lambda line: line[0]):
        for depth, header in enumerate(loops):
            yield "    " * depth + header
        for _, shown in group:
            yield from ("    " * len(loops) + line for line in shown)
        for depth in reversed(range(len(loops))):
            yield "    " * depth + "}"


def _with(tree: syntax.File, lines: Sequence[str], places: Mapping[str, Span], place: Span) -> syntax.File:
    """The tree with lines, at the line `q auto` or at the end; factors at the `places` of their nodes, lets at the other."""
    if not lines:
        return tree
    source = Source("made", "\n".join(("model made", *lines, "")))
    sink = Sink(source)
    statements = [_moved(s, places, place) for s in parse(source, sink).statements]
    assert not sink.found, sink.found
    at = next((i for i, s in enumerate(tree.statements) if isinstance(s, syntax.Auto)), len(tree.statements))
    return replace(tree, statements=(*tree.statements[:at], *statements, *tree.statements[at:]))


def _moved(part: Any, places: Mapping[str, Span], place: Span) -> Any:
    """A part of a syntax tree, all of it at one place."""
    if isinstance(part, Span):
        return place
    if isinstance(part, tuple):
        return tuple(_moved(p, places, place) for p in part)
    if isinstance(part, syntax.Factor):
        place = places[part.node.text]
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{f.name: _moved(getattr(part, f.name), places, place) for f in fields(part) if f.init})
    return part
