"""Which weighed draws are one group in every pattern of labels: what each reads and what factors join them come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from sgdsl.middle import ir

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kin:
    """Two draws are together where one factor reads both, or latent ancestors of both, which are weighed whenever these
    are. `place`: of each weighed draw in q's order; `latent`: its latent parents among these; `factors`: numbers of the
    factors that read it; `first`: its latent ancestors that have none, or itself."""

    place: Mapping[str, int]
    latent: Mapping[str, Names] = field(default_factory=dict)
    factors: Mapping[str, frozenset[int]] = field(default_factory=dict)
    first: Mapping[str, frozenset[str]] = field(default_factory=dict)
    known: dict[str, frozenset[int]] = field(default_factory=dict, repr=False)

    def ordered(self, names: Iterable[str]) -> Names:
        """Weighed draws in q's order."""
        return tuple(sorted({v for v in names if v in self.place}, key=self.place.__getitem__))

    def together(self, draws: Sequence[str]) -> bool:
        """Whether every pair of some draws is."""
        if len(draws) < 2 or frozenset.intersection(*(self.first[v] for v in draws)):
            return True
        return not any(self._above(u).isdisjoint(self._above(v)) for u, v in combinations(draws, 2))

    def _above(self, draw: str) -> frozenset[int]:
        """The factors that read a draw or a latent ancestor of it."""
        if draw not in self.known:
            seen, todo = {draw}, [draw]
            while todo:
                new = [a for a in self.latent[todo.pop()] if a not in seen]
                seen.update(new)
                todo += new
            self.known[draw] = frozenset[int]().union(*(self.factors[v] for v in seen))
        return self.known[draw]


def kin_of(model: ir.Model, weighed: Names, above: Mapping[str, Names], joins: Iterable[Names]) -> Kin:
    """`above`: the weighed draws that each reads; `joins`: those that a factor of log w reads."""
    latent = {v: tuple(a for a in above[v] if model.node(a).role == "latent") for v in weighed}
    factors: dict[str, set[int]] = {v: set() for v in weighed}
    for i, joined in enumerate((*joins, *((v, *above[v]) for v in weighed))):
        for v in joined:
            factors[v].add(i)
    first: dict[str, frozenset[str]] = {}
    for v in weighed:
        first[v] = frozenset[str]().union(*(first[a] for a in latent[v])) or frozenset((v,))
    place = {v: i for i, v in enumerate(weighed)}
    return Kin(place, latent, {v: frozenset(found) for v, found in factors.items()}, first)
