"""Exact values of a row: log q(labels | x), L, log p(x, labels), and the expectation of every bound over all its draws.

Formulas: docs/objective.md, sections 1 to 3, by brute force over joint outcomes; everything can be differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.grid import Grid, parents, product, q_order


def log_q_known(grid: Grid) -> Tensor:
    """log q(labels | x) = log E_r[w]."""
    return (grid.log_proposal + grid.log_w).logsumexp(0)


def log_p_known(grid: Grid) -> Tensor:
    """log p(x, labels)."""
    return (grid.log_proposal - grid.log_r + grid.log_p).logsumexp(0)


def target(grid: Grid, alpha: float) -> Tensor:
    """L = E_{q(U | x, labels)}[log p − log q] + (1 + α) log q(labels | x)."""
    weight = (grid.log_proposal + grid.log_w).softmax(0)
    f = grid.log_p - grid.log_r - grid.log_w
    return (weight * f).sum() + (1 + alpha) * log_q_known(grid)


def clamped(grid: Grid, alpha: float) -> Tensor:
    """E_r[f + log w] + α E_r[log w]."""
    f = grid.log_p - grid.log_r - grid.log_w
    return (grid.log_proposal.exp() * (f + (1 + alpha) * grid.log_w)).sum()


def estimators(model: ir.Model) -> dict[str, str]:
    """As written by `by`, else: finite nodes are enumerated (the models here are small), real ones reparameterised."""
    written = {f.node: f.estimator.name if f.estimator else "" for f in model.q}
    return {
        node: name or ("enumerate" if model.node(node).type.cardinality else "reparam")
        for node, name in written.items()
    }


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample at each joint outcome of its draws, [Ω] each: `log_draw` its log probability; `log_w` = log Σ_c q w;
    `f` = Σ_c w̄_c f_c; `log_v` = log Σ_c p / (density drawn); `jensen` = Σ_c q log w; `clamped` = Σ_c q (f + log w)."""

    log_draw: Tensor
    log_w: Tensor
    f: Tensor
    log_v: Tensor
    jensen: Tensor
    clamped: Tensor

    def __getitem__(self, index: Tensor) -> Sample:
        """The samples at these outcomes."""
        fields = (self.log_draw, self.log_w, self.f, self.log_v, self.jensen, self.clamped)
        return Sample(*(field[index] for field in fields))


def summed(log_draw: Tensor, log_p: Tensor, log_e: Tensor, log_d: Tensor, log_w: Tensor) -> Sample:
    """The sums over the assignments of the enumerated nodes, all [Ω, A] but `log_draw` [Ω]. `log_e`, `log_d`: log q of
    what is enumerated and of what is drawn."""
    f = log_p - log_e - log_d - log_w
    return Sample(
        log_draw,
        (log_e + log_w).logsumexp(1),
        ((log_e + log_w).softmax(1) * f).sum(1),
        (log_p - log_d).logsumexp(1),
        (log_e.exp() * log_w).sum(1),
        (log_e.exp() * (f + log_w)).sum(1),
    )


def sample(model: ir.Model, grid: Grid, chosen: Mapping[str, str]) -> Sample:
    """The outcomes of one sample: each drawn node has a draw for every value of the enumerated nodes it depends on."""
    listed = [n for n in grid.sizes if chosen[n] == "enumerate"]
    drawn = [n for n in grid.sizes if chosen[n] != "enumerate"]
    index, log_draw = draw_tree(model, grid, chosen)
    log_e = sum((grid.log_q[n] for n in listed), torch.zeros_like(grid.log_p))[index]
    log_d = sum((grid.log_q[n] for n in drawn), torch.zeros_like(grid.log_p))[index]
    return summed(log_draw, grid.log_p[index], log_e, log_d, grid.log_w[index])


