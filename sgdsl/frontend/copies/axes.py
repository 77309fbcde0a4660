"""Loops, and which indices meet which nodes and lets, come in; the axes and ranges of the model go out (E0420, E0422)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Span
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.places import At, Place, place
from sgdsl.frontend.copies.sites import For, Loops, Site
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.names import RESERVED
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Symbol:
    """A node or let with copies: its loops, and for a let those copies that are written alone, by their place."""

    name: str
    loops: Loops
    span: Span
    edges: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Axes:
    """`ranges`: of each loop, by its number; `alone`: of each copy of a loop `1..k` with a factor of its own, p(z[2]), that k
    does not always reach, by axis and place: it is there as the copies of other ranges are."""

    axes: tuple[ir.Axis, ...]
    ranges: Mapping[int, ir.Range]
    alone: Mapping[tuple[str, int], ir.Range]

    @property
    def every(self) -> dict[str, ir.Range]:
        """All ranges by name."""
        return {r.name: r for r in (*self.ranges.values(), *self.alone.values())}

    def of(self, loops: Iterable[For]) -> tuple[ir.Range, ...]:
        return tuple(self.ranges[f.number] for f in loops)


@dataclass(slots=True)
class _Classes:
    """Union-find over the numbers of loops."""

    parent: dict[int, int]

    def find(self, x: int) -> int:
        while self.parent[x] != x:
            x = self.parent[x]
        return x

    def unite(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        self.parent[max(a, b)] = min(a, b)


def read_axes(
    sites: Sequence[Site], symbols: Mapping[str, Symbol], consts: Constants, declared: Iterable[str], sink: Sink
) -> Axes:
    """The index of a loop and the positions of nodes and lets that it stands in are one axis."""
    loops = {f.number: f for s in sites for f in s.loops}
    classes = _Classes({n: n for n in loops})
    fixed: dict[int, set[int]] = {}
    for site in sites:
        for name in _heads(site.statement):
            symbol = symbols.get(name.text)
            for where, expr in zip(symbol.loops if symbol else (), name.index, strict=False):
                at = _silently(expr, site.loops, consts)
                if isinstance(at, At):
                    classes.unite(where.number, at.loop.number)
                elif isinstance(at, int) and isinstance(site.statement, syntax.Factor) and name is site.statement.node:
                    fixed.setdefault(where.number, set()).add(at)
    groups: dict[int, list[For]] = {}
    for number in sorted(loops):
        groups.setdefault(classes.find(number), []).append(loops[number])
    for symbol in symbols.values():
        _check_apart(symbol, classes, sink)
    return _named(list(groups.values()), fixed, {*declared, *RESERVED}, sink)


def _silently(expr: syntax.Expr, loops: Loops, consts: Constants) -> Place | None:
    """Mistakes in indices are reported where they are resolved."""
    try:
        return place(expr, loops, consts)
    except Refused:
        return None


def _check_apart(symbol: Symbol, classes: _Classes, sink: Sink) -> None:
    found = [classes.find(f.number) for f in symbol.loops]
    if len(set(found)) < len(found):
        report(sink, refusal("E0420", f"both loops of `{symbol.name}` run over the same copies", symbol.span, "one index twice",
                             hint="an index stands in one position of a name only"))  # fmt: skip


def _named(groups: list[list[For]], fixed: Mapping[int, set[int]], taken: set[str], sink: Sink) -> Axes:
    axes, ranges, alone = [], dict[int, ir.Range](), dict[tuple[str, int], ir.Range]()
    for group in groups:
        name = unique(group[0].index, taken)
        first, last = min(f.first for f in group), max(f.last for f in group)
        counted = next((f for f in group if f.count), group[0])
        other = next((f for f in group if f.count != counted.count), None)
        if other is not None:
            _two_ends(other, counted, sink)
        axes.append(ir.Axis(name, first, last, counted.count, group[0].head))
        places = {p for f in group for p in fixed.get(f.number, ()) if counted.count and counted.least < p <= last}
        found: dict[tuple[int, int], ir.Range] = {}
        for ends in [*((f.first, f.last) for f in group), *((p, p) for p in sorted(places))]:
            if ends not in found:
                text = (
                    name if ends == (first, last) else unique(f"{name}_{_ordinal(ends[0])}_{_ordinal(ends[1])}", taken)
                )
                found[ends] = ir.Range(text, name, *ends)
        ranges |= {f.number: found[f.first, f.last] for f in group}
        alone |= {(name, p): found[p, p] for p in places}
    return Axes(tuple(axes), ranges, alone)


def _ordinal(number: int) -> str:
    return str(number) if number >= 0 else f"m{-number}"


def _two_ends(loop: For, counted: For, sink: Sink) -> None:
    here = "to a number" if loop.count is None else f"to `{loop.count}`"
    report(sink, refusal("E0422", f"copies that meet run {here} here, and to `{counted.count}` in another loop", loop.head,
                         here, labels=[Label(counted.head, f"to `{counted.count}`")],
                         hint=f"let both loops run to `{counted.count}`"))  # fmt: skip


def unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind where it is taken; taken from now on."""
    found, n = name, 2
    while found in taken:
        found, n = f"{name}_{n}", n + 1
    taken.add(found)
    return found


def _heads(statement: syntax.Statement) -> Iterator[syntax.Name]:
    """Every name with an index in a statement, heads too."""
    match statement:
        case syntax.Var(_, name):
            yield name
        case syntax.Let(name, value):
            yield name
            yield from indexed(value)
        case syntax.Factor(_, node, given, value):
            yield node
            yield from given
            yield from indexed(value)
        case _:
            return


def indexed(expr: syntax.Expr) -> Iterator[syntax.Name]:
    """Every name in an expression, those in brackets behind others too."""
    match expr:
        case syntax.Name(_, _, index):
            yield expr
            for place_ in index:
                yield from indexed(place_)
        case syntax.Unary(arg, _):
            yield from indexed(arg)
        case syntax.Binary(_, left, right, _) | syntax.Pipe(left, right, _):
            yield from indexed(left)
            yield from indexed(right)
        case syntax.Items(items, _):
            for item in items:
                yield from indexed(item)
        case syntax.Item(value, weights, _):
            yield from indexed(value)
            for part in weights:
                yield from indexed(part)
        case syntax.Of(_, _, _, given, _):
            for one in given:
                yield from indexed(one.value)
        case syntax.Call(function, args, _):
            yield from indexed(function)
            for argument in args:
                yield from indexed(argument.value)
        case _:
            return
