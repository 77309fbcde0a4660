"""Copies of loops `1..k` that are there: a scope comes in, the levels on which that is said go out."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.scopes import Scopes


def alive_levels(model: ir.Model, scopes: Scopes, scope: Scope) -> Iterator[Scope]:
    """Of each loop `1..k` in a scope the copies alone, with k where that is in the scope."""
    for name in scope:
        count = model.axis(scopes.ranges[name].axis).count if name in scopes.ranges else None
        if count:
            yield (count, name) if count in scope else (name,)
