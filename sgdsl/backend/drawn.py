"""What a picture shows: a model comes in, its edges as written and the plates of its loops go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sgdsl.middle import ir
from sgdsl.middle.digraph import Digraph
from sgdsl.middle.graphs import Graphs, references
from sgdsl.middle.written import copy_of, copy_text, place_text, written


class Edge(NamedTuple):
    """`tail` → `head`; `label`: which other copy is read, "t − 1" or "1", "" for the reader's own."""

    tail: str
    head: str
    label: str = ""


def edges(model: ir.Model, side: ir.Side) -> dict[Edge, None]:
    """The edges of a side as written: what each factor names, and what the lets among that read. Ordered, once each."""
    found: dict[Edge, None] = {}
    lets = {let.name: let for let in model.lets}
    for factor in model.p if side == "p" else model.q:
        todo = [(name, factor.node) for name in factor.given]
        seen = set()
        while todo:
            name, reader = todo.pop(0)
            for tail, label in _seen(name, lets):
                found[Edge(tail, reader, label)] = None
                if tail in lets and tail not in seen:
                    seen.add(tail)
                    todo += [(ref.name, tail) for ref in references(lets[tail].value)]
    return found


def is_implicit(let: ir.Let) -> bool:
    """Whether no statement makes it: other copies of a node, or all of them."""
    return isinstance(let.value, ir.View | ir.Over | ir.Place) or "(" in let.name


def _seen(name: str, lets: dict[str, ir.Let], label: str = "") -> Iterator[tuple[str, str]]:
    """The nodes and written lets behind a name, with the place of the copy that is read."""
    let = lets.get(name)
    if let is None or not is_implicit(let):
        yield name, label
    elif isinstance(let.value, ir.View):
        yield from _seen(let.value.source.name, lets, _places(let.value.at))
        for _, edge in let.value.edges:
            yield from _seen(edge.name, lets)
    else:
        for ref in references(let.value):
            yield from _seen(ref.name, lets, label)


def _places(at: Iterable[ir.Lag | int]) -> str:
    """`t − 1`; "" for the reader's own copy."""
    at = tuple(at)
    if all(isinstance(place, ir.Lag) and not place.offset for place in at):
        return ""
    return ", ".join(place_text(place).replace("-", "−") for place in at)


def plates(model: ir.Model, names: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """The names that stand inside each nest of loops, () for those outside; every nest before those inside it."""
    found: dict[tuple[str, ...], list[str]] = {(): []}
    for name in names:
        path = tuple(r.axis for r in model.valued(name).axes)
        for depth in range(len(path)):
            found.setdefault(path[: depth + 1], [])
        found[path].append(name)
    return found


def range_text(model: ir.Model, axis: str) -> str:
    """i = 1..k."""
    found = model.axis(axis)
    return f"{axis} = {found.first}..{found.count or found.last}"


def edges_in_words(model: ir.Model, graphs: Graphs) -> Iterator[str]:
    """`p: z -> x`, lets contracted; edges to later copies as `p: z[t - 1] -> z[t]`, which the graphs leave out."""
    sides: tuple[tuple[ir.Side, Digraph], ...] = (("p", graphs.p), ("q", graphs.q))
    for side, graph in sides:
        yield from (f"{side}: {_copy(model, tail)} -> {_copy(model, head)}" for tail, head in graph.edges)
        for factor in model.p if side == "p" else model.q:
            for name in factor.given:
                for node in graphs.lets.contracted([name]):
                    if not graph.has_edge(node, factor.node):
                        yield f"{side}: {written(model, name)} -> {copy_of(factor)}"


def _copy(model: ir.Model, node: str) -> str:
    return copy_text(node, model.node(node).axes)
