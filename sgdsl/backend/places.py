"""Places in an emitted loop: a range or a copy comes in, the test for it as text goes out."""

from __future__ import annotations

from sgdsl.middle import ir

T = "t"  # the place in an emitted loop


def guard(at: ir.Range | int, first: int, last: int) -> str:
    """Whether the place of a loop from `first` to `last` is one of these, as text."""
    if isinstance(at, int):
        return f"{T} == {at}"
    if at.last == last:
        return f"{T} >= {at.first}"
    return f"{T} <= {at.last}" if at.first == first else f"{at.first} <= {T} <= {at.last}"
