"""An expression of numbers and consts comes in, its value goes out: E0312 where it has none at compile time."""

from __future__ import annotations

from typing import assert_never

from sgdsl.frontend import syntax
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import did_you_mean, refusal

LARGEST = 1e300


def constant(expr: syntax.Expr, consts: Constants) -> float:
    """The number. Raises Refused: E0201 for an unknown name, E0312 for what is no number."""
    match expr:
        case syntax.Number(value, _):
            return value
        case syntax.Name(text, span):
            if text in consts:
                return consts[text]
            raise refusal("E0312", f"`{text}` is not a number at compile time", span, "not a const",
                          hint=did_you_mean(text, consts, "numbers known at compile time are declared by `const`"))  # fmt: skip
        case syntax.Unary(arg, _):
            return -constant(arg, consts)
        case syntax.Binary():
            return _binary(expr, constant(expr.left, consts), constant(expr.right, consts))
        case (
            syntax.Text() | syntax.Pipe() | syntax.Call() | syntax.Items() | syntax.Item() | syntax.View() | syntax.Over()
            | syntax.Place() | syntax.Of() | syntax.Member()
        ):  # fmt: skip
            raise refusal("E0312", "a number known at compile time is needed here", expr.span, "no constant",
                          hint="consts and numbers with + - * / make one")  # fmt: skip
        case _:
            assert_never(expr)


def _binary(expr: syntax.Binary, left: float, right: float) -> float:
    match expr.op:
        case "add":
            value = left + right
        case "sub":
            value = left - right
        case "mul":
            value = left * right
        case "div":
            if right == 0:
                raise refusal("E0312", "a division by zero", expr.span, "divides by 0")
            value = (
                left // right
                if isinstance(left, int) and isinstance(right, int) and left % right == 0
                else left / right
            )
        case _:
            assert_never(expr.op)
    if not abs(value) <= LARGEST:
        raise refusal("E0312", "the number is too large", expr.span, f"beyond {LARGEST:g}")
    return value


def folded(expr: syntax.Expr, consts: Constants) -> float | None:
    """The number that an expression of numbers and consts is; None where it holds anything else."""
    return constant(expr, consts) if _is_constant(expr, consts) else None


def _is_constant(expr: syntax.Expr, consts: Constants) -> bool:
    match expr:
        case syntax.Number():
            return True
        case syntax.Name(text, _):
            return text in consts
        case syntax.Unary(arg, _):
            return _is_constant(arg, consts)
        case syntax.Binary(_, left, right, _):
            return _is_constant(left, consts) and _is_constant(right, consts)
        case _:
            return False


def integer(expr: syntax.Expr, consts: Constants, what: str, low: int, high: int, code: str) -> int:
    """A whole number in [low, high]. Raises Refused with `code` where it is outside."""
    value = constant(expr, consts)
    if value != int(value):
        raise refusal(code, f"{what} must be a whole number, not {value:g}", expr.span, "not whole")
    if not low <= value <= high:
        bound = f"at least {low}" if value < low else f"at most {high:,}"
        raise refusal(code, f"{what} must be {bound}, not {_short(value)}", expr.span, bound)
    return int(value)


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**15 else f"{value:g}"
