"""A constant for a parameter comes in; E0305 goes out where the parameter's range does not hold it."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.catalog.families import Domain, FamilyRow
from sgdsl.catalog.shapes import Shape
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir

TOLERANCE = 1e-3


def check_range(family: FamilyRow, name: str, domain: Domain, expr: ir.Expr, shape: Shape) -> None:
    """Every number of a constant, alone or in a list, against the range of the parameter. Raises Refused: E0305."""
    probabilities = name == "probs" or domain == "probability"
    for number in numbers(expr):
        value = number.value
        if probabilities and not 0 <= value <= 1:
            raise refusal("E0305", f"`{name}` of `{family.name}` is a probability, not {value:g}", number.span,
                          "not in [0, 1]")  # fmt: skip
        if domain in ("positive", "degrees") and value <= 0:
            raise refusal("E0305", f"`{name}` of `{family.name}` must be above 0, not {value:g}", number.span, "not above 0",
                          hint=_positive_hint(name))  # fmt: skip
    if domain == "triangle" and isinstance(expr, ir.Vector):
        _check_diagonal(family, name, expr)
    if name == "probs" and family.name == "Categorical":
        _check_sum(expr, shape)


def _check_diagonal(family: FamilyRow, name: str, expr: ir.Vector) -> None:
    for i, line in enumerate(expr.items):
        entry = line.items[i] if isinstance(line, ir.Vector) else None
        if isinstance(entry, ir.Number) and entry.value <= 0:
            raise refusal("E0305", f"the diagonal of `{name}` of `{family.name}` must be above 0, not {entry.value:g}",
                          entry.span, "not above 0")  # fmt: skip


def _positive_hint(name: str) -> str:
    return "write a small one, `scale = 0.01`" if name == "scale" else ""


def _check_sum(expr: ir.Expr, shape: Shape) -> None:
    """Constant probabilities of classes sum to one."""
    match expr:
        case ir.Number(value, _, span):
            total = value * shape[-1]
        case ir.Vector(items, (_,), span) if all(isinstance(i, ir.Number) for i in items):
            total = sum(i.value for i in items if isinstance(i, ir.Number)) * (shape[-1] if len(items) == 1 else 1)
        case _:
            return
    if abs(total - 1) > TOLERANCE:
        raise refusal("E0305", f"the probabilities of {shape[-1]} classes sum to {total:g}, not to 1", span, f"sum to {total:g}",
                      hint="write `logits = …` for numbers that are no probabilities")  # fmt: skip


def numbers(expr: ir.Expr) -> Iterator[ir.Number]:
    """The constants of a number, or of lists of numbers."""
    match expr:
        case ir.Number():
            yield expr
        case ir.Vector():
            for item in expr.items:
                yield from numbers(item)
        case _:
            return
