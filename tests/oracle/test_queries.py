"""What an emitted model answers off the hot path, against the same grids: densities, draws, beliefs, log p(x, labels)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.grid import Grid, finite_values, parents, product
from sgdsl.oracle.program import Compiled, batch_of, example
from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws
from tests.oracle.program import every_pattern, program

NAMES = ("common_child", "numbers", "conditioned", "cells", "listed_between", "through_let", "label_after_label")
SAMPLES = 40_000


def noise(seed: int) -> Draws:
    """Draws as in training."""
    return Draws(torch.Generator().manual_seed(seed))


def outcomes(compiled: Compiled, grid: Grid, row: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every node's value at each joint outcome of the unknown ones, [1, G, *event], in the dtype of a batch."""
    digits = product(list(grid.sizes.values()))
    values = {}
    for node in compiled.ir.nodes:
        kind = node.type
        if node.name in grid.sizes:
            value = finite_values(kind)[digits[:, list(grid.sizes).index(node.name)]]
        else:
            value = row[node.name].double()[None].expand(len(digits), *kind.event)
        values[node.name] = (value.long() if kind.one_hot else value)[None]
    return values


@pytest.mark.parametrize("name", [*NAMES, "families"])
def test_log_p_and_log_q_of_every_factor(name: str) -> None:
    """Protects `log_p` and `log_q` on mappings: each factor at values of every node, finite ones at all their values."""
    compiled = program(name)
    if name == "families":
        positive = {
            "e": torch.tensor(1.3),
            "l": torch.tensor([0.3, -1.0]),
            "d": torch.tensor(0.2),
            "t": torch.tensor(-2.0),
        }
        row = example(compiled.ir, 2) | {n: v.double() for n, v in positive.items()}
        values = {n: v[None, None] for n, v in row.items()}
    else:
        row = example(compiled.ir, 2)
        values = outcomes(compiled, compiled.grid(row, ()), row)
    plain = {n: v[0].double() for n, v in values.items()}
    for side, factors, found in (
        ("p", compiled.ir.p, compiled.module.log_p(values)),
        ("q", compiled.ir.q, compiled.module.log_q(values)),
    ):
        assert set(found) == {f.node for f in factors}
        for factor in (f for f in factors if f.family != "Delta"):
            wanted = compiled.reader.log_prob(factor, plain)
            assert torch.allclose(found[factor.node], wanted.expand_as(found[factor.node]), 0, 1e-10), (
                side,
                factor.node,
            )


@pytest.mark.parametrize("name", NAMES)
def test_draw_q_clamps_draws_and_scores(name: str) -> None:
    """Protects `draw_q`: labels kept, log_r the density of what was unknown and nothing else, frequencies of the joint
    outcome those of q, each within 5 standard errors (40,000 draws, seed 1)."""
    compiled = program(name)
    row = example(compiled.ir, 2)
    for known in compiled.patterns():
        grid = compiled.grid(row, known)
        batch = batch_of(compiled, [(row, known, 1)])
        drawn = compiled.module.draw_q(batch.values, batch.known, noise(1), SAMPLES)
        index = torch.zeros(SAMPLES, dtype=torch.long)
        for node, size in grid.sizes.items():
            kind = compiled.ir.node(node).type
            value = drawn.values[node].expand(SAMPLES, 1, *kind.event).double().reshape(SAMPLES, -1)
            table = finite_values(kind).reshape(size, -1)
            index = index * size + (value[:, None] == table[None]).all(-1).long().argmax(-1)
        assert torch.allclose(drawn.log_r[:, 0], grid.log_r.expand_as(grid.log_p)[index], 0, 1e-9)
        _same_frequencies(torch.bincount(index, minlength=len(grid.log_p)), grid.log_proposal.exp().detach())


