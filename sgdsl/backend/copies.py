"""Copies of loops in a step: lets that read other copies, or all of them, come in; where these stand, and values, go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sgdsl.backend.calls import runtime_family
from sgdsl.backend.writer import Writer, quoted, tuple_of
from sgdsl.middle import ir
from sgdsl.middle.chains import Reading
from sgdsl.middle.elimination import Message, Scope, is_upto
from sgdsl.middle.graphs import Graphs, carried
from sgdsl.middle.scopes import Scopes
from sgdsl.middle.turns import directions


def emit_loops(out: Writer, model: ir.Model, graphs: Graphs, scopes: Scopes, messages: Sequence[Message]) -> None:
    """RANGES, READINGS, VIEWS and OVERS, what batches need to know of loops; PIECES and CARRIED, what queries do."""
    if not model.axes:
        return
    out.raw("RANGES = {", 4)
    for name, found in scopes.ranges.items():
        count = model.axis(found.axis).count
        out.raw(f'"{name}": Copies({found.first}, {found.last}{f", {quoted(count)}" if count else ""}),', 8)
    out.raw("}", 4)
    _table(out, "READINGS", {r.name: _reading(r) for r in scopes.readings.values()})
    _table(out, "VIEWS", dict(_views(model, scopes)))
    _table(out, "OVERS", dict((*_overs(model, scopes), *_sums(model, scopes, messages))))
    _table(out, "PIECES", {"p": _pieces(model, "p"), "q": _pieces(model, "q")})
    _table(out, "CARRIED", {"p": _carried(model, graphs, "p"), "q": _carried(model, graphs, "q")})


def _table(out: Writer, name: str, rows: Mapping[str, str]) -> None:
    if rows:
        out.raw(f"{name} = {{", 4)
        for key, text in rows.items():
            out.statement(f"{quoted(key)}: {text},", 8)
        out.raw("}", 4)


def _scope(scope: Scope) -> str:
    return tuple_of(map(quoted, scope))


def _reading(reading: Reading) -> str:
    where = reading.range.name if reading.range else ""
    return f"Reading({quoted(reading.node)}, {quoted(where)}, {reading.offset})"


def _source(of: Scope, places: Mapping[str, tuple[str, int]], covers: Sequence[tuple[int, int]] = ()) -> str:
    shown = ", ".join(f"{quoted(k)}: ({quoted(r)}, {n})" for k, (r, n) in places.items())
    ends = f", {tuple_of(map(str, covers))}" if covers else ""
    return f"Source({_scope(of)}, {{{shown}}}{ends})"


def _place(at: ir.Lag | ir.Range | int) -> tuple[str, int]:
    match at:
        case ir.Lag():
            return at.range.name, at.offset
        case ir.Range():
            return at.name, 0
        case _:
            return "", at


def _views(model: ir.Model, scopes: Scopes) -> Iterator[tuple[str, str]]:
    """Lets at other places, pieces of a node's own copies, and nodes that are put together from pieces; of a chain, whose values
    a step lists for each reader, those of its labels and masks."""
    listed = scopes.readings
    plain = {name: tuple(n for n in scope if n not in listed) for name, scope in scopes.values.items()}
    scopes = replace(scopes, values=plain) if listed else scopes
    for let in model.lets:
        if isinstance(let.value, ir.View):
            yield let.name, _view(model, scopes, let, let.value)
    for factor in (*model.p, *model.q):
        if factor.piece:
            node = model.node(factor.node)
            places = {r.name: _place(at) for r, at in zip(node.axes, factor.place, strict=True)}
            source = _source(scopes[node.name], places)
            yield factor.id, f"View({_scope(scopes[factor.id])}, ({source},))"
    for node in model.nodes:
        for side in ("q", "p"):
            pieces = model.pieces("q" if side == "q" else "p", node.name)
            if len(pieces) > 1:
                yield node.name + " of p" * (side == "p"), _whole(scopes, node, pieces)


def _view(model: ir.Model, scopes: Scopes, let: ir.Let, view: ir.View) -> str:
    source = model.valued(view.source.name)
    places = {r.name: _place(at) for r, at in zip(source.axes, view.at, strict=True)}
    if not view.edges:
        return f"View({_scope(scopes[let.name])}, ({_source(scopes[source.name], places)},))"
    sources = [_source(scopes[source.name], places, [_ends(source.axes[-1])])]
    for place, edge in view.edges:
        outer = {r.name: places[r.name] for r in model.valued(edge.name).axes}
        sources.append(_source(scopes[edge.name], outer, [_ends(place)]))
    return f"View({_scope(scopes[let.name])}, {tuple_of(sources)}, ({_asked(_place(view.at[-1]))},))"


def _whole(scopes: Scopes, node: ir.Node, pieces: tuple[ir.Factor, ...]) -> str:
    """All copies of a node from its pieces, which differ in the places of some of its loops."""
    apart = [d for d in range(len(node.axes)) if len({_ends(piece.place[d]) for piece in pieces}) > 1]
    sources = []
    for piece in pieces:
        places = {
            own.name: (r.name, 0) for r, own in zip(node.axes, piece.place, strict=True) if isinstance(own, ir.Range)
        }
        sources.append(_source(scopes[piece.id], places, [_ends(piece.place[d]) for d in apart]))
    asked = tuple_of(_asked((node.axes[d].name, 0)) for d in apart)
    return f"View({_scope(scopes[node.name])}, {tuple_of(sources)}, {asked})"


def _ends(place: ir.Range | int) -> tuple[int, int]:
    return (place.first, place.last) if isinstance(place, ir.Range) else (place, place)


def _asked(place: tuple[str, int]) -> str:
    return f"({quoted(place[0])}, {place[1]})"


def _pieces(model: ir.Model, side: ir.Side) -> str:
    """Of each node its factors' ids, each with its family."""
    nodes = []
    for node in model.nodes:
        found = model.pieces(side, node.name)
        inner = ", ".join(f"{quoted(f.id)}: {quoted(runtime_family(f))}" for f in found)
        nodes += [f"{quoted(node.name)}: {{{inner}}}"] if found else []
    return f"{{{', '.join(nodes)}}}"


