"""The syntax tree of a .sgm file: one frozen class a form, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgdsl.base.source import Span

# --- expressions ----------------------------------------------------------------------------------------------


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
    text: str
    span: Span


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
class Planned:
    """A form that the grammar has and this version refuses (E0190): nothing after the parser meets one."""

    what: str
    span: Span


Expr = Number | Text | Name | Unary | Binary | Pipe | Call | Items | Planned


# --- statements -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelLine:
    name: Name
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Const:
    name: Name
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Net:
    name: Name
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    name: Name
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class TypeExpr:
    """`support(sizes)[shape]`"""

    support: Name
    sizes: tuple[Arg, ...]
    shape: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Var:
    role: Literal["given", "observed", "supervised", "latent"]
    name: Name
    type: TypeExpr
    span: Span
    partial: Span | None = None


@dataclass(frozen=True, slots=True)
class By:
    name: Name
    args: tuple[Arg, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Factor:
    """`head` is the place of `p(v | parents)`; `text` the statement with comments gone and blanks normalised."""

    side: Literal["p", "q"]
    node: Name
    given: tuple[Name, ...]
    value: Expr
    by: By | None
    head: Span
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Auto:
    """`q auto(args)`; `texts`: each argument as written, blanks normalised."""

    side: Name
    args: tuple[Arg, ...]
    texts: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Setting:
    name: Name
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Data:
    name: Name
    args: tuple[Arg, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Section:
    name: Literal["objective", "train"]
    settings: tuple[Setting, ...]
    span: Span


Statement = ModelLine | Const | Net | Let | Var | Factor | Auto | Data | Section | Planned


@dataclass(frozen=True, slots=True)
class Comment:
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class File:
    """Everything of a file in its order; a statement that could not be read is missing (the sink says why)."""

    model: ModelLine | None
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