def _same_frequencies(counts: Tensor, wanted: Tensor) -> None:
    error = (wanted * (1 - wanted) / SAMPLES).sqrt() + 1 / SAMPLES
    assert ((counts / SAMPLES - wanted).abs() <= 5 * error).all()


@pytest.mark.parametrize("name", NAMES)
def test_beliefs_are_those_of_q_given_the_labels(name: str) -> None:
    """Protects `ask.posterior` for any subset of labels: marginals of q(U | x, labels), weights included, within 0.03
    (40,000 draws, seed 2; the smallest effective sample size here is above 3,000)."""
    compiled = program(name)
    row = example(compiled.ir, 2)
    for known in compiled.patterns():
        grid = compiled.grid(row, known)
        batch = batch_of(compiled, [(row, known, 1)])
        found = ask.posterior(compiled.module, batch.values, batch.known, noise(2), SAMPLES)
        weight = (grid.log_proposal + grid.log_w).softmax(0).detach()
        values = outcomes(compiled, grid, row)
        for node in grid.sizes:
            kind = compiled.ir.node(node).type
            assert kind.values is not None
            hot = torch.nn.functional.one_hot(values[node][0].long() - kind.first, kind.values).double()
            wanted = torch.tensordot(weight, hot, 1)
            belief = found[node]
            assert isinstance(belief, Tensor)
            assert (belief[0].detach() - wanted).abs().max() < 0.03, (known, node)


@pytest.mark.parametrize("name", NAMES)
def test_log_p_by_importance_sampling(name: str) -> None:
    """Protects `ask.log_prob`: log p(x, labels) for any subset of labels, within 4 standard errors of its weights plus
    1e-9 (40,000 draws, seed 3, the delta method)."""
    compiled = program(name)
    row = example(compiled.ir, 2)
    for known in compiled.patterns():
        grid = compiled.grid(row, known)
        batch = batch_of(compiled, [(row, known, 1)])
        found = float(ask.log_prob(compiled.module, batch.values, batch.known, noise(3), SAMPLES).detach())
        wanted = float(exact.log_p_known(grid).detach())
        ratio = (grid.log_p - grid.log_r - wanted).exp()
        variance = float(((ratio - 1) ** 2 * grid.log_proposal.exp()).sum().detach())
        assert abs(found - wanted) < 4 * math.sqrt(variance / SAMPLES) + 1e-9, known


@pytest.mark.parametrize("name", ["three_labels", "labels_chain", "nine_before", "label_after_label", "gauss_labels"])
def test_weights_are_constant_where_no_label_has_an_unknown_parent(name: str) -> None:
    """Protects B = ∅ (objective.md, 2), a test of parents per pattern: log w is then log q(labels | x) in every sample,
    up to rounding; elsewhere it varies, unless all that is weighed is enumerated."""
    compiled = program(name)
    varies = []
    for known in [k for k in compiled.patterns() if k]:
        rows = [(example(compiled.ir, seed), known, 1) for seed in range(20)]
        log_w = compiled.run(batch_of(compiled, rows), noise(1), 6, 0.5).log_w.expand(6, -1).detach()
        above = {p for n in known for p in parents(compiled.ir, compiled.ir.factor("q", n).given)}
        if not above & set(compiled.chosen) - set(known):
            grids = [compiled.grid(row, known, 1) for row, _, _ in rows]
            wanted = torch.stack([exact.log_q_known(g) for g in grids])
            assert torch.allclose(log_w, wanted.expand(6, -1), 0, 1e-12), known
        else:
            varies.append(float(log_w.std(0).max()) > 1e-3)
    assert any(varies) == (name not in ("nine_before", "labels_chain"))


def test_every_pattern_is_a_pattern() -> None:
    """Protects the tests themselves: all subsets of three labels, each with the rows asked for."""
    compiled = program("three_labels")
    assert sorted({known for _, known, _ in every_pattern(compiled, (1, 2))}) == sorted(compiled.patterns())
    assert len(list(compiled.patterns())) == 8
