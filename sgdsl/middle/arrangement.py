"""Single copies and what is written of q come in; an order in which q can draw them, the same at every place of a loop, goes out.

Sequences are drawn place by place, plates node by node: what ties the copies of a plate together comes before them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from sgdsl.middle.digraph import Digraph, digraph, reached
from sgdsl.middle.moral import UNKNOWN, Moral
from sgdsl.middle.singles import Singles


@dataclass(frozen=True, slots=True)
class Along:
    """The items at one place of an axis, then at the next: first to last, or `back`."""

    axis: str
    items: tuple[Item, ...]
    back: bool = False


@dataclass(frozen=True, slots=True)
class _Unit:
    """Names that are eliminated together, along an axis; or one name."""

    names: tuple[str, ...]
    axis: str | None = None


Item = str | Along
Fixed = Mapping[str, int]  # the place of each axis around


def drawing_order(singles: Singles, kept: Digraph, written: frozenset[str], after: bool) -> tuple[str, ...]:
    """The unknown copies of `kept`, each after what its written factor reads; () where that is not possible."""
    needs = _needs(singles, kept, written, after)
    if not needs.acyclic:
        return ()
    names = tuple(dict.fromkeys(singles.of[v].node.name for v in needs))
    arranger = _Arranger(singles, kept, written, needs)
    key = {v: i for i, v in enumerate(arranger.copies(arranger.arranged(names)))}
    return needs.order(key.__getitem__)


def _needs(singles: Singles, kept: Digraph, written: frozenset[str], after: bool) -> Digraph:
    """An edge u → v: u is drawn before v, as in ordering.constraints; with `after` a label comes after those copies of its own
    latents that stand where it stands."""
    of, unknown = singles.of, [v for v in kept if singles.of[v].node.role in UNKNOWN]
    inside = set(unknown)
    edges = [(u, v) for u, v in singles.q.edges if u in inside and v in inside and of[v].node.name in written]
    edges += [(u, v) for u, v in singles.counted() if u in inside and v in inside]
    if not after:
        return digraph(unknown, edges)
    latents = [v for v in unknown if of[v].node.role == "latent"]
    below: dict[str, dict[str, None]] = {}
    for u, v in edges:
        below.setdefault(of[u].node.name, {})[of[v].node.name] = None
    for name in dict.fromkeys(of[v].node.name for v in unknown if of[v].node.role == "supervised"):
        if name in written:
            continue
        later = reached(below, (name,))
        labels = [v for v in unknown if of[v].node.name == name]
        own = {of[v].node.name for v in kept.descendants(*labels) & set(latents)} or {of[v].node.name for v in latents}
        for u in (u for u in latents if of[u].node.name in own - later):
            edges += [(u, v) for v in labels if _same_place(singles, u, v)]
        for latent in own - later:
            below.setdefault(latent, {})[name] = None
    return digraph(unknown, edges)


def _same_place(singles: Singles, u: str, v: str) -> bool:
    """Whether two copies stand at one place of each axis that both have."""
    one, other = singles.of[u], singles.of[v]
    return all(other.at(r.axis) in (None, p) for r, p in zip(one.node.axes, one.places, strict=True))


class _Arranger:
    """Lifted min-fill: names are eliminated with all their copies, from the last one drawn."""

    def __init__(self, singles: Singles, kept: Digraph, written: frozenset[str], needs: Digraph) -> None:
        self.singles, self.written, self.needs = singles, written, needs
        roles = {v: singles.of[v].node.role for v in kept}
        self.moral = Moral(kept, roles)
        self.place = {v: i for i, v in enumerate(kept.generations())}
        self.of: dict[str, list[str]] = {}
        for v in needs:
            self.of.setdefault(singles.of[v].node.name, []).append(v)
        latents = [v for v in needs if roles[v] == "latent"]
        self.behind = {singles.of[v].node.name for v in needs.descendants(*latents)}

    def arranged(self, names: Sequence[str], fixed: Fixed | None = None) -> list[Item]:
        """In the order of drawing. Eliminates the copies."""
        fixed = fixed or {}
        left = self._units(names, fixed)
        found: list[Item] = []
        while left:
            free = [u for u in left if not self._needed(u, left, fixed)] or left
            unit = min(free, key=lambda u: (self._rank(u), self._fill(u, fixed), self._depth(u, fixed)))
            unit = self._untied(unit, free, fixed)
            left.remove(unit)
            found.append(self._taken(unit, fixed))
        return found[::-1]

    def copies(self, items: Iterable[Item], fixed: Fixed | None = None) -> Iterator[str]:
        """All copies that stand at the fixed places, in the order of the items."""
        fixed = fixed or {}
        for item in items:
            if isinstance(item, str):
                yield from self._at((item,), fixed)
            else:
                places = sorted(self._places(_names(item), item.axis, fixed), reverse=item.back)
                for p in places:
                    yield from self.copies(item.items, {**fixed, item.axis: p})

    def _units(self, names: Sequence[str], fixed: Fixed) -> list[_Unit]:
        """The names that are drawn place by place together, in the same loops: those of a sequence, and those that a child ties;
        each other one alone."""
        left, found = list(names), []
        sequences, tied = self.singles.sequences, self.singles.tied
        groups = [(a, frozenset(names)) for a in sorted(sequences, key=self._level)]
        for axis, members in (*groups, *sorted(tied.items(), key=lambda group: self._level(group[0]))):
            group = [n for n in left if n in members and self._has(n, axis) and axis not in fixed]
            for axes in dict.fromkeys(self._axes(n) for n in group):
                found.append(_Unit(tuple(n for n in group if self._axes(n) == axes), axis))
            left = [n for n in left if n not in group]
        return [*found, *(_Unit((n,)) for n in left)]

    def _level(self, axis: str) -> int:
        """How many loops stand around an axis."""
        found = (i for n in self.of for i, r in enumerate(self.singles.model.node(n).axes) if r.axis == axis)
        return max(found, default=0)

    def _axes(self, name: str) -> frozenset[str]:
        return frozenset(r.axis for r in self.singles.model.node(name).axes)

    def _has(self, name: str, axis: str) -> bool:
        return axis in self._axes(name)

    def _at(self, names: Iterable[str], fixed: Fixed) -> list[str]:
        of = self.singles.of
        return [v for n in names for v in self.of[n] if all(of[v].at(a) in (None, p) for a, p in fixed.items())]

    def _places(self, names: Iterable[str], axis: str, fixed: Fixed) -> set[int]:
        found = (self.singles.of[v].at(axis) for v in self._at(names, fixed))
        return {p for p in found if p is not None}

    def _taken(self, unit: _Unit, fixed: Fixed) -> Item:
        """A unit as an item; its copies are eliminated."""
        names, axis = unit.names, unit.axis
        if axis is None:
            self._eliminate(reversed(self._at(names, fixed)))
            return names[0]
        back = self._backward(names, axis)
        places = sorted(self._places(names, axis, fixed), reverse=not back)
        whole = max(
            places, key=lambda p: len(self._at(names, {**fixed, axis: p}))
        )  # the last of those with most copies
        for p in places[: places.index(whole)]:
            self._eliminate(self._at(names, {**fixed, axis: p}))
        items = tuple(self.arranged(names, {**fixed, axis: whole}))
        for p in places[places.index(whole) + 1 :]:
            self._eliminate(reversed(list(self.copies(items, {**fixed, axis: p}))))
        return Along(axis, items, back)

    def _backward(self, names: Sequence[str], axis: str) -> bool:
        """Whether what is written of q reads later places, and none reads earlier ones."""
        of, inside = self.singles.of, set(self._at(names, {}))
        steps = [(of[v].at(axis), of[u].at(axis)) for u, v in self.needs.edges if u in inside and v in inside]
        moves = {(here or 0) - (there or 0) for here, there in steps} - {0}
        return bool(moves) and max(moves) < 0

    def _eliminate(self, copies: Iterable[str]) -> None:
        for v in copies:
            self.moral.eliminate(v)

    def _needed(self, unit: _Unit, left: Iterable[_Unit], fixed: Fixed) -> bool:
        """Whether another unit that is left is drawn after it."""
        others = set(self._at([n for u in left if u != unit for n in u.names], fixed))
        return any(v in others for u in self._at(unit.names, fixed) for v in self.needs.successors(u))

    def _rank(self, unit: _Unit) -> int:
        """As in ordering._rank."""
        return min(map(self._rank_of, unit.names))

    def _rank_of(self, name: str) -> int:
        if self.singles.model.node(name).role == "latent":
            return 1 if name in self.written else 0
        return 2 if name in self.behind else 3

    def _fill(self, unit: _Unit, fixed: Fixed) -> float:
        """How many edges the elimination of one copy would add, in the mean."""
        fills = [self.moral.fill[v] for v in self._at(unit.names, fixed)]
        return sum(fills) / max(len(fills), 1)

    def _depth(self, unit: _Unit, fixed: Fixed) -> int:
        return min((self.place[v] for v in self._at(unit.names, fixed)), default=0)

    def _untied(self, unit: _Unit, free: Sequence[_Unit], fixed: Fixed) -> _Unit:
        """The unit; or another one first, which is then drawn after it, where its own elimination would tie copies of that one
        together: recognition of a plate stays a plate, of a chain a chain."""
        seen: set[_Unit] = set()
        while unit not in seen:
            seen.add(unit)
            borders = list(self._borders(set(self._at(unit.names, fixed))))
            along = self.singles.sequences & self._axes(unit.names[0])
            made = (u for u in free if u not in seen and not self.written.issuperset(u.names))
            tied = (u for u in made if any(self._ties(b, u, along, fixed) for b in borders))
            unit = next(tied, unit)
        return unit

    def _borders(self, copies: set[str]) -> Iterator[set[str]]:
        """What each connected part of some copies borders on: its elimination joins all of that."""
        while copies:
            part, todo, border = set[str](), [next(iter(copies))], set[str]()
            while todo:
                v = todo.pop()
                part.add(v)
                near = self.moral.near[v]
                border |= near - copies
                todo += near & copies - part
            yield border
            copies = copies - part

    def _ties(self, border: set[str], unit: _Unit, along: frozenset[str], fixed: Fixed) -> bool:
        """Whether a border joins copies of a unit that stand apart on other axes than those `along` which the border runs."""
        for name in unit.names:
            copies = sorted(border.intersection(self._at((name,), fixed)))
            if any(self._apart(a, b, along) and b not in self.moral.near[a] for a, b in combinations(copies, 2)):
                return True
        return False

    def _apart(self, a: str, b: str, along: frozenset[str]) -> bool:
        one, other = self.singles.of[a], self.singles.of[b]
        places = zip(one.node.axes, one.places, other.places, strict=True)
        return any(p != q and r.axis not in along for r, p, q in places)


def _names(item: Item) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    else:
        for inner in item.items:
            yield from _names(inner)
