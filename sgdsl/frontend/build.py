"""What the parser reads of one statement comes in, rule by rule; a frozen syntax node goes out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from lark import Token

from sgdsl.base.source import Span
from sgdsl.frontend import syntax
from sgdsl.frontend.report import refusal

DEEPEST = 100
_BLANKS = re.compile(r"(?<=[(\[]) | (?=[)\],])")

_KEPT = frozenset(("NAME", "NUMBER", "STRING", "ROLE", "SECTION", "SIDE", "AUTO", "PARTIAL"))
Built = Any  # what a rule's builder returns: a syntax node, or a tuple of them


class Part:
    """What the parser makes of a rule: offsets `start` to `end` in the text that it read, `first` to `last` with the
    brackets around it. Plain: some 20 of them are made a statement."""

    __slots__ = ("children", "depth", "end", "first", "last", "rule", "start")

    def __init__(self, rule: str, children: list[Part | Token], depth: int, start: int, end: int) -> None:
        self.rule, self.children, self.depth = rule, children, depth
        self.start = self.first = start
        self.end = self.last = end


def _part(rule: str) -> Callable[[list[Part | Token]], Part]:
    """What the parser calls when it has read a rule, with every token of it."""
    kept = _KEPT | {"ALL"} if rule == "items" else _KEPT  # elsewhere `*` is a sign

    def made(found: list[Part | Token]) -> Part:
        children = [c for c in found if isinstance(c, Part) or c.type in kept]
        depth = 1 + max((c.depth for c in children if isinstance(c, Part)), default=0)
        left, right = found[0], found[-1]
        start = left.first if isinstance(left, Part) else left.start_pos
        end = right.last if isinstance(right, Part) else right.end_pos
        assert start is not None
        assert end is not None
        return Part(rule, children, depth, start, end)

    return made


def _bracketed(found: list[Part | Token]) -> Part:
    """`( expr )` is the expression, in brackets."""
    left, inner, right = found
    assert isinstance(inner, Part)
    assert isinstance(left, Token)
    assert isinstance(right, Token)
    again = Part(inner.rule, inner.children, inner.depth, inner.start, inner.end)
    again.first, again.last = left.start_pos or 0, right.end_pos or 0
    return again


def callbacks() -> SimpleNamespace:
    """For the parser, by rule."""
    return SimpleNamespace(**{rule: _part(rule) for rule in _RULES}, atom=_bracketed)


def build(part: Part, flat: str, start: int) -> Built:
    """The statement or expression of a part; the parser read `flat` from `start` on. Raises Refused: E0107, E0111."""
    if part.depth > DEEPEST:
        while part.depth > DEEPEST + 1:
            part = max((c for c in part.children if isinstance(c, Part)), key=lambda c: c.depth)
        hint = "name the inner parts by `let` or `net`"
        span = Span(start + part.start, start + part.end)
        raise refusal("E0107", f"an expression is nested deeper than {DEEPEST}", span, hint=hint)
    return _built(part, flat, start)


def _built(part: Part, flat: str, start: int) -> Built:
    children = [_built(c, flat, start) if isinstance(c, Part) else _token(c, start) for c in part.children]
    return _RULES[part.rule](children, Span(start + part.start, start + part.end), flat)


def _token(token: Token, start: int) -> Built:
    assert token.start_pos is not None
    assert token.end_pos is not None
    span = Span(start + token.start_pos, start + token.end_pos)
    match token.type:
        case "NUMBER":
            return syntax.Number(_number(str(token), span), span)
        case "STRING":
            return syntax.Text(str(token)[1:-1], span)
        case _:
            return syntax.Name(str(token), span)


def _number(text: str, span: Span) -> float:
    if text.isdigit() and len(text) <= 300:
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise refusal("E0111", f"the number {text[:20]} is too large", span, "beyond 1.8e308")
    whole = "." not in text and "-" not in text and abs(value) < 2**53
    return int(value) if whole else value


def _loop(children: list[Built], span: Span, flat: str) -> Built:
    index, low, high, *body = children
    head = Span(span.start, span.start + len(flat[span.start : span.end].split("{")[0].rstrip()))
    return syntax.Loop(index, low, high, tuple(body), head, span)


def _binary(op: str) -> Callable[[list[Built], Span, str], Built]:
    return lambda c, span, _: syntax.Binary(cast(Any, op), c[0], c[1], span)


def _items(children: list[Built], span: Span, flat: str) -> tuple[Built, ...]:
    return tuple(children)


def _target(children: list[Built], span: Span, flat: str) -> Built:
    return syntax.Name(children[0].text, span, *children[1:])


def _item(children: list[Built], span: Span, flat: str) -> Built:
    """A name with an index, or a network with weights a copy."""
    value, index = children
    if isinstance(value, syntax.Name) and not value.index:
        return syntax.Name(value.text, span, index)
    return syntax.Item(value, index, span)


def _type(children: list[Built], span: Span, flat: str) -> Built:
    sizes: tuple[syntax.Arg, ...] = ()
    shape: tuple[syntax.Expr, ...] = ()
    for child in children[1:]:
        start, items = child
        sizes, shape = (items, shape) if flat[start] == "(" else (sizes, items)
    return syntax.TypeExpr(children[0], sizes, shape, span)


def _var(children: list[Built], span: Span, flat: str) -> Built:
    role, name, kind, *partial = children
    return syntax.Var(role.text, name, kind, span, partial[0].span if partial else None)


def _let(children: list[Built], span: Span, flat: str) -> Built:
    name, value = children
    return syntax.Let(name, value, span)


def _factor(children: list[Built], span: Span, flat: str) -> Built:
    (head, (side, node, given)), value, *by = children
    return syntax.Factor(side.text, node, given, value, by[0] if by else None, head, _written(flat, span), span)


def _written(flat: str, span: Span) -> str:
    """A range of the text with its blanks normalised."""
    return _BLANKS.sub("", " ".join(flat[span.start : span.end].split()))


def _auto(children: list[Built], span: Span, flat: str) -> Built:
    side, _, *rest = children
    args = _optional_args(rest)
    return syntax.Auto(side, args, tuple(_written(flat, a.span) for a in args), span)


def _head(children: list[Built], span: Span, flat: str) -> Built:
    side, node, *given = children
    return span, (side, node, given[0] if given else ())


def _call(children: list[Built], span: Span, flat: str) -> Built:
    function, (_, args) = children
    if not isinstance(function, syntax.Member):
        return syntax.Call(function, args, span)
    if len(args) == 1 and args[0].name is None:
        return _factor_of([function, (args[0].value,)], span, flat)
    what = "one node" if args else "a node"
    raise refusal("E0222", f"`{_written(flat, function.span)}` is called with {what}, and its parents by name behind a bar",
                  span, hint=f"write `{_written(flat, function.span)}(v | parent = …)`")  # fmt: skip


def _factor_of(children: list[Built], span: Span, flat: str) -> Built:
    """`model.member(node | parent = value, …)`"""
    function, (node, *args) = children
    if not isinstance(function, syntax.Member) or not isinstance(function.model, syntax.Name):
        raise refusal("E0205", "a bar among arguments stands in a factor of another model", span, "no such factor",
                      hint="write `digit.p(x | y = …)` with `use digit = …`, or commas")  # fmt: skip
    given = tuple(c if isinstance(c, syntax.Arg) else syntax.Arg(None, c, c.span) for c in args)
    return syntax.Of(function.model, function.name, node, given, span)


def _args(children: list[Built], span: Span, flat: str) -> Built:
    """The place of the bracket, and the arguments."""
    return span.start, tuple(c if isinstance(c, syntax.Arg) else syntax.Arg(None, c, c.span) for c in children)


def _optional_args(children: list[Built]) -> tuple[syntax.Arg, ...]:
    return children[0][1] if children else ()


_RULES: dict[str, Callable[[list[Built], Span, str], Built]] = {
    "model": lambda c, span, _: syntax.ModelLine(c[0], c[1].value if len(c) > 1 else "", span),
    "const": lambda c, span, _: syntax.Const(c[0], c[1], span),
    "net": lambda c, span, _: syntax.Net(c[0], c[1], span),
    "use": lambda c, span, _: syntax.Use(c[0], c[1], _optional_args(c[2:]), span),
    "auto": _auto,
    "loop": _loop,
    "var": _var,
    "let": _let,
    "factor": _factor,
    "head": _head,
    "given": _items,
    "by": lambda c, span, _: syntax.By(c[0], _optional_args(c[1:]), span),
    "data": lambda c, span, _: syntax.Data(c[0], _optional_args(c[1:]), span),
    "section": lambda c, span, _: syntax.Section(c[0].text, tuple(c[1:]), span),
    "setting": lambda c, span, _: syntax.Setting(c[0], c[1], span),
    "target": _target,
    "type": _type,
    "shape": lambda c, span, _: (span.start, tuple(c)),
    "index": lambda c, _, __: c[0],
    "items": _items,
    "args": _args,
    "given_args": _items,
    "named": lambda c, span, _: syntax.Arg(c[0], c[1], span),
    "pipe": lambda c, span, _: syntax.Pipe(c[0], c[1], span),
    "add": _binary("add"),
    "sub": _binary("sub"),
    "mul": _binary("mul"),
    "div": _binary("div"),
    "neg": lambda c, span, _: syntax.Unary(c[0], span),
    "call": _call,
    "factor_of": _factor_of,
    "item": _item,
    "member": lambda c, span, _: syntax.Member(c[0], c[1], span),
    "number": lambda c, span, _: c[0],
    "string": lambda c, span, _: c[0],
    "name": lambda c, span, _: c[0],
    "list": lambda c, span, _: syntax.Items(tuple(c), span),
}
