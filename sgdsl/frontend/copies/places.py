"""What stands in brackets behind a name comes in; the places that it means go out (E0420)."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.frontend import syntax
from sgdsl.frontend.constants import folded
from sgdsl.frontend.copies.sites import For, Loops
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import did_you_mean, refusal

FURTHEST = 2


@dataclass(frozen=True, slots=True)
class All:
    """`*`"""


@dataclass(frozen=True, slots=True)
class At:
    """`t`, `t - 1`: the loop whose index it is, and how far from its copy."""

    loop: For
    offset: int


Place = All | At | int
ALL = All()


def is_star(expr: syntax.Expr) -> bool:
    return isinstance(expr, syntax.Name) and expr.text == "*"


def place(expr: syntax.Expr, loops: Loops, consts: Constants) -> Place:
    """Raises Refused: E0420 for what is neither an index, nor a number, nor `*`; E0426 for what is too far away."""
    if is_star(expr):
        return ALL
    number = folded(expr, consts)
    if number is not None:
        if number != int(number):
            raise refusal("E0420", f"a copy has a whole number, not {number:g}", expr.span, "not whole")
        return int(number)
    found = _moved(expr, loops, consts)
    if found is None:
        names = [f.index for f in loops]
        hint = f"an index here is {' or '.join(f'`{n}`' for n in names)}, with or without `+ 1`, `- 1`, or a number, or `*`"
        word = expr.text if isinstance(expr, syntax.Name) and not expr.index else ""
        outside = "outside of loops a copy is a number, or all: `[*]`"
        raise refusal("E0420", f"there is no index `{word}` here" if word else "this is no index", expr.span, "no index",
                      hint=did_you_mean(word, names, hint) if names else outside)  # fmt: skip
    if abs(found.offset) > FURTHEST:
        raise refusal("E0426", f"a copy reads others at most {FURTHEST} places away, not {abs(found.offset)}", expr.span,
                      "too far", hint="carry it along in a let: `let m[t] = …` of `m[t - 1]`")  # fmt: skip
    return found


def _moved(expr: syntax.Expr, loops: Loops, consts: Constants) -> At | None:
    """`t`, `t + c`, `c + t`, `t - c`."""
    match expr:
        case syntax.Name(name, _, ()):
            return next((At(f, 0) for f in loops if f.index == name), None)
        case syntax.Binary("add" | "sub" as op, left, right, _):
            for index, number in ((left, right), (right, left)) if op == "add" else ((left, right),):
                at, by = _moved(index, loops, consts), folded(number, consts)
                if at is not None and by is not None and by == int(by):
                    return At(at.loop, at.offset + (int(by) if op == "add" else -int(by)))
            return None
        case _:
            return None
