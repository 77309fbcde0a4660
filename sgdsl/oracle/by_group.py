"""The bound of a row whose weights are averaged by group, from the draws and recombinations that its step took.

Formulas: docs/objective.md, sections 2 and 5. A term that reads one group is averaged by its weights, one that reads none
plainly, one that reads several on the recombined draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.groups import Group, Groups
from sgdsl.oracle.noise import Drawn
from sgdsl.oracle.placed import Placed
from sgdsl.oracle.program import Compiled

JOINT = "*"  # of terms that read several groups, in a row that has one: the weight of the whole sample


@dataclass(frozen=True, slots=True)
class GroupedRow:
    """`log_w[g]` [S] of each group; `f[g]` [S], the terms that go with its samples ("": with none); `recombined` [S];
    `exact`: log q of the labels that weigh nothing; `picks[g]` [S]: the samples taken, none in a row that is not recombined;
    scores [S] of the draws before and after recombination."""

    log_w: dict[str, Tensor]
    f: dict[str, Tensor]
    recombined: Tensor
    exact: Tensor
    picks: Mapping[str, Tensor]
    early: Tensor
    late: Tensor

    def bound(self, bound: str, alpha: float) -> Tensor:
        """Only snis is averaged by group."""
        assert bound == "snis"
        return self._parts(torch.arange(len(self.early)), alpha) + self.recombined.mean()

    def _parts(self, samples: Tensor, alpha: float) -> Tensor:
        """All but what is recombined, from these samples."""
        whole = (1 + alpha) * self.exact
        for log_w in self.log_w.values():
            whole = whole + (1 + alpha) * (log_w[samples].logsumexp(0) - math.log(len(samples)))
        joint = sum(self.log_w.values(), torch.zeros_like(self.early))
        for group, f in self.f.items():
            log_w = {JOINT: joint, "": torch.zeros_like(joint), **self.log_w}[group]
            whole = whole + (log_w[samples].softmax(0) * f[samples]).sum()
        return whole

    def objective(self, bound: str, alpha: float) -> Tensor:
        """The bound with its score terms: of the choice of samples, and of what was drawn before and after it."""
        with torch.no_grad():
            t = self.recombined
            gain = torch.stack([self._gain(s, alpha) for s in range(len(t))])
            late_gain = (t - t.mean()) / (len(t) - 1) if self.picks else gain
        taken = sum((self.log_w[g].log_softmax(0)[pick] for g, pick in self.picks.items()), self.late)
        return self.bound(bound, alpha) + (gain * _zero(self.early)).sum() + (late_gain * _zero(taken)).sum()

    def _gain(self, s: int, alpha: float) -> Tensor:
        """What sample s adds: to the parts, and to the recombined mean beyond that of the recombinations without it, over
        the probability that there is one."""
        t = self.recombined
        others = torch.tensor([i for i in range(len(t)) if i != s])
        parts = self._parts(torch.arange(len(t)), alpha) - self._parts(others, alpha)
        if not self.picks:
            return parts
        spared = math.prod(1 - float(self.log_w[g].softmax(0)[s]) for g in self.picks)
        apart = [i for i in others.tolist() if all(int(pick[i]) != s for pick in self.picks.values())]
        mean = t[torch.tensor(apart)].mean() if apart else t.new_zeros(())
        return parts + t.mean() - mean / -math.expm1(len(others) * math.log1p(-spared))


def _zero(score: Tensor) -> Tensor:
    """No value, but the gradient."""
    return score - score.detach()


def grouped_row(
    compiled: Compiled,
    row: Mapping[str, Tensor],
    known: tuple[str, ...],
    drawn: Mapping[str, Drawn],
    picks: Mapping[str, Tensor],
) -> GroupedRow:
    """One row. `drawn`: its draws, [S, entries]; `picks`: every weighed node's choice of samples."""
    groups, samples = compiled.groups, len(next(iter(picks.values())))
    assert groups.plan is not None
    late, picked = groups.plan.late, groups.picked(known)
    of = group_names(groups, known)
    again = {}
    for name, draw in drawn.items():
        group = of(groups.plan.carriers.get(name, ()))
        again[name] = draw.at(picks[group]) if group in picked and name not in late else draw
    one = Placed(compiled, row, known, drawn, samples, late)
    return placed_row(one, Placed(compiled, row, known, again, samples), {g: picks[g] for g in picked})


