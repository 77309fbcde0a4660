"""Groups of weights: a pattern of labels comes in, the parts of A that are weighed apart go out (docs/objective.md, 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sgdsl.middle.estimators import before_and_above
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.recombination import Recombination


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: a component of A; `labels`: the known nodes that read it. Both in q's order."""

    members: tuple[str, ...]
    labels: tuple[str, ...]


def groups(graphs: Graphs, draws: Sequence[str], known: Collection[str]) -> tuple[Group, ...]:
    """The components of A, the unknown ancestors of B, in q's order; two members are joined where a factor q(a | pa),
    a in A, or q(b | pa), b in B, reads both, lets contracted. `draws`: q's nodes in order."""
    before, above = before_and_above(graphs, draws, known)
    first = {v: v for v in above}  # of a member towards the first of its component

    def root(v: str) -> str:
        while first[v] != v:
            first[v] = v = first[first[v]]
        return v

    place = {v: i for i, v in enumerate(draws)}
    for node in (*before, *above):
        roots = {root(v) for v in (node, *graphs.parents("q", node)) if v in first}
        first.update(dict.fromkeys(roots, min(roots, key=place.__getitem__)) if roots else {})
    members: dict[str, list[str]] = {}
    labels: dict[str, list[str]] = {}
    for v in above:
        members.setdefault(root(v), []).append(v)
    for v in before:
        labels.setdefault(next(root(u) for u in graphs.parents("q", v) if u in first), []).append(v)
    return tuple(Group(tuple(found), tuple(labels[v])) for v, found in members.items())


def as_emitted(
    found: tuple[Group, ...], plan: Recombination | None, drawn: Collection[str], known: Collection[str]
) -> tuple[Group, ...]:
    """The groups that an emitted step keeps apart: without a plan of recombination all that is drawn is one group, and with
    one the parents of a label are one group also where that label is unknown. `drawn`: the drawn nodes of this pattern."""
    members = {v for g in found for v in g.members}
    together = [members & set(drawn)] if plan is None else list(_joins(plan, members, known))
    for names in together:
        joined = [g for g in found if names & set(g.members)]
        if len(joined) > 1:
            whole = Group(sum((g.members for g in joined), ()), sum((g.labels for g in joined), ()))
            found = tuple(whole if g is joined[0] else g for g in found if g not in joined[1:])
    return found


def _joins(plan: Recombination, members: Collection[str], known: Collection[str]) -> Iterator[set[str]]:
    """The weighed draws of this pattern that factors read together, directly or through draws that no weight bears on."""
    drawn = [(v, *plan.above[v]) for v in plan.weighed if v not in known]
    units = [set(unit).difference(known) for unit in (*plan.joins, *drawn)]
    for unit in units:
        joined = set(unit)
        while more := [u for u in units if u & joined.difference(members) and not u <= joined]:
            joined.update(*more)
        yield joined.intersection(members)
