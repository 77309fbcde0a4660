"""Where terms stand: a model and its scopes come in; the level on which each term is weighed, and every level in use, go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.alive import alive_levels
from sgdsl.middle.elimination import Message, Scope
from sgdsl.middle.graphs import factor_reads
from sgdsl.middle.scopes import Scopes
from sgdsl.middle.stacks import factor_copies


@dataclass(frozen=True, slots=True)
class Term:
    """log p or log q of a node, or of a piece of its copies (ir.Factor.id), and the level it is evaluated on; `constant`: it
    depends on nothing at all; `level`: where it is weighed, in loops more than its scope where shares need it."""

    side: ir.Side
    node: str
    scope: Scope
    constant: bool = False
    level: Scope = ()


def shared(model: ir.Model, scopes: Scopes, scope: Scope) -> Scope:
    """A level of loops on which the weight of an entry is a product of what is outside and inside of each loop: with all that
    q of its inner nodes, and labels of these loops that depend on them, read; with k, where `1..k` stands beside such nodes."""
    found: set[str] = set()
    todo = set(scope)
    levels = [(scopes.own(f), f.node, scopes.factor(f)) for f in model.q]
    while todo:
        found |= todo
        read = _beside(model, scopes, levels, found) | _outside(model, scopes, levels, found)
        counts = {model.axis(scopes.ranges[r].axis).count for r in found if r in scopes.ranges}
        outer = {v for v in found | read if v not in scopes.ranges and v not in scopes.readings and not scopes.depth(v)}
        read |= {k for k in counts if k and k in scopes.listed([k]) and outer - {k}} if outer else set()
        todo = {c for c in read - found if c not in scopes.ranges and _loops(model, c) <= found}
    return scopes.ordered(found)


Levels = list[tuple[str, str, Scope]]  # of each factor of q what stands for its node, its node, and its scope


def _beside(model: ir.Model, scopes: Scopes, levels: Levels, found: set[str]) -> set[str]:
    """What q of a level's inner nodes, and of labels that depend on them, reads; other copies of a chain are summed over."""
    inner = {v for v in found if v not in scopes.ranges and scopes.depth(v) and v not in scopes.readings}
    labels = {own for own, node, _ in levels if model.node(node).role == "supervised"}
    touched = (level for own, _, level in levels if own in inner or (own in labels and inner & set(level)))
    return {c for level in touched for c in level if c not in scopes.ranges or c in found}


def _outside(model: ir.Model, scopes: Scopes, levels: Levels, found: set[str]) -> set[str]:
    """What is outside of the loops of a level and bears on the weights of its nodes: what q of chains reads at any copy, and what
    labels read that depend on its nodes, through others too."""
    readings, names = scopes.readings, _bearing(scopes, levels, found)
    depth = max((scopes.depth(scopes.node(v)) for v in found if v not in scopes.ranges), default=0)
    read: set[str] = set()
    for own, node, level in levels:
        if own in readings.keys() & names or (model.node(node).role == "supervised" and names & set(level)):
            read |= {c for c in level if c != own and c not in readings and scopes.depth(c) < depth}
    return {c for c in read if c not in scopes.ranges and _loops(model, c) <= found}


def _bearing(scopes: Scopes, levels: Levels, found: set[str]) -> set[str]:
    """The nodes of loops that the weights of a level's nodes depend on, of chains all their readings."""
    names = {v for v in found if v not in scopes.ranges and (scopes.depth(v) or v in scopes.readings)}
    while True:
        names |= {r for c in scopes.chains.values() if names & c.readings.keys() for r in c.readings}
        touched = (level for _, _, level in levels if names & set(level))
        more = {n for level in touched for n in level if n not in scopes.ranges and scopes.depth(n)}
        if more <= names:
            return names
        names |= more


def _loops(model: ir.Model, name: str) -> set[str]:
    return {r.name for n in model.nodes if n.name == name for r in n.axes}


def every_level(
    model: ir.Model,
    terms: tuple[Term, ...],
    messages: tuple[Message, ...],
    needed: tuple[Scope, ...],
    scopes: Scopes,
) -> tuple[Scope, ...]:
    """Every non-empty level that some value, method, term or message stands on, small ones first; of a chain its copies' own."""
    own: Mapping[str, str] = {f.id: scopes.own(f) for f in (*model.p, *model.q)}
    found = [*scopes.values.values(), *(t.scope for t in terms), *needed]
    found += [s for m in messages for s in (m.product.scope, m.scope)]
    found += [tuple(c for c in t.scope if c != own[t.node]) for t in terms]
    factors = [(f, {r.name for r in factor_copies(f)}) for f in (*model.p, *model.q)]
    found += [scopes.ordered({*scopes.union(factor_reads(f)), *copies}) for f, copies in factors]
    found += [level for scope in found for level in alive_levels(model, scopes, scope)]
    found += [tuple(r.name for r in n.axes) for n in model.nodes if n.role == "supervised" and len(n.axes) > 1]  # masks
    for chain in scopes.chains.values():
        axes = model.node(chain.node).axes
        ranges = [r.range for r in chain.readings.values()]
        found += [tuple(a.name for a in (*axes[:-1], *([r] if r else []))) for r in (axes[-1], *ranges)]
        found.append(tuple(a.name for a in axes[:-1]))
    return tuple(sorted({s for s in found if s}, key=lambda s: (len(s), [scopes.place[c] for c in s])))
