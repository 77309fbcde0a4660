"""What the optimiser does to a plan, one frozen class a kind of rewrite."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope


@dataclass(frozen=True, slots=True)
class Fused:
    """The dense layers of a factor's or let's networks as one function, heads as one product. W [a; b] = W_a a + W_b b: a first
    layer's part of each input is computed on that input's own level."""

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


@dataclass(frozen=True, slots=True)
class Once:
    """A factor's parameters are computed once for all samples in the entries where `nodes` are known; `varying`: what it reads
    that is the same for all samples only there."""

    side: ir.Side
    node: str
    nodes: tuple[str, ...]
    varying: tuple[str, ...]


Rewrite = Fused | LookUp | Closed | Once
