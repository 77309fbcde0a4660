"""The factors of a node with copies on one side come in; a copy without a factor, or with two, goes out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

from sgdsl.middle import ir

Box = tuple[tuple[int, int], ...]  # first and last place, for each loop


def box(factor: ir.Factor) -> Box:
    return tuple((p, p) if isinstance(p, int) else (p.first, p.last) for p in factor.place)


def doubled(factors: Sequence[ir.Factor]) -> tuple[str, ir.Factor, ir.Factor] | None:
    """The first copy of two factors, and these."""
    for a, b in combinations(factors, 2):
        both = [(max(s[0], t[0]), min(s[1], t[1])) for s, t in zip(box(a), box(b), strict=True)]
        if all(first <= last for first, last in both):
            return _named(a.node, [first for first, _ in both]), a, b
    return None


def missing(node: ir.Node, factors: Sequence[ir.Factor]) -> tuple[str, ...]:
    """Copies that no factor is of: the first and the last of each stretch, in the order of the loops."""
    boxes = [box(f) for f in factors]
    stretches = []
    for i, r in enumerate(node.axes):
        cuts = sorted({r.first, *(b[i][0] for b in boxes), *(b[i][1] + 1 for b in boxes)} - {r.last + 1})
        stretches.append([(low, high - 1) for low, high in zip(cuts, (*cuts[1:], r.last + 1), strict=True)])
    found = []
    for cell in product(*stretches):
        if not any(all(s[0] <= c[0] <= s[1] for s, c in zip(b, cell, strict=True)) for b in boxes):
            first, last = (_named(node.name, [c[i] for c in cell]) for i in (0, 1))
            found.append(first if first == last else f"{first} … {last}")
    return tuple(found)


def _named(node: str, places: Sequence[int]) -> str:
    return f"{node}[{', '.join(map(str, places))}]"


def alike(factor: ir.Factor, model: ir.Model) -> str | None:
    """The axis of a loop whose copies of q are the same function of the same values; None where none are."""
    reads = {r.axis for name in factor.given for r in model.valued(name).axes}
    for r in factor.axes:
        if r.copies > 1 and r.axis not in reads and not _own_weights(factor, r):
            return r.axis
    return None


def _own_weights(factor: ir.Factor, r: ir.Range) -> bool:
    if factor.trunk is not None and r in factor.trunk.copies:
        return True
    for parameter in factor.parameters:
        match parameter.source:
            case ir.Own(network) if r in network.copies:
                return True
            case ir.Table(_, copies) | ir.Learned(_, copies) if r in copies:
                return True
            case ir.Product() | ir.Mixture() | ir.Bayes():
                return True
            case _:
                pass
    return False
