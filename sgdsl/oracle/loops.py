"""A program with loops comes in; the cases of its emitted step against the bounds of its written-out model, by hand, go out.

The step draws by functions of parameters (keyed.py), so that both sides have the same draws wherever a copy is drawn. All
values of what is enumerated are summed over at once, whatever the step sums copy by copy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sgdsl.middle.estimators import Choice
from sgdsl.middle.plan import Plan
from sgdsl.oracle.by_group import group_names, group_weights, placed_row
from sgdsl.oracle.by_hand import Hand, joint
from sgdsl.oracle.cases import Case, failed, gradient, number
from sgdsl.oracle.copied_groups import copied_groups
from sgdsl.oracle.counted import WrittenOut, written_out
from sgdsl.oracle.groups import Groups
from sgdsl.oracle.keyed import Keyed
from sgdsl.oracle.outcomes import gradients
from sgdsl.oracle.placed import Placed
from sgdsl.oracle.program import Compiled, batch_of, copies, example

ALPHA = 0.5
ASSIGNMENTS = 1024  # of a row's enumerated unknown copies, up to which they are summed by hand
LABELS = 4  # of which every subset is looked at
SEEDS = (5, 6)
Known = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looped:
    """`compiled`: the model with its loops; `flat`: the same written out, every node a copy; `how[copy]`: its estimator and
    temperature."""

    compiled: Compiled
    flat: Compiled
    flats: WrittenOut
    how: Mapping[str, tuple[str, float]]

    def patterns(self) -> list[Known]:
        """Subsets of the labels' copies, with the counts that they need known; none where these are latent."""
        latent = {n.name for n in self.compiled.ir.nodes if n.role == "latent"}
        nodes = [n for n in self.compiled.ir.nodes if n.role == "supervised"]
        labels = [c for n in nodes for c, _ in copies(n) if latent.isdisjoint(self._places(c))]
        if len(labels) <= LABELS:
            some = [s for size in range(len(labels) + 1) for s in itertools.combinations(labels, size)]
        else:
            some = [
                (),
                *((n,) for n in labels),
                *(tuple(n for n in labels if n != left) for left in labels),
                *(
                    tuple(part)
                    for part in (labels[::2], labels[1::2], labels[: len(labels) // 2], labels[len(labels) // 2 :])
                ),
                (*labels,),
            ]
        found = dict.fromkeys(
            tuple(sorted({*s, *(k for n in s for k in self._places(n) if k in labels)}, key=labels.index)) for s in some
        )
        return list(found)

    def _places(self, copy: str) -> dict[str, int]:
        """The counts that say whether a copy exists, and its place in their loops."""
        name, places = self.flats.most.copies[copy]
        counts = (self.compiled.ir.axis(r.axis).count for r in self.compiled.ir.node(name).axes)
        return {k: place for k, place in zip(counts, places, strict=True) if k is not None}

    def row(self, known: Known, seed: int) -> dict[str, Tensor]:
        """Values by node of the loops; the counts are such that every known copy exists."""
        row = example(self.compiled.ir, seed)
        for i, k in enumerate(n for n in self.flats.names if n in row):
            kind = self.compiled.ir.node(k).type
            places = [found[k] for found in map(self._places, known) if k in found]
            least = max([kind.first, *places])
            row[k] = torch.tensor(least + (seed + i) % (kind.first + (kind.values or 1) - least))
        return row

    def written(self, row: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same by copy."""
        nodes = [n for n in self.compiled.ir.nodes if n.name in row]
        return {copy: row[n.name][at] for n in nodes for copy, at in copies(n)}


def looped(compiled: Compiled, plan: Plan) -> Looped:
    """`plan`: of the model with its loops, as emitted."""
    choices: Mapping[str, Choice] = plan.choices
    flats = written_out(compiled.ir)
    owner = {
        copy: flats.most.weights[f"q_{copy}"][2:] for copy in flats.most.copies if f"q_{copy}" in flats.most.weights
    }
    made = {c: choices[own if own in choices else flats.most.copies[c][0]] for c, own in owner.items()}
    chosen = {c: choice.name for c, choice in made.items()}
    baselines = {c: compiled.baselines.get(flats.most.copies[c][0], "loo") for c in made if chosen[c] == "score"}
    closed = frozenset(c for c, own in owner.items() if own in compiled.closed)
    groups = Groups(flats.full, chosen, None)
    if plan.groups:
        groups = copied_groups(plan.groups, compiled.groups.terms, flats, chosen)
    flat = replace(
        compiled, ir=flats.full, chosen=chosen, groups=groups, baselines=baselines, closed=closed, flats=flats
    )
    how = {c: (choice.name, float(dict(choice.options).get("temperature", 1.0))) for c, choice in made.items()}
    return Looped(compiled, flat, flats, how)


class KeyedPlaced(Placed):
    """One row of the written-out model at the draws that its parameters make."""

    def __init__(
        self,
        of: Looped,
        keyed: Keyed,
        row: Mapping[str, Tensor],
        known: Known,
        samples: int,
        without: Collection[str] = (),
        again: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.of, self.keyed, self.again = of, keyed, again or {}
        super().__init__(of.flat, row, known, {}, samples, without)

    def once(self, name: str, log_q: Tensor) -> Tensor:
        """Of a copy's draws that counts share, where it exists: the last of the assignments that read each."""
        use = self._copies(name).expand(self.shape[1])
        last = torch.stack([(use == k).nonzero()[-1, 0] for k in range(int(use.max()) + 1)])
        return log_q[:, last].sum(1)

    def _again(self, name: str, at: Mapping[str, Tensor]) -> Tensor:
        if name in self.again:
            return self.again[name]
        factor = self.compiled.ir.factor("q", name)
        wide = {n: p.expand(math.prod(self.shape), *p.shape[1:]).unflatten(0, self.shape) for n, p in at.items()}
        size = (*self.shape, *self.compiled.ir.node(name).type.event)
        value = self.keyed.drawn(factor.family, self.of.how[name], wide, size).flatten(0, 1)
        return (value.detach() if self.of.how[name][0] == "score" else value).double()


def _hand(of: Looped, keyed: Keyed, row: Mapping[str, Tensor], known: Known, samples: int) -> Hand:
    """One row at the draws that its parameters make; the sample that a group takes in a recombination is one of its weights."""
    groups = of.flat.groups
    if groups.plan is None or samples == 1:
        return joint(KeyedPlaced(of, keyed, row, known, samples))
    late = groups.plan.late
    one = KeyedPlaced(of, keyed, row, known, samples, late)
    log_w, group_of, picked = group_weights(one, known)[0], group_names(groups, known), groups.picked(known)
    picks = {g: keyed.resample((samples, 1), log_w[g][:, None])[:, 0] for g in picked}
    again = {}
    for name in of.flat.chosen:
        if one.kind(name) == "drawn" and name not in late:
            value, group = one.values[name], group_of(groups.plan.carriers.get(name, ()))
            wide = value.expand(math.prod(one.shape), *value.shape[1:]).unflatten(0, one.shape)
            again[name] = wide[picks[group]].flatten(0, 1) if group in picked else value
    return placed_row(one, KeyedPlaced(of, keyed, row, known, samples, (), again), picks)


def check_loops(of: Looped) -> tuple[list[Case], list[str]]:
    """Values and gradients of one bound, rows of every pattern of labels together in a batch; what was left out."""
    compiled, found = of.compiled, list[Case]()
    left_out = {known: _left_out(of, known) for known in of.patterns()}
    small = [known for known, why in left_out.items() if not why]
    skipped = [f"{', '.join(k) or 'nothing'} known: {why}" for k, why in left_out.items() if why]
    if compiled.doubly:
        skipped.append("gradients: gradient = dreg in loops")
    if others := [n for n, how in compiled.baselines.items() if how != "loo"]:
        skipped.append(f"gradients: {', '.join(others)} with a learned baseline")
    for samples in (1, 3):
        for seed in SEEDS:
            found += _same_draws(of, small, samples, seed) if small else []
    return found, skipped


def _left_out(of: Looped, known: Known) -> str:
    """Why rows of a pattern are not summed by hand."""
    unknown = {n: how for n, how in of.flat.chosen.items() if n not in known}
    if sampled := sorted(n for n, how in unknown.items() if how == "sum_and_sample"):
        return f"{', '.join(sampled)} by sum_and_sample"
    listed = (of.flat.ir.node(n).type.cardinality or 1 for n, how in unknown.items() if how == "enumerate")
    values = math.prod(listed)
    return f"{values:,} values at once" if values > ASSIGNMENTS else ""


def _same_draws(of: Looped, patterns: Sequence[Known], samples: int, seed: int) -> Iterator[Case]:
    compiled, keyed = of.compiled, Keyed(0.1 * seed)
    places = [Case("as it is", compiled.bound, known, samples, "value") for known in patterns]
    rows = [(of.row(known, seed + i), known, 1) for i, known in enumerate(patterns)]
    try:
        step = compiled.run(batch_of(compiled, rows), keyed, samples, ALPHA)
    except Exception as error:  # whatever the emitted step does wrong is a finding
        yield from (failed(place, error) for place in places)
        return
    for i, (place, (row, known, _)) in enumerate(zip(places, rows, strict=True)):
        hand = _hand(of, keyed, of.written(row), known, samples)
        bound = hand.bound(compiled.bound, ALPHA)
        yield number(place, float(bound.detach()), float(step.bound[i].detach()))
        if not compiled.doubly and all(how == "loo" for how in compiled.baselines.values()):
            wanted, slopes = (
                gradients(compiled, t) for t in (hand.objective(compiled.bound, ALPHA), step.objective[i])
            )
            yield gradient(replace(place, what="gradient"), wanted, slopes)
