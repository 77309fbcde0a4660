"""What the optimiser does to a plan, one frozen class a kind of rewrite."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope


@dataclass(frozen=True, slots=True)
class Split:
    """W [a; b] = W_a a + W_b b: the first layers of a factor's or let's networks, a part an input, each on its own level."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """log softmax on the level `below` of the parents; a class of `scope` is looked up there."""

    side: ir.Side
    node: str
    below: Scope
    scope: Scope


@dataclass(frozen=True, slots=True)
class Closed:
    """log p(v | …) and log q(v | …) of a Normal v, averaged over q: their difference is −KL(q ‖ p), without noise."""

    node: str


Rewrite = Split | LookUp | Closed
