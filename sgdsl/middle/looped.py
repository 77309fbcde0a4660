"""A model with loops whose q lacks factors comes in; these go out, with the lets that they read (docs/objective.md, section 6).

Single copies are inverted, of long loops a few (middle/copies.py); what they read is then said for all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sgdsl.middle import ir
from sgdsl.middle.arrangement import drawing_order
from sgdsl.middle.copies import Copies
from sgdsl.middle.digraph import Digraph
from sgdsl.middle.folding import Blankets, Early, Outward, Piece, fold
from sgdsl.middle.gathering import Gatherer
from sgdsl.middle.moral import UNKNOWN
from sgdsl.middle.readings import Crossed
from sgdsl.middle.separation import add_ancestors, blanket
from sgdsl.middle.singles import Places, Singles


@dataclass(frozen=True, slots=True)
class Proposed:
    """`lets` before `factors`, each after those it reads; `refused`: nodes whose q cannot be said, and why."""

    lets: tuple[ir.Gathered, ...] = ()
    factors: tuple[ir.Made, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inverted:
    """`order`: when each copy is drawn, -1 what is known; `blankets`: of the nodes that are made, in the order of drawing;
    `barren`: nodes that nothing known depends on."""

    singles: Singles
    order: Mapping[str, int]
    blankets: Mapping[str, Blankets]
    barren: tuple[str, ...]


def propose(model: ir.Model, taken: Iterable[str], after: bool = False) -> Proposed:
    """The factors that q lacks. `model`: without them; `taken`: names that lets cannot have. Empty where p or the written q has
    a cycle, which checks.py reports."""
    found = inverted(model, after)
    if found is None:
        return Proposed()
    gatherer = Gatherer(found.singles, set(taken))
    factors: list[ir.Made] = []
    refused: dict[str, str] = {}
    for name, pieces in folded(found).items():
        if isinstance(pieces, str):
            refused[name] = pieces
        else:
            factors += gatherer.made(pieces)
    factors += [ir.Made(name, (), prior=True) for name in found.barren]
    return Proposed(tuple(gatherer.lets), tuple(factors), refused)


def folded(found: Inverted) -> dict[str, list[Piece] | str]:
    """The pieces of each made factor, or why it has none."""
    pieces: dict[str, list[Piece] | str] = {}
    for name, blankets in found.blankets.items():
        node = found.singles.model.node(name)
        if any(_counted(found.singles.of[v].node, name, found.singles.model) for b in blankets.values() for v in b):
            pieces[name] = f"it depends on copies that are there only up to `{name}`"
            continue
        try:
            pieces[name] = fold(found.singles, node, blankets, found.order)
        except Crossed:
            pieces[name] = "it depends on copies along an outer loop, each by its place in an inner one that is long"
        except Outward:
            pieces[name] = "its copies depend on one another along an outer loop, and draws run along the innermost one"
        except Early:
            pieces[name] = "its copies depend on one another in no order that a loop could draw them in"
    return pieces


def inverted(model: ir.Model, after: bool) -> Inverted | None:
    """None where there is nothing to make, or a cycle."""
    written = frozenset(f.node for f in model.q)
    singles = Singles(model, Copies(model))
    if not singles.p.acyclic or all(n.name in written for n in model.nodes if n.role in UNKNOWN):
        return None
    barren = _barren(singles, written)
    kept = singles.p.without(singles.named(set(barren)))
    order = drawing_order(singles, kept, written, after)
    if not order:
        return None if len(barren) == 0 else Inverted(singles, {}, {}, barren)
    return Inverted(singles, *_blankets(singles, kept, order, written), barren)


def _barren(singles: Singles, written: frozenset[str]) -> tuple[str, ...]:
    """The latents on which no datum, no label and no written factor of q depends, parents first."""
    of, model = singles.of, singles.model
    read = {of[u].node.name for u, _ in singles.q.edges}
    free = {n.name for n in model.nodes if n.role == "latent" and n.name not in written | read}
    below = {n: {of[v].node.name for v in singles.p.descendants(*singles.named({n}))} for n in free}
    while True:
        kept = {n for n in free if below[n] <= free}
        if kept == free:
            break
        free = kept
    return tuple(dict.fromkeys(of[v].node.name for v in singles.p.generations() if of[v].node.name in free))


def _blankets(
    singles: Singles, p: Digraph, order: Iterable[str], written: frozenset[str]
) -> tuple[dict[str, int], dict[str, Blankets]]:
    known = {v: -1 for v in p if singles.of[v].node.role not in UNKNOWN}
    counts = {a.count for a in singles.model.axes if a.count is not None}
    ancestral: set[str] = set()
    add_ancestors(p, known, ancestral)
    found: dict[str, dict[Places, dict[str, str]]] = {}
    for i, copy in enumerate(order):
        add_ancestors(p, (copy,), ancestral)
        one = singles.of[copy]
        if one.node.name not in written:
            why = blanket(p, copy, known.keys(), ancestral)
            kept = {v: w for v, w in why.items() if v not in counts or not _counted(one.node, v, singles.model)}
            found.setdefault(one.node.name, {})[one.places] = kept
        known[copy] = i
    return known, dict(found)


def _counted(node: ir.Node, count: str, model: ir.Model) -> bool:
    """Whether a node says how many copies there are of another: these are drawn for every number at once."""
    return any(model.axis(r.axis).count == count for r in node.axes)