def group_names(groups: Groups, known: tuple[str, ...]) -> Callable[[Iterable[str]], str]:
    """Finds the name of the group that draws are in, "" for none."""
    name_of = {n: _name(groups, group) for group in groups.of(known) for n in group}
    weighed = groups.weighed(known)

    def group_of(carriers: Iterable[str]) -> str:
        of = {name_of[n] for c in carriers for n in groups.bears(c, known, weighed)}
        assert len(of) <= 1, "what reads several groups is not recombined"
        return of.pop() if of else ""

    return group_of


def placed_row(one: Placed, other: Placed, picks: Mapping[str, Tensor]) -> GroupedRow:
    """One row at its draws, and at the recombined ones; `picks`: of the groups that are recombined."""
    compiled, known, groups = one.compiled, one.known, one.compiled.groups
    assert groups.plan is not None
    late, group_of = groups.plan.late, group_names(groups, known)
    share, whole = _share(one, True), _share(other, False)
    log_w, exact = group_weights(one, known)
    f: dict[str, Tensor] = {}
    for factor in (*compiled.ir.p, *compiled.ir.q):
        carriers = groups.terms.get((factor.side, factor.node), ())
        group = JOINT if carriers is None else group_of(carriers)
        apart = carriers is None or factor.node in late
        term = (whole * other.log_prob(factor) if apart else share * one.log_prob(factor)).sum(1)
        f[group] = f.get(group, torch.zeros_like(term)) + (term if factor.side == "p" else -term)
    nothing = share.new_zeros(one.samples)
    recombined = f.pop(JOINT, nothing) if picks else nothing
    drawn = {n for n in compiled.chosen if one.kind(n) == "drawn"}
    return GroupedRow(
        log_w, f, recombined, exact, picks, _scores(one, drawn - set(late)), _scores(other, drawn & set(late))
    )


def _name(groups: Groups, group: Group) -> str:
    """Its first drawn node; any, where nothing is drawn."""
    assert groups.plan is not None
    return next((n for n in groups.plan.weighed if n in group), min(group))


def _is_early(at: Placed, factor: ir.Factor) -> bool:
    plan = at.compiled.groups.plan
    assert plan is not None
    return not plan.is_late(factor.side, factor.node)


def _share(at: Placed, early_only: bool) -> Tensor:
    """The weight of each assignment of the enumerated nodes within its sample, [S, A]."""
    factors = [f for f in at.compiled.ir.q if at.kind(f.node) != "drawn" and (not early_only or _is_early(at, f))]
    return sum((at.log_prob(f) for f in factors), at.zeros).softmax(1)


def group_weights(at: Placed, known: tuple[str, ...]) -> tuple[dict[str, Tensor], Tensor]:
    """log w of each group, [S], and log q of the labels that weigh nothing."""
    groups, q = at.compiled.groups, {f.node: f for f in at.compiled.ir.q}
    found: dict[str, Tensor] = {}
    rest = set(known)
    for group in groups.of(known):
        labels = {n for n in known if groups.above(n) & group}
        rest -= labels
        listed = [n for n in at.sizes if n in group]
        factors = [q[n] for n in (*listed, *labels)]
        others = math.prod(size for n, size in at.sizes.items() if n not in listed)
        log_w = sum((at.log_prob(f) for f in factors), at.zeros).logsumexp(1) - math.log(others)
        found[_name(groups, group)] = log_w
    return found, sum((at.log_prob(q[n])[0, 0] for n in rest), at.zeros[0, 0])


def _scores(at: Placed, names: set[str]) -> Tensor:
    """Σ log q of these nodes' draws, of those that are scored and not known."""
    scored = [n for n in names if at.compiled.chosen[n] == "score" and n not in at.known]
    q = {f.node: f for f in at.compiled.ir.q}
    return sum((at.once(n, at.log_prob(q[n])) for n in scored), at.zeros[:, 0])
