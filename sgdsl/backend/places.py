"""Places in an emitted loop: statements of a range of copies come in, the same under a test of the place go out."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsl.middle import ir

T = "t"  # the place in an emitted loop


def guarded(at: ir.Range | int, first: int, last: int, lines: Sequence[str]) -> list[str]:
    """Statements of the copies that they are for, in a loop from `first` to `last`."""
    if at == first == last or (isinstance(at, ir.Range) and (at.first, at.last) == (first, last)):
        return [*lines]
    if isinstance(at, int):
        test = f"{T} == {at}"
    elif at.last == last:
        test = f"{T} >= {at.first}"
    else:
        test = f"{T} <= {at.last}" if at.first == first else f"{at.first} <= {T} <= {at.last}"
    return [f"if {test}:", *(f"    {line}" for line in lines)]
