"""The syntax tree of a .sgm file: one frozen class a form, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgdsl.base.source import Span
from sgdsl.frontend.expressions import Arg as Arg
from sgdsl.frontend.expressions import Binary as Binary
from sgdsl.frontend.expressions import Call as Call
from sgdsl.frontend.expressions import Copies as Copies
from sgdsl.frontend.expressions import Expr as Expr
from sgdsl.frontend.expressions import Item as Item
from sgdsl.frontend.expressions import Items as Items
from sgdsl.frontend.expressions import Member as Member
from sgdsl.frontend.expressions import Name as Name
from sgdsl.frontend.expressions import Number as Number
from sgdsl.frontend.expressions import Of as Of
from sgdsl.frontend.expressions import Over as Over
from sgdsl.frontend.expressions import Pipe as Pipe
from sgdsl.frontend.expressions import Place as Place
from sgdsl.frontend.expressions import Text as Text
from sgdsl.frontend.expressions import Unary as Unary
from sgdsl.frontend.expressions import View as View

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
class Use:
    """`use NAME = "file.sgm" (weights = "runs/x", frozen)`"""

    name: Name
    file: Text
    args: tuple[Arg, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    """`implicit`: made of copies of a loop, not written as a let."""

    name: Name
    value: Expr
    span: Span
    implicit: bool = False


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
    """`head` is the place of `p(v | parents)`; `text` the statement with comments gone and blanks normalised; `piece` as in
    ir.Factor."""

    side: Literal["p", "q"]
    node: Name
    given: tuple[Name, ...]
    value: Expr
    by: By | None
    head: Span
    text: str
    span: Span
    piece: str = ""


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


@dataclass(frozen=True, slots=True)
class Loop:
    """`for index in low..high { body }`; `head` is the place of its first line."""

    index: Name
    low: Expr
    high: Expr
    body: tuple[Statement, ...]
    head: Span
    span: Span


Statement = ModelLine | Const | Use | Net | Let | Var | Factor | Auto | Data | Section | Loop


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
