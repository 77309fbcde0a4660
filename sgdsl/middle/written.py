"""Names as mathematics writes them: a model and one of its names come in, the name with its indices goes out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sgdsl.middle import ir


def place_text(at: ir.Lag | ir.Range | int) -> str:
    """The index of a copy: `t - 1`, `t`, `1`."""
    match at:
        case int():
            return str(at)
        case ir.Range():
            return at.axis
        case ir.Lag():
            sign = "-" if at.offset < 0 else "+"
            return f"{at.range.axis} {sign} {abs(at.offset)}" if at.offset else at.range.axis


def copy_text(name: str, places: Iterable[ir.Lag | ir.Range | int]) -> str:
    """`z[t - 1]`; the name alone without places."""
    index = ", ".join(map(place_text, places))
    return f"{name}[{index}]" if index else name


def written(model: ir.Model, name: str) -> str:
    """What a reader at a copy means by the name of a node or let: `z[t]`, `z[t - 1]`, `sum(shown[*])`."""
    valued = model.valued(name)
    if isinstance(valued, ir.Let):
        match valued.value:
            case ir.View(source, at):
                return copy_text(source.name, at)
            case ir.Place(r):
                return r.axis
            case ir.Over("stack", source) if name == f"stack({source.name}[*])":
                return f"{source.name}[*]"
            case ir.Over():
                return name
    return name if name.endswith(")") else copy_text(name, valued.axes)


def copy_of(factor: ir.Factor) -> str:
    """The node that a factor is of: `z[1]`, `z[t]`."""
    return copy_text(factor.node, factor.place)


def word(name: str) -> str:
    """A name as an identifier: `z[t - 1]` → z_before, `z[t + 1]` → z_after, `sum(shown[*])` → sum_shown, `m[0]` → m_0."""
    text = re.sub(r"\[\w+ \+ 1\]", "_after", re.sub(r"\[\w+ - 1\]", "_before", name))
    return re.sub(r"\W+", "_", text).strip("_") if text != name or not name.isidentifier() else name
