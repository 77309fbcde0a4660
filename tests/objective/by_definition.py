"""The bounds from their definitions, for finite models whose factors are all tables: nodes come in; expectations over all
draws go out. It shares nothing with sgdsl/oracle: no plan, levels, messages or shares, only sums over lists of assignments.

A sample is a draw of every drawn node for each assignment of the enumerated nodes that it depends on. With
W = Σ_c q(c) w_c over the enumerated nodes of a sample and f̄ = Σ_c q(c) w_c f_c / W, snis is
Σ_s W_s f̄_s / Σ_s W_s + (1 + α) log mean_s W_s, and so on (docs/objective.md, sections 1 to 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

Row = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Node:
    """`p`, `q`: its parents on each side; `by`: as written behind `by` ("" for none)."""

    name: str
    role: str
    size: int
    p: tuple[str, ...] = ()
    q: tuple[str, ...] = ()
    by: str = ""

    def parents(self, side: str) -> tuple[str, ...]:
        return self.p if side == "p" else self.q

    @property
    def inferred(self) -> bool:
        return self.role in ("latent", "supervised")


def program(nodes: Sequence[Node]) -> str:
    """The .sgm file: a table a factor, free logits where it has no parents."""
    lines = ["model tables", *(f"{n.role} {n.name} : class({n.size})" for n in nodes)]
    for side in "pq":
        for n in nodes:
            if n.inferred or (side == "p" and n.role == "observed"):
                given = n.parents(side)
                head = f"{side}({n.name} | {', '.join(given)})" if given else f"{side}({n.name})"
                by = f" by {n.by}" if n.by and side == "q" else ""
                lines.append(f"{head} = Categorical({'table' if given else 'learned'}){by}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Sample:
    """One outcome of a sample's draws: its log probability, and for each assignment of the enumerated nodes the values of all
    nodes, log q of the enumerated ones, log w and f, log p / (density of what was drawn)."""

    log_r: Tensor
    values: tuple[Row, ...]
    log_q: Tensor
    log_w: Tensor
    f: Tensor
    log_v: Tensor


class Definition:
    """`order`: q's order; `drawn`: its nodes that are drawn, the others are enumerated; `weights`: logits by side and node."""

    def __init__(
        self,
        nodes: Sequence[Node],
        order: Sequence[str],
        drawn: Iterable[str],
        weights: Mapping[tuple[str, str], Tensor],
    ) -> None:
        self.nodes = {n.name: n for n in nodes}
        self.order, self.drawn = tuple(order), frozenset(drawn)
        self.tables = {key: logits.log_softmax(-1) for key, logits in weights.items()}

    def log(self, side: str, name: str, values: Row) -> Tensor:
        """log p or log q of a node at an assignment."""
        given = self.nodes[name].parents(side)
        return self.tables[side, name][(*(values[g] for g in given), values[name])]

    def total(self, side: str, names: Iterable[str], values: Row) -> Tensor:
        return sum((self.log(side, n, values) for n in names), torch.zeros(()))

    def samples(self, row: Row, known: Row, members: Iterable[str], labels: Iterable[str]) -> list[Sample]:
        """Every outcome of the draws among `members`; `labels`: the known nodes that weigh."""
        members, labels = set(members), [v for v in self.order if v in set(labels)]
        listed = [v for v in self.order if v in members and v not in self.drawn]
        drawn = [v for v in self.order if v in members and v in self.drawn]
        modelled = [n for n, node in self.nodes.items() if node.role != "given"]
        cases = self._cases(listed)
        draws = {v: tuple(c for c in listed if c in self._above(v, known)) for v in drawn}
        slots = [(v, case) for v in drawn for case in self._cases(draws[v])]
        found = []
        for outcome in product(*(range(self.nodes[v].size) for v, _ in slots)):
            taken = dict(zip(slots, outcome, strict=True))
            values = []
            for case in cases:
                at = {**row, **known, **dict(zip(listed, case, strict=True))}
                values.append({**at, **{v: taken[v, tuple(at[c] for c in draws[v])] for v in drawn}})
            each = {(v, tuple(at[c] for c in draws[v])): (v, at) for at in values for v in drawn}
            log_r = sum((self.log("q", v, at) for v, at in each.values()), torch.zeros(()))
            log_q = torch.stack([self.total("q", listed, at) for at in values])
            log_w = torch.stack([self.total("q", labels, at) for at in values])
            whole = all(v in at for at in values for v in modelled)
            log_p = torch.stack([self.total("p", modelled if whole else (), at) for at in values])
            log_v = log_p - torch.stack([self.total("q", drawn, at) for at in values])
            found.append(Sample(log_r, tuple(values), log_q, log_w, log_v - log_q - log_w, log_v))
        return found

    def _cases(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        return list(product(*(range(self.nodes[n].size) for n in names)))

    def _above(self, name: str, known: Row) -> set[str]:
        """The enumerated unknown nodes that a drawn node's value depends on, through draws."""
        found: set[str] = set()
        for parent in self.nodes[name].q:
            if parent in self.order and parent not in known:
                found |= self._above(parent, known) if parent in self.drawn else {parent}
        return found

    def expected(self, bound: str, row: Row, known: Row, samples: int, alpha: float) -> Tensor:
        """E[bound] over all draws of S samples, the weight of a sample that of all its labels."""
        one = self.samples(row, known, set(self.order) - set(known), known)
        log_r = torch.stack([s.log_r for s in one])
        log_w = torch.stack([(s.log_q + s.log_w).logsumexp(0) for s in one])
        f = torch.stack([((s.log_q + s.log_w).softmax(0) * s.f).sum() for s in one])
        plain_f = torch.stack([(s.log_q.exp() * s.f).sum() for s in one])
        plain_log_w = torch.stack([(s.log_q.exp() * s.log_w).sum() for s in one])
        log_v = torch.stack([s.log_v.logsumexp(0) for s in one])
        index = torch.tensor(list(product(range(len(one)), repeat=samples))).T
        labels = log_w[index].logsumexp(0) - math.log(samples)
        mean = (log_w[index].softmax(0) * f[index]).sum(0)
        value = {
            "snis": mean + (1 + alpha) * labels,
            "jensen": mean + (1 + alpha) * plain_log_w[index].mean(0),
            "clamped": (plain_f + (1 + alpha) * plain_log_w)[index].mean(0),
            "iw": log_v[index].logsumexp(0) - math.log(samples) + alpha * labels,
        }[bound]
        return (log_r[index].sum(0).exp() * value).sum()

    def groups(self, known: Row) -> list[set[str]]:
        """The unknown nodes that the labels weigh, in parts that no factor of q ties together; a label's factor ties what it
        reads also where the label is unknown, through nodes that no weight bears on, and an enumerated label where known."""
        weighed: set[str] = set()
        todo = [a for v in known for a in self.nodes[v].q]
        while todo:
            v = todo.pop()
            if v in self.order and v not in known and v not in weighed:
                weighed.add(v)
                todo += self.nodes[v].q
        labels = {v for v in self.order if self.nodes[v].role == "supervised"}
        ties = [{v, *self.nodes[v].q} for v in (*weighed, *labels, *self._over(labels))]
        cut = {v for v in known if v in self.drawn}
        units = [{u for u in tie if u in self.order and u not in cut} for tie in ties]
        found: list[set[str]] = []
        for unit in units:
            met = [g for g in found if g & unit]
            found = [g for g in found if not g & unit] + [unit.union(*met)]
        return [g & weighed for g in found if g & weighed]

    def _over(self, names: Iterable[str]) -> set[str]:
        """The inferred ancestors in q of these nodes."""
        found: set[str] = set()
        for name in names:
            above = {v for v in self.nodes[name].q if v in self.order}
            found |= above | self._over(above)
        return found

    def expected_by_groups(self, row: Row, known: Row, samples: int, alpha: float) -> Tensor:
        """E[snis] where every group is averaged by itself: f under the product of the groups' expected weights."""
        groups, weighed = self.groups(known), set[str]().union(*self.groups(known))
        log_labels, shares = torch.zeros(()), []
        for group in groups:
            labels = [v for v in known if group & set(self.nodes[v].q)]
            share, log_q = self._group(row, known, group, labels, samples)
            shares.append(share)
            log_labels = log_labels + log_q
        exact = [v for v in known if not weighed & set(self.nodes[v].q)]
        log_labels = log_labels + self.total("q", exact, {**row, **known})
        rest = [v for v in self.order if v not in known and v not in weighed]
        modelled = [n for n, node in self.nodes.items() if node.role != "given"]
        mean = torch.zeros(())
        for parts in product(*(share.items() for share in shares)):
            at, weight = {**row, **known}, torch.ones(())
            for values, mass in parts:
                at |= dict(values)
                weight = weight * mass
            for case in self._cases(rest):
                full = {**at, **dict(zip(rest, case, strict=True))}
                f = self.total("p", modelled, full) - self.total("q", self.order, full)
                mean = mean + weight * self.total("q", rest, full).exp() * f
        return mean + (1 + alpha) * log_labels

    def _group(
        self, row: Row, known: Row, group: set[str], labels: Sequence[str], samples: int
    ) -> tuple[dict[tuple[tuple[str, int], ...], Tensor], Tensor]:
        """The expected self-normalised weight of every assignment of a group, and E[log mean_s w_s]."""
        one = self.samples(row, known, group, labels)
        share: dict[tuple[tuple[str, int], ...], Tensor] = {}
        log_q = torch.zeros(())
        for several in product(one, repeat=samples):
            probability = torch.stack([s.log_r for s in several]).sum().exp()
            log_w = torch.stack([s.log_q + s.log_w for s in several])
            log_q = log_q + probability * (log_w.flatten().logsumexp(0) - math.log(samples))
            part = probability * log_w.flatten().softmax(0).reshape(log_w.shape)
            for i, s in enumerate(several):
                for j, values in enumerate(s.values):
                    key = tuple((v, values[v]) for v in self.order if v in group)
                    share[key] = share.get(key, torch.zeros(())) + part[i, j]
        return share, log_q
