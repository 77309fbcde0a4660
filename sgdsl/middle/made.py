"""What the compiler makes of q: a factor's parents, and lets through which it reads many copies, before both are text."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.middle.loops import Range


@dataclass(frozen=True, slots=True)
class Made:
    """A factor of q that the compiler makes. `given`: as written, `z[t - 1]`; `why`: for each, what makes the node depend on
    it, in words; `prior`: nothing in the data or labels depends on the node, and q takes the right-hand side of its p;
    `place`: as in Factor."""

    node: str
    given: tuple[str, ...]
    why: tuple[str, ...] = ()
    prior: bool = False
    place: tuple[Range | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """A let that the compiler makes for q. `kind`: "each", a network of what it reads, "mean" and "last", of the copies that it
    reads, "later" and "earlier", carried along the innermost of its `axes`; `reads`: as written."""

    name: str
    kind: str
    axes: tuple[Range, ...]
    reads: tuple[str, ...]
