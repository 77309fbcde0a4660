"""Groups of weights: one row's grid comes in; the expectation of the bound whose weights are averaged by group goes out.

In a row the unknown nodes that its labels weigh fall into groups whose draws are independent given the data. So the mean over
recombinations of a term is, in expectation, its mean under the product of the groups' own self-normalised distributions
(docs/objective.md, section 2): no draw of one group is ever put beside a draw of another.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.middle.plan import Plan, Term, differing
from sgdsl.middle.recombination import Recombination
from sgdsl.oracle.exact import draw_tree, static_scopes
from sgdsl.oracle.grid import Grid, parents, product

Group = frozenset[str]
Names = tuple[str, ...]


def groups_of(model: ir.Model, plan: Plan) -> Groups:
    """Of a planned model."""
    sampled = frozenset(n for n, choice in plan.choices.items() if choice.name == "sum_and_sample")
    chosen = {n: "enumerate" if n in sampled else choice.name for n, choice in plan.choices.items()}
    terms: dict[tuple[str, str], Names | None] = {}
    for term in plan.terms if plan.groups else ():
        assert plan.groups is not None
        terms[term.side, term.node] = _carriers(model, plan, plan.groups, term)
    return Groups(model, chosen, plan.groups, terms, sampled)


def _carriers(model: ir.Model, plan: Plan, groups: Recombination, term: Term) -> Names | None:
    """What a term and the shares of its level read: a level's share is its factors of q · w less those of log w."""
    if term.constant:
        return ()
    keys = differing(model, plan, term)
    found = {*groups.term(term.side, term.node), *(c for key in keys for c in groups.key(key))}
    carriers = tuple(n for n in groups.weighed if n in found)
    late = groups.is_late(term.side, term.node) or any(groups.late_key(key) for key in keys)
    return None if late or not groups.together(carriers) else carriers


