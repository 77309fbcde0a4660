"""Groups of weights of a model with loops: its plan comes in, the groups of the written-out model, every node a copy, go out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.recombination import Recombination
from sgdsl.oracle.counted import WrittenOut
from sgdsl.oracle.grid import parents
from sgdsl.oracle.groups import Groups, Names

Terms = Mapping[tuple[str, str], Names | None]


@dataclass(frozen=True, slots=True)
class CopiedPlan:
    """What Groups asks of a plan, by copy: see middle/recombination.py."""

    weighed: Names
    above: Mapping[str, Names]
    joins: tuple[Names, ...]
    carriers: Mapping[str, Names]
    late: Collection[str]
    late_factors: Collection[tuple[str, str]]

    def is_late(self, side: ir.Side, node: str) -> bool:
        return (side, node) in self.late_factors


def copied_groups(plan: Recombination, terms: Terms, flats: WrittenOut, chosen: Mapping[str, str]) -> Groups:
    """`terms`: by side and factor of the loops, what each goes with; `chosen`: by copy. Copies that the plan keeps in one group
    are joined; what it keeps apart is apart if factors of the written-out model do not join it."""
    full, copies = flats.full, flats.most.copies
    names = tuple(c for v in plan.weighed for c, (own, _) in copies.items() if own == v)
    above = {c: _ordered(names, parents(full, full.factor("q", c).given)) for c in names}

    def near(copy: str, carriers: Iterable[str]) -> Names:
        """The copies of carriers that one copy goes with: those of its own loops that are groups of their own."""
        place = copies[copy][1]
        found = []
        for c in names:
            own, at = copies[c]
            depth = len(plan.loops.get(own, ()))
            if own in carriers and at[:depth] == place[:depth]:
                found.append(c)
        return tuple(found)

    units = [*plan.joins, *((v,) for v in plan.weighed)]
    joins = dict.fromkeys(near(c, unit) for unit in units for c in names if copies[c][0] == unit[0])
    late: set[str] = set()
    late_factors: set[tuple[str, str]] = set()
    found: dict[tuple[str, str], Names | None] = {}
    owners = [(f.side, f.node, _owner(flats, f)) for f in (*full.p, *full.q)]
    for side, copy, owner in owners:
        if (side, owner) in terms:
            carriers = terms[side, owner]
            found[side, copy] = None if carriers is None else near(copy, carriers)
        if plan.is_late(side, owner):
            late_factors.add((side, copy))
        if side == "q" and copies[copy][0] in plan.late:
            late.add(copy)
    carried = {c: near(c, plan.carriers.get(own, ())) for c, (own, _) in copies.items()}
    carried |= {c: (c,) for c in names}
    made = CopiedPlan(names, above, tuple(j for j in joins if len(j) > 1), carried, late, late_factors)
    return Groups(full, chosen, made, found)


def _owner(flats: WrittenOut, factor: ir.Factor) -> str:
    """The factor of the loops, by node or piece, that a copy's factor is."""
    own = flats.most.weights.get(f"{factor.side}_{factor.node}")
    return own[2:] if own else flats.most.copies[factor.node][0]


def _ordered(names: Names, some: Collection[str]) -> Names:
    return tuple(n for n in names if n in some)