def static_scopes(model: ir.Model, chosen: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """For each inferred node the enumerated ones its value depends on, through draws too: the same in every row, so that
    a row that knows a node in between has a draw below it for each value of what stands above it.
    A class of which two values are taken depends on its parents too, and what is enumerated below it on it."""
    scopes: dict[str, tuple[str, ...]] = {}
    order = q_order(model)
    for name in order:
        above = {c for parent in parents(model, model.factor("q", name).given) for c in scopes.get(parent, ())}
        listed = {name} if chosen[name] in ("enumerate", "sum_and_sample") else set()
        above = {c for c in above if chosen[c] == "sum_and_sample"} if chosen[name] == "enumerate" else above
        scopes[name] = tuple(c for c in order if c in above | listed)
    return scopes


def copies_of(scope: Sequence[str], sizes: Mapping[str, int], digits: Mapping[str, Tensor]) -> Tensor:
    """Which draw of a node with this scope each assignment of the enumerated nodes reads, [A]."""
    copy = torch.zeros_like(next(iter(digits.values()), torch.zeros(1, dtype=torch.long)))
    for c in scope:
        copy = copy * sizes[c] + digits[c]
    return copy


def first_uses(copy: Tensor) -> Tensor:
    """For each draw an assignment that reads it, [draws]."""
    return torch.stack([(copy == k).nonzero()[0, 0] for k in range(int(copy.max()) + 1)])


def draw_tree(model: ir.Model, grid: Grid, chosen: Mapping[str, str]) -> tuple[Tensor, Tensor]:
    """Indices into the grid [Ω, A] for each outcome and each assignment of the enumerated nodes, and log probability [Ω]."""
    sizes = grid.sizes
    listed = [n for n in sizes if chosen[n] == "enumerate"]
    drawn = [n for n in sizes if chosen[n] != "enumerate"]
    scopes = {n: tuple(c for c in s if c in sizes) for n, s in static_scopes(model, chosen).items()}
    assignments = product([sizes[c] for c in listed])
    digits = {c: assignments[:, i] for i, c in enumerate(listed)}
    copies = {d: math.prod(sizes[c] for c in scopes[d]) for d in drawn}
    outcomes = product([sizes[d] for d in drawn for _ in range(copies[d])])
    index = torch.zeros(len(outcomes), len(assignments), dtype=torch.long)
    firsts, at = {}, 0
    strides = _strides(grid)
    for name in sizes:
        if name in listed:
            index = index + strides[name] * digits[name]
            continue
        copy = copies_of(scopes[name], sizes, digits)
        index = index + strides[name] * outcomes[:, at : at + copies[name]][:, copy]
        firsts[name] = first_uses(copy)
        at += copies[name]
    log_draw = sum((grid.log_draw[d][index[:, firsts[d]]].sum(1) for d in drawn), grid.log_p.new_zeros(len(outcomes)))
    return index, log_draw


def _strides(grid: Grid) -> dict[str, int]:
    found, step = {}, 1
    for name in reversed(list(grid.sizes)):
        found[name] = step
        step *= grid.sizes[name]
    return found


def estimate(at: Sample, bound: str, alpha: float) -> Tensor:
    """The bound from S samples: the fields of `at` are [..., S], the bound [...]."""
    log_s = math.log(at.log_w.shape[-1])
    log_q = at.log_w.logsumexp(-1) - log_s
    match bound:
        case "snis":
            return (at.log_w.softmax(-1) * at.f).sum(-1) + (1 + alpha) * log_q
        case "jensen":
            return (at.log_w.softmax(-1) * at.f).sum(-1) + (1 + alpha) * at.jensen.mean(-1)
        case "iw":
            return at.log_v.logsumexp(-1) - log_s + alpha * log_q
        case "clamped":
            return at.clamped.mean(-1) + alpha * at.jensen.mean(-1)
        case _:
            raise NotImplementedError(bound)


def expectation(one: Sample, bound: str, alpha: float, samples: int) -> Tensor:
    """E[bound] over all draws of S samples."""
    drawn = product([len(one.log_draw)] * samples)
    at = one[drawn]
    return (at.log_draw.sum(1).exp() * estimate(at, bound, alpha)).sum()
