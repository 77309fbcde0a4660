"""A written type comes in, an ir.Type goes out; E0303 for sizes and shapes that cannot be, E0201 for no support."""

from __future__ import annotations

import math

from sgdsl.frontend import syntax
from sgdsl.frontend.constants import integer
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import did_you_mean, refusal
from sgdsl.middle import ir

MOST_CELLS = 10_000_000
MOST_VALUES = 1_000_000
_SIZES: dict[str, tuple[str, ...]] = {
    "real": (), "positive": (), "unit": (), "binary": (), "angle": (), "class": ("k",), "count": ("a", "b"),
    "simplex": ("k",), "direction": ("n",),
}  # fmt: skip
_LEAST = {"class": 1, "simplex": 2, "direction": 2}
_EXAMPLE = {"class": "class(10)", "simplex": "simplex(3)", "direction": "direction(3)", "count": "count(0, 5)"}
_SYNONYMS = {
    "float": "real", "double": "real", "normal": "real", "bool": "binary", "boolean": "binary", "bit": "binary",
    "int": "count", "integer": "count", "nat": "count", "natural": "count", "categorical": "class", "label": "class",
    "category": "class", "discrete": "class", "enum": "class", "probability": "unit", "image": "unit",
    "vector": "real", "pos": "positive",
}  # fmt: skip


def resolve_type(written: syntax.TypeExpr, consts: Constants) -> ir.Type:
    """Raises Refused: E0201, E0303, E0312."""
    support = written.support
    if support.text not in _SIZES:
        others = f"supports: {', '.join(_SIZES)}"
        hint = did_you_mean(support.text, _SIZES, others, _SYNONYMS)
        raise refusal("E0201", f"there is no support `{support.text}`", support.span, "not a type", hint=hint)
    sizes = _sizes(written, consts)
    shape = tuple(integer(s, consts, "a size of the shape", 1, MOST_CELLS, "E0303") for s in written.shape)
    kind = ir.Type(_support(support.text, sizes), sizes, shape)
    if math.prod(kind.event) > MOST_CELLS or kind.input_width > MOST_CELLS:
        raise refusal("E0303", f"{kind} has more than {MOST_CELLS:,} cells", written.span, "too large")
    return kind


def _support(name: str, sizes: tuple[int, ...]) -> ir.Support:
    assert name in _SIZES
    return "range" if name == "count" and sizes else name  # type: ignore[return-value]


def _sizes(written: syntax.TypeExpr, consts: Constants) -> tuple[int, ...]:
    name, wanted = written.support.text, _SIZES[written.support.text]
    for arg in written.sizes:
        if arg.name is not None:
            raise refusal("E0303", f"the sizes of `{name}` have no names", arg.name.span, "remove the name")
    if len(written.sizes) != len(wanted) and not (name == "count" and not written.sizes):
        least = f"`{_EXAMPLE[name]}`" if name in _EXAMPLE else f"`{name}` or `{name}[8]`"
        needs = f"takes {len(wanted) or 'no'} size{'' if len(wanted) == 1 else 's'} in parentheses"
        raise refusal("E0303", f"`{name}` {needs}, not {len(written.sizes)}", written.span, "wrong sizes",
                      hint=f"write {least}")  # fmt: skip
    if name == "count":
        return _range(written, consts)
    low = _LEAST.get(name, 1)
    return tuple(integer(a.value, consts, f"the size of `{name}`", low, MOST_VALUES, "E0303") for a in written.sizes)


def _range(written: syntax.TypeExpr, consts: Constants) -> tuple[int, ...]:
    if not written.sizes:
        return ()
    low, high = (integer(a.value, consts, "a bound of `count`", 0, 2**31, "E0303") for a in written.sizes)
    span = written.sizes[0].span.to(written.sizes[1].span)
    if high < low:
        raise refusal(
            "E0303", f"count({low}, {high}) holds no number", span, "empty", hint=f"write count({high}, {low})"
        )
    if high - low >= MOST_VALUES:
        raise refusal("E0303", f"count({low}, {high}) holds more than {MOST_VALUES:,} numbers", span, "too many",
                      hint="write `count` for an open range")  # fmt: skip
    return low, high
