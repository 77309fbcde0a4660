"""An expression comes in, its text with blanks normalised goes out: the name of the let that it becomes."""

from __future__ import annotations

from typing import assert_never

from sgdsl.frontend import syntax

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_TIGHT = ("mul", "div")


def text(expr: syntax.Expr) -> str:
    match expr:
        case syntax.Number(value, _):
            return repr(value)
        case syntax.Text(value, _):
            return f'"{value}"'
        case syntax.Name(name, _, index):
            return name + indices(index)
        case syntax.Item(value, index, _):
            return (
                f"({text(value)})" + indices(index) if isinstance(value, syntax.Pipe) else text(value) + indices(index)
            )
        case syntax.Unary(arg, _):
            return f"-{_inner(arg)}"
        case syntax.Binary(op, left, right, _):
            if op in _TIGHT:
                return f"{_inner(left)} {_SIGNS[op]} {_inner(right)}"
            return f"{text(left)} {_SIGNS[op]} {_inner(right)}"
        case syntax.Pipe(left, right, _):
            return f"{text(left)} >> {text(right)}"
        case syntax.Call(function, args, _):
            called = f"({text(function)})" if isinstance(function, syntax.Pipe) else text(function)
            return (
                f"{called}({', '.join(f'{a.name.text} = {text(a.value)}' if a.name else text(a.value) for a in args)})"
            )
        case syntax.Of(model, member, node, args, _):
            given = ", ".join(f"{a.name.text} = {text(a.value)}" if a.name else text(a.value) for a in args)
            return f"{model.text}.{member.text}({text(node)}{f' | {given}' if given else ''})"
        case syntax.Member(model, name, _):
            return f"{text(model)}.{name.text}"
        case syntax.Items(items, _):
            return f"[{', '.join(text(i) for i in items)}]"
        case syntax.View() | syntax.Over() | syntax.Place():
            raise AssertionError("not written by anyone")
        case _:
            assert_never(expr)


def indices(index: tuple[syntax.Expr, ...]) -> str:
    return f"[{', '.join(text(i) for i in index)}]" if index else ""


def _inner(expr: syntax.Expr) -> str:
    """A sum or a sign inside a product or behind a minus."""
    return f"({text(expr)})" if isinstance(expr, syntax.Unary | syntax.Binary | syntax.Pipe) else text(expr)
