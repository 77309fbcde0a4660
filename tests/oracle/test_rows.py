"""Rows of a batch: patterns mixed in one batch, what a known row costs, what a dummy may do, and the order of rows."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.program import BOUNDS, Compiled, Rows, batch_of, example
from sgdsl.oracle.replay import Block
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from tests.oracle.program import every_pattern, program

ALPHA = 0.5
MIXED = ("three_labels", "label_after_label", "common_child", "listed_between", "long_chain", "scored_label")


def noise(seed: int) -> Draws:
    """Draws as in training."""
    return Draws(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", MIXED)
def test_mixed_patterns_in_one_batch_are_exact_row_by_row(name: str, bound: str) -> None:
    """Protects the one formula for every row: all patterns and three values of x in one batch, all outcomes at S = 2."""
    compiled = program(name, bound)
    rows, blocks = [], []
    for row, known, _ in every_pattern(compiled, (3, 8, 11)):
        count = compiled.replay([Block(known, 1)], 2).outcomes(known)
        rows.append((row, known, count))
        blocks.append(Block(known, count))
    draws = compiled.replay(blocks, 2)
    step = compiled.run(batch_of(compiled, rows), draws, 2, ALPHA)
    parts = step.bound.detach().split([b.count for b in blocks])
    for part, log_draw, (row, known, _) in zip(parts, draws.log_draw, rows, strict=True):
        wanted = exact.expectation(compiled.sample(row, known), bound, ALPHA, 2)
        assert float((log_draw.exp() * part).sum()) == pytest.approx(float(wanted.detach()), abs=1e-10), known


@pytest.mark.parametrize("name", ["three_labels", "long_chain", "common_child", "labels_chain"])
def test_a_known_label_is_one_entry(name: str) -> None:
    """Trap 4, labelled cells enumerated as if unlabelled: a row's entries on a level are the product over its unknown
    nodes of their numbers of values, and an entry of a known node holds the label."""
    compiled = program(name)
    rows = every_pattern(compiled, (1, 2))
    batch = batch_of(compiled, rows)
    assert batch.levels
    for nodes in compiled.module.LEVELS:
        level = batch.levels[" ".join(nodes)]
        counts = torch.bincount(level.row, minlength=len(rows)).tolist()
        for i, (row, known, _) in enumerate(rows):
            sizes = [compiled.ir.node(n).type.cardinality or 0 for n in nodes if n not in known]
            assert counts[i] == torch.tensor([1, *sizes]).prod()
            for label in set(nodes) & set(known):
                held = level.values[label][0, level.row == i]
                assert torch.equal(held, row[label].to(held.dtype).expand_as(held))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["three_labels", "common_child", "label_after_label", "scored_label", "gauss_labels"])
def test_the_dummy_has_no_influence_to_the_bit(name: str, bound: str) -> None:
    """Protects masks and trap 4's leak: other values in the labels that a row does not know change neither the bound, nor
    a gradient, nor log w in one bit, not even a value that is not finite."""
    compiled = program(name, bound)
    rows = every_pattern(compiled, (1, 2))
    found = []
    for shift in (0, 1):
        moved = [
            ({n: _other(compiled, n, v, shift, known) for n, v in row.items()}, known, 1) for row, known, _ in rows
        ]
        step = compiled.run(batch_of(compiled, moved), noise(7), 2, ALPHA)
        slopes = torch.autograd.grad(step.objective.sum(), list(compiled.module.parameters()), allow_unused=True)
        found.append([step.bound, step.log_w, *(g for g in slopes if g is not None)])
    assert all(t.isfinite().all() for t in found[0])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def _other(compiled: Compiled, name: str, value: Tensor, shift: int, known: tuple[str, ...]) -> Tensor:
    """Another value where the label is unknown: the next class, or NaN where it is a float."""
    node = compiled.ir.node(name)
    if node.role != "supervised" or name in known or not shift:
        return value
    if node.type.one_hot:
        first, values = node.type.first, node.type.values or 1
        return (value - first + 1) % values + first
    return torch.full_like(value, torch.nan)


def test_a_dummy_put_into_the_batch_itself_has_no_influence() -> None:
    """Protects the emitted step without the loader's help: it never reads a label's tensor where the mask says unknown."""
    compiled = program("label_after_label", "snis")
    batch = batch_of(compiled, every_pattern(compiled, (1, 2)))
    before = compiled.run(batch, noise(3), 3, ALPHA).bound
    values = dict(batch.values)
    for name, known in batch.known.items():
        values[name] = torch.where(known, values[name], 1 - values[name])
    after = compiled.run(dataclasses.replace(batch, values=values), noise(3), 3, ALPHA).bound
    assert torch.equal(before, after)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["three_labels", "label_after_label", "long_chain", "both_sides", "gauss_both"])
def test_nothing_known_is_weight_one(name: str, bound: str) -> None:
    """Protects O = ∅: log w is exactly 0 in every sample (not 1e-16), beside labelled rows in the same batch."""
    compiled = program(name, bound)
    rows = every_pattern(compiled, (1, 2))
    step = compiled.run(batch_of(compiled, rows), noise(1), 3, ALPHA)
    unknown = torch.tensor([not known for _, known, _ in rows])
    log_w = step.log_w.expand(-1, len(rows))
    assert torch.equal(log_w[:, unknown], torch.zeros_like(log_w[:, unknown]))
    assert (log_w[:, ~unknown] < 0).all()


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize("name", ["three_labels", "long_chain", "both_sides"])
def test_nothing_known_gives_the_elbo(name: str, alpha: float) -> None:
    """Protects unlabelled rows: snis, jensen and clamped are E_q[log p − log q] whatever α, in expectation."""
    for bound in ("snis", "jensen", "clamped"):
        compiled = program(name, bound)
        row = example(compiled.ir, 6)
        count = compiled.replay([Block((), 1)], 2).outcomes(())
        draws = compiled.replay([Block((), count)], 2)
        step = compiled.run(batch_of(compiled, [(row, (), count)]), draws, 2, alpha)
        wanted = exact.clamped(compiled.grid(row, ()), 0.0)
        mean = (draws.log_draw[0].exp() * step.bound).sum()
        assert float(mean.detach()) == pytest.approx(float(wanted.detach()), abs=1e-10)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", MIXED)
def test_permuted_rows_permute_the_bounds(name: str, bound: str) -> None:
    """Protects rows from each other, and labels from the order of a loader (trap 3): same draws, other order."""
    compiled = program(name, bound)
    rows = every_pattern(compiled, (3, 4))
    blocks = [Block(known, 1, 5 * i + 1) for i, (_, known, _) in enumerate(rows)]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(2)).tolist()
    first = compiled.run(batch_of(compiled, rows), compiled.replay(blocks, 3), 3, ALPHA)
    moved = batch_of(compiled, [rows[i] for i in order])
    second = compiled.run(moved, compiled.replay([blocks[i] for i in order], 3), 3, ALPHA)
    assert torch.allclose(first.bound[order], second.bound, 0, 1e-12)
    assert torch.allclose(first.objective[order], second.objective, 0, 1e-12)


def test_labels_that_are_all_unknown_or_absent_are_the_same() -> None:
    """Protects a batch without labels: absent values, absent masks and masks of False give the same bounds to the bit."""
    compiled = program("three_labels")
    rows: Rows = [(example(compiled.ir, s), (), 1) for s in range(5)]
    full = batch_of(compiled, rows)
    x = {"x": torch.stack([row["x"] for row, _, _ in rows])}
    bare = make_batch(compiled.module, x, {}, dtype=torch.float64)
    assert not full.labelled.any()
    bounds = [compiled.run(b, noise(1), 2, ALPHA).bound for b in (full, bare)]
    assert torch.equal(*bounds)