def _carried(model: ir.Model, graphs: Graphs, side: ir.Side) -> str:
    """The nodes whose copies need one another, in the order within a copy."""
    found = []
    for members in carried(model, graphs.lets, side):
        nodes = [n for n in graphs.order(side) if n in members]
        step = -1 if -1 in directions(model, side, members) else 1
        found += [f"Carried({tuple_of(map(quoted, nodes))}, {step})"] if nodes else []
    return tuple_of(found)


def _overs(model: ir.Model, scopes: Scopes) -> Iterator[tuple[str, str]]:
    for let in model.lets:
        if isinstance(let.value, ir.Over):
            source = model.valued(let.value.source.name)
            found = source.axes[-1]
            count = model.axis(found.axis).count
            behind = f", {quoted(count)}" if count else ""
            of, at = _scope(scopes[source.name]), _scope(scopes[let.name])
            yield let.name, f"Over({of}, {at}, {quoted(found.name)}{behind})"


def _sums(model: ir.Model, scopes: Scopes, messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Messages that add up the copies of a loop `1..k` for each k."""
    for made in messages:
        if made.over in scopes.ranges and is_upto(made):
            count = model.axis(scopes.ranges[made.over].axis).count or ""
            of, at = _scope(made.product.scope), _scope(made.scope)
            yield made.name, f"Over({of}, {at}, {quoted(made.over)}, {quoted(count)})"


def read_copies(let: ir.Let, values: Sequence[str], at: str) -> str:
    """The value of a let that reads other copies from the variables of what it reads; `at`: the variable of its level."""
    match let.value:
        case ir.View():
            return f"viewed(batch.views[{quoted(let.name)}], {', '.join(values)})"
        case ir.Over(function):
            return f"batch.overs[{quoted(let.name)}].{function}({values[0]})"
        case ir.Place(found):
            return f"{at}.copy[{quoted(found.name)}][None]"
    raise AssertionError(f"{let.name} reads no other copies")
