"""Copies that need one another are computed place by place: a model comes in, which way they are and what one copy needs of its
own place go out; E0190 where they are not computed yet."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.middle import ir
from sgdsl.middle.graphs import Lets, carried, factor_reads, here, let_reads, within_copies
from sgdsl.middle.nesting import depths, innermost


def directions(model: ir.Model, side: ir.Side, members: frozenset[str]) -> set[int]:
    """Where copies of these nodes and lets read others of them: 1 where z[t] needs earlier ones, -1 where it needs later ones."""
    factors = model.p if side == "p" else model.q
    reads = [(f.place[-1], n) for f in factors if f.node in members and f.place for n in f.given]
    reads += [(h.axes[-1], n) for h in model.lets if h.axes and h.name in members for n in let_reads(h)]
    found = set()
    for place, name in reads:
        value = model.valued(name)
        if name in members and isinstance(value, ir.Let) and isinstance(value.value, ir.View):
            found |= _directions(place, value.value.at[-1])
    return found


def _directions(place: ir.Range | int, at: ir.Lag | int) -> set[int]:
    if isinstance(at, ir.Lag):
        return {1 if at.offset < 0 else -1} if at.offset else set()
    first, last = (place.first, place.last) if isinstance(place, ir.Range) else (place, place)
    return {d for d, reads in ((1, last > at), (-1, first < at)) if reads}


def reads(model: ir.Model, side: ir.Side, value: ir.Node | ir.Let) -> tuple[str, ...]:
    """What a let reads, or the factors of a node on a side."""
    if isinstance(value, ir.Let):
        return let_reads(value)
    return tuple(dict.fromkeys(n for f in model.pieces(side, value.name) for n in factor_reads(f)))


def near(model: ir.Model, side: ir.Side, value: ir.Node | ir.Let) -> Iterator[str]:
    """What one copy reads of its own place."""
    if isinstance(value, ir.Let):
        found = [here(model, value.axes, n) for n in let_reads(value)]
    else:
        found = [here(model, f.place, n) for f in model.pieces(side, value.name) for n in factor_reads(f)]
    return (n for n in found if n is not None)


def unordered(model: ir.Model, lets: Lets) -> Iterator[Diagnostic]:
    """Of each set of copies that need one another, why they cannot be computed place by place along one loop."""
    sides: tuple[tuple[ir.Side, tuple[ir.Factor, ...]], ...] = (("p", model.p), ("q", model.q))
    seen = set[frozenset[str]]()
    for side, factors in sides:
        ordered = within_copies(factors, model, lets).acyclic
        for members in carried(model, lets, side):
            values = [v for v in model.values if v.name in members and not is_view(v)]
            why, hint = _why(model, side, members, values, ordered)
            names = frozenset(v.name for v in values)
            if why and not any(names <= before for before in seen):
                seen.add(names)
                shown = ", ".join(f"`{v.name}`" for v in values)
                yield Diagnostic(
                    "E0190", f"copies of {shown} need one another {why}: that is planned, not here yet",
                    values[0].span, "planned", (), (), f"now: {hint}",
                )  # fmt: skip


def _why(
    model: ir.Model, side: ir.Side, members: frozenset[str], values: list[ir.Node | ir.Let], ordered: bool
) -> tuple[str, str]:
    outside = next((v for v in values if not v.axes), None)
    if outside is not None:
        return (
            f"through `{outside.name}` outside of the loop",
            f"declare `{outside.name}` in the loop, or read the copy itself",
        )
    views = [let.value for let in model.lets if let.name in members and isinstance(let.value, ir.View)]
    deep = depths(model)
    turned = any(deep[v.axes[-1].axis] < innermost(deep, v.axes) for v in values)
    if turned or any(_is_outer(model, view) for view in views):
        return "along an outer loop", "let the loop along which they do be the inner one, z[k, t] for z[t, k]"
    if not ordered:
        return "at one place", "let what reads one fixed copy stand in a loop that leaves this copy out"
    if len(directions(model, side, members)) > 1:
        return "in both directions", "let each copy read earlier copies alone, or later ones alone"
    return "", ""


def _is_outer(model: ir.Model, view: ir.View) -> bool:
    outer = model.valued(view.source.name).axes[:-1]
    return any(
        isinstance(at, int) or bool(at.offset) or at.range.axis != r.axis for at, r in zip(view.at, outer, strict=False)
    )


def is_view(value: ir.Node | ir.Let) -> bool:
    """Whether it is other copies of a node or let."""
    return isinstance(value, ir.Let) and isinstance(value.value, ir.View)
