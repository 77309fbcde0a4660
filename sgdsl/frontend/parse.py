"""A Source comes in, a syntax.File goes out; a statement that cannot be read is one diagnostic and is left out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Source, Span
from sgdsl.frontend import syntax
from sgdsl.frontend.advice import wrong_character, wrong_token
from sgdsl.frontend.build import build, callbacks
from sgdsl.frontend.lines import Piece, split
from sgdsl.frontend.read import check_text
from sgdsl.frontend.report import Refused, fatal, refusal, report

_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "grammars" / "sgm.lark", _PACKAGE.parent / "grammars" / "sgm.lark")  # in a wheel, in a checkout
STARTS = ["model", "statement", "expr"]


def grammar() -> str:
    """The text of sgm.lark."""
    place = next((p for p in _PLACES if p.is_file()), None)
    assert place is not None, f"sgm.lark is in none of {', '.join(map(str, _PLACES))}"
    return place.read_text(encoding="utf-8")


@cache
def parser() -> Lark:
    """The parser, built once. A mistake of ours in the grammar shows here, outside any handler of the user's."""
    return Lark(grammar(), parser="lalr", start=STARTS, keep_all_tokens=True, transformer=callbacks())


def parse(source: Source, sink: Sink) -> syntax.File:
    """The syntax tree of a text. Adds E01; raises DiagnosticError where nothing can be read at all (E0105–E0108)."""
    check_text(source)
    lark = parser()
    lines = split(source, sink)
    flat = lines.text()
    read = [s for p in lines.pieces if (s := _statement(lark, flat, p, sink)) is not None]
    if not any(flat[p.start : p.end].strip() for p in lines.pieces):
        raise fatal("E0108", "the file is empty", None, source, 'a model starts with a line `model NAME "what it is"`')
    return syntax.File(_model_line(read, lines.pieces, flat, sink), _others(read), tuple(lines.comments))


def parse_value(source: Source, span: Span) -> syntax.Expr:
    """The expression in a range of a text: a value from the command line. Raises Refused: E01."""
    value: syntax.Expr = _parse(parser(), source.text, span, "expr")
    return value


def _statement(lark: Lark, flat: str, piece: Piece, sink: Sink) -> syntax.Statement | None:
    """The statement in a range of the text; None where there is none, or none that can be read."""
    text = flat[piece.start : piece.end]
    if piece.broken or not text.strip():
        return None
    start = piece.start + len(text) - len(text.lstrip())
    span = Span(start, piece.start + len(text.rstrip()))
    kind = "model" if text.split(None, 1)[0].split('"')[0] == "model" else "statement"
    try:
        statement: syntax.Statement = _parse(lark, flat, span, kind)
        return statement
    except Refused as refused:
        report(sink, refused)
        return None


def _parse(lark: Lark, flat: str, span: Span, kind: str) -> Any:
    try:
        part: Any = lark.parse(flat[span.start : span.end], start=kind)
    except UnexpectedInput as error:
        raise _refused(error, flat, span) from None
    return build(part, flat, span.start)


def _refused(error: UnexpectedInput, flat: str, span: Span) -> Refused:
    match error:
        case UnexpectedCharacters():
            assert error.pos_in_stream is not None
            return wrong_character(flat, span.start + error.pos_in_stream)
        case UnexpectedToken():
            return wrong_token(flat, span, error.token, frozenset(error.accepts or error.expected))
        case _:
            raise AssertionError("lark has no other errors") from error


def _others(read: list[syntax.Statement]) -> tuple[syntax.Statement, ...]:
    return tuple(s for s in read if not isinstance(s, syntax.ModelLine))


def _model_line(read: list[syntax.Statement], pieces: list[Piece], flat: str, sink: Sink) -> syntax.ModelLine | None:
    """The model line, which stands once and first: E0108, E0110."""
    found = [s for s in read if isinstance(s, syntax.ModelLine)]
    first = next((p for p in pieces if flat[p.start : p.end].strip()), None)
    assert first is not None
    text = flat[first.start : first.end]
    start = first.start + len(text) - len(text.lstrip())
    for again in found[1:]:
        label = Label(found[0].span, "the first")
        hint = "one model a file"
        report(sink, refusal("E0110", "a second `model` line", again.span, "the second", hint=hint, labels=[label]))
    if not text.split()[0].startswith("model"):
        place = Span(start, start + len(text.strip()))
        if found:
            hint = "it names the file's model: move it to the top"
            report(sink, refusal("E0108", "the `model` line is not the first", found[0].span, hint=hint))
        elif not any(d.span and start <= d.span.start < first.end for d in sink.found):
            hint = 'write `model NAME "what it is"` above it'
            report(sink, refusal("E0108", "the file has no `model` line", place, "the first line", hint=hint))
    return found[0] if found else None