class Recombined(Protocol):
    """What is asked of a plan of recombination: see middle/recombination.py."""

    @property
    def weighed(self) -> Names: ...

    @property
    def above(self) -> Mapping[str, Names]: ...

    @property
    def joins(self) -> tuple[Names, ...]: ...

    @property
    def carriers(self) -> Mapping[str, Names]: ...

    @property
    def late(self) -> Collection[str]: ...

    def is_late(self, side: ir.Side, node: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Groups:
    """`plan`: what the plan joins beyond what the graph must; None: all that is weighed is one group. `terms`: the weighed
    nodes whose samples a term (side, node) goes with; None for one that is recombined.
    `sampled`: nodes by sum_and_sample; the bound is linear in them, so that its expectation is that of enumeration, and
    `chosen` says so."""

    model: ir.Model
    chosen: Mapping[str, str]
    plan: Recombined | None
    terms: Mapping[tuple[str, str], Names | None] = field(default_factory=dict)
    sampled: frozenset[str] = frozenset()

    @property
    def planned(self) -> Mapping[str, str]:
        """The estimators of the step."""
        return {n: "sum_and_sample" if n in self.sampled else how for n, how in self.chosen.items()}

    def weighed(self, known: Iterable[str]) -> set[str]:
        """Unknown ancestors of the known nodes, through unknown nodes."""
        found: set[str] = set()
        todo = list(known)
        while todo:
            above = self.above(todo.pop()) - set(known) - found
            found |= above
            todo += above
        return found

    def of(self, known: Sequence[str]) -> tuple[Group, ...]:
        """The groups of a row: two nodes are in one when a factor of q that is weighed reads both, when one has a draw for
        each value of the other, or when the plan joins them."""
        weighed = self.weighed(known)
        if self.plan is None:
            return (frozenset(weighed),) if weighed else ()
        scopes = static_scopes(self.model, self.chosen)
        joins = [({n} | self.above(n) | set(scopes[n])) & weighed for n in weighed]
        joins += [self.above(n) & weighed for n in known]
        joins += [set().union(*(self.bears(n, known, weighed) for n in unit)) for unit in self._units(known)]
        return _merged(joins)

    def picked(self, known: Sequence[str]) -> dict[str, Group]:
        """The groups that a row's recombinations draw a sample of, by their first drawn node; none below two."""
        if self.plan is None:
            return {}
        firsts = [(next((n for n in self.plan.weighed if n in group), ""), group) for group in self.of(known)]
        found = {first: group for first, group in firsts if first}
        return found if len(found) > 1 else {}

    def above(self, name: str) -> set[str]:
        return parents(self.model, self.model.factor("q", name).given) & self.chosen.keys()

    def bears(self, name: str, known: Sequence[str], weighed: set[str]) -> set[str]:
        """The weighed nodes that a drawn node's samples go with in this row: itself, or all that factors tie it to, directly or
        through draws that no weight bears on either."""
        if name in known or name in weighed:
            return {name} & weighed
        reached = {name}
        while True:
            units = [unit - set(known) for unit in self._units(known) if unit & (reached - weighed)]
            if reached.issuperset(set().union(*units)):
                return reached & weighed
            reached.update(*units)

    def _units(self, known: Sequence[str]) -> list[set[str]]:
        """The weighed draws that one factor reads: of log w, or of a draw that is unknown."""
        assert self.plan is not None
        own = [{n, *self.plan.above[n]} for n in self.plan.weighed if n not in known]
        return [*map(set, self.plan.joins), *own]

    def expectation(self, grid: Grid, alpha: float, samples: int) -> Tensor:
        """E[snis] over all draws and recombinations of S samples."""
        digits = dict(zip(grid.sizes, product(list(grid.sizes.values())).unbind(1), strict=True))
        groups, whole = self.of(grid.known), grid.log_p.new_zeros(())
        weight = torch.ones_like(grid.log_p)
        free = set(grid.sizes).difference(*groups)
        exact = set(grid.known)
        for group in groups:
            labels = tuple(n for n in grid.known if self.above(n) & group)
            exact -= set(labels)
            part = _Part.of(self.model, self.chosen, _slice(grid, digits, group, labels), samples)
            weight = weight * part.weight[_place(grid, digits, group)]
            whole = whole + part.log_q
        rest = sum((grid.log_draw[n] for n in grid.sizes if n in free), torch.zeros_like(grid.log_p))
        whole = whole + sum((grid.log_q[n][0] for n in exact), grid.log_p.new_zeros(()))
        f = grid.log_p - grid.log_r - grid.log_w
        return (weight * rest.exp() * f).sum() + (1 + alpha) * whole


@dataclass(frozen=True, slots=True)
class _Part:
    """One group: `weight` [its cells], E of the self-normalised weights; `log_q` = E[log mean_s w_s]."""

    weight: Tensor
    log_q: Tensor

    @staticmethod
    def of(model: ir.Model, chosen: Mapping[str, str], grid: Grid, samples: int) -> _Part:
        """From all draws of S samples."""
        index, log_draw = draw_tree(model, grid, chosen)
        listed = [grid.log_q[n] for n in grid.sizes if chosen[n] == "enumerate"]
        weighed = (sum(listed, torch.zeros_like(grid.log_p)) + grid.log_w)[index]
        log_w, share = weighed.logsumexp(1), weighed.softmax(1)
        drawn = product([len(log_draw)] * samples)
        probability = log_draw[drawn].sum(1).exp()
        taken = (probability[:, None] * log_w[drawn].softmax(1)).flatten()
        mass = torch.zeros_like(log_draw).index_add(0, drawn.flatten(), taken)
        weight = torch.zeros_like(grid.log_p).index_add(0, index.flatten(), (mass[:, None] * share).flatten())
        return _Part(weight, (probability * (log_w[drawn].logsumexp(1) - math.log(samples))).sum())


def _merged(joins: Iterable[set[str]]) -> tuple[Group, ...]:
    """The connected parts."""
    found: list[set[str]] = []
    for join in joins:
        met = [group for group in found if group & join]
        found = [group for group in found if not group & join] + ([join.union(*met)] if join else [])
    return tuple(frozenset(group) for group in found)


def _slice(grid: Grid, digits: Mapping[str, Tensor], group: Group, labels: tuple[str, ...]) -> Grid:
    """The cells of a group, with the first value of every other node, which its factors do not read."""
    first = torch.ones(len(grid.log_p), dtype=torch.bool)
    for name, digit in digits.items():
        first = first if name in group else first & (digit == 0)
    sizes = {n: size for n, size in grid.sizes.items() if n in group}
    log_q, log_draw = ({n: t[first] for n, t in found.items()} for found in (grid.log_q, grid.log_draw))
    return Grid(sizes, labels, grid.log_p[first], log_q, log_draw)


def _place(grid: Grid, digits: Mapping[str, Tensor], group: Group) -> Tensor:
    """The cell of a group that each cell of the grid is in."""
    place = torch.zeros(len(grid.log_p), dtype=torch.long)
    for name, size in grid.sizes.items():
        place = place * size + digits[name] if name in group else place
    return place
