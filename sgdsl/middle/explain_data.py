"""A page of `sgdsl explain` for programs: a page comes in, dictionaries and lists go out, expressions tagged by kind."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import get_args

from sgdsl.middle.explain import Page, Pattern
from sgdsl.middle.explain_text import factor_text, objective_text
from sgdsl.middle.objective import Expr


def page_data(page: Page) -> dict[str, object]:
    """Everything the text says; `objective` of a pattern as text and as a tree."""
    terms = [
        {
            "term": f"log {factor_text(t.factor)}",
            "line": t.line,
            "emitted": t.emitted,
            "scope": list(t.scope),
            "cases": t.cases,
            "constant": t.constant,
        }
        for t in page.terms
    ]
    found = {f.name: plain(getattr(page, f.name)) for f in fields(Page) if f.name not in ("terms", "patterns")}
    return {**found, "terms": terms, "patterns": [_pattern(p, page.samples) for p in page.patterns]}


def _pattern(pattern: Pattern, samples: int) -> dict[str, object]:
    return {
        "title": pattern.title,
        "known": list(pattern.known),
        "unknown": list(pattern.unknown),
        "text": objective_text(pattern.objective),
        "objective": plain(pattern.objective),
        "nodes": dict(pattern.nodes),
        "weights": pattern.weights,
        "evaluations": {e.method: e.times(samples) for e in pattern.evaluations},
    }


def plain(value: object) -> object:
    """A frozen value as a dictionary, an expression with its class as `kind`; tuples as lists."""
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if is_dataclass(value):
        kind = {"kind": type(value).__name__.lower()} if isinstance(value, get_args(Expr)) else {}
        return {**kind, **{f.name: plain(getattr(value, f.name)) for f in fields(value)}}
    return value
