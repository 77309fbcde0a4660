"""A name with its index comes in; the place in each loop of what it names goes out (E0420, E0424)."""

from __future__ import annotations

from sgdsl.base.diagnostics import Label
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import Symbol
from sgdsl.frontend.copies.made import Ranges
from sgdsl.frontend.copies.places import ALL, At, Place, place
from sgdsl.frontend.copies.sites import Loops
from sgdsl.frontend.copies.text import text
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


def places_of(name: syntax.Name, symbol: Symbol, loops: Loops, consts: Constants) -> tuple[Place, ...]:
    """One for each loop. Raises Refused: E0420, E0424."""
    check_number(name, symbol)
    found = tuple(place(i, loops, consts) for i in name.index)
    seen = [p.loop.number for p in found if isinstance(p, At)]
    if len(set(seen)) < len(seen):
        raise refusal("E0420", f"one index stands twice in `{text(name)}`", name.span, "twice")
    depth = len(found) - sum(p == ALL for p in found)
    if any(p == ALL for p in found[:depth]):
        raise refusal("E0424", "`*` stands for the copies of the innermost loops", name.span, "not the innermost",
                      hint=f"the last index of `{name.text}` is that of its inner loop")  # fmt: skip
    return found


def check_number(name: syntax.Name, symbol: Symbol) -> None:
    """Raises Refused: E0420."""
    if len(name.index) != len(symbol.loops):
        wanted = ", ".join(f.index for f in symbol.loops)
        raise refusal("E0420", f"`{name.text}` has {_count(len(symbol.loops))}, not {len(name.index)}", name.span,
                      f"{len(name.index)} given", labels=[Label(symbol.span, "declared here")],
                      hint=f"write `{name.text}[{wanted}]`")  # fmt: skip


def title(name: syntax.Name, at: tuple[ir.Lag | int, ...], own: Ranges) -> str:
    """As written; a part of the copies by its ends, `z[2..20]`."""
    parts = []
    for written, where, whole in zip(name.index, at, own, strict=True):
        part = isinstance(where, ir.Lag) and not where.offset and where.range != whole
        parts.append(
            f"{where.range.first}..{where.range.last}" if isinstance(where, ir.Lag) and part else text(written)
        )
    return f"{name.text}[{', '.join(parts)}]"


def _count(n: int) -> str:
    return f"{n} {'index' if n == 1 else 'indices'}"
