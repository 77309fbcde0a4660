"""The expressions of the syntax tree, each with its place in the text. Names are those of syntax.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgdsl.base.source import Span
from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Number:
    """A literal: int where it has no point and no negative exponent (`labels = 1` counts, `labels = 1.0` is a rate)."""

    value: float
    span: Span


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """`index`: what stands in brackets behind it, `z[t - 1]`; `*` is the Name "*". When loops are resolved (copies/), only
    heads keep one: the names of ranges, and numbers."""

    text: str
    span: Span
    index: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Unary:
    arg: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    op: Literal["add", "sub", "mul", "div"]
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Pipe:
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument, `value` or `name = value`."""

    name: Name | None
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    function: Expr
    args: tuple[Arg, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Items:
    """`[a, b, …]`"""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Item:
    """`mlp(64)[i]`: weights a copy. When loops are resolved, the index holds names of ranges."""

    value: Expr
    index: tuple[Expr, ...]
    span: Span


# Copies of a loop, made of `z[t - 1]`, `sum(z[*])`, `i` when loops are resolved: each is the value of a let of its own.


@dataclass(frozen=True, slots=True)
class View:
    """As ir.View."""

    source: Name
    at: tuple[ir.Lag | int, ...]
    edges: tuple[tuple[int, Name], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Over:
    """As ir.Over."""

    function: Literal["sum", "mean", "max", "last", "stack"]
    source: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Place:
    """As ir.Place."""

    range: ir.Range
    span: Span


@dataclass(frozen=True, slots=True)
class Member:
    """`digit.p`, alone: nothing but a call of it means something."""

    model: Expr
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Of:
    """`digit.p(z)`, `digit.mean(x | y = …, z = …)`: a factor of another model, or its mean. `args`: behind the bar."""

    model: Name
    member: Name
    node: Expr
    args: tuple[Arg, ...]
    span: Span


Copies = View | Over | Place
Expr = Number | Text | Name | Unary | Binary | Pipe | Call | Items | Item | Copies | Member | Of
