"""Every graph of tests/oracle/models against exact enumeration: all patterns of labels, all bounds, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.outcomes import expected, gradients
from sgdsl.oracle.program import BOUNDS, Compiled, example
from sgdsl.oracle.replay import Block
from tests.oracle.program import program

FINITE = (
    "both_sides",
    "cells",
    "common_child",
    "conditioned",
    "draw_below_in_p",
    "draws_below",
    "label_after_label",
    "labels_chain",
    "listed_between",
    "long_chain",
    "nine_after",
    "nine_after_listed",
    "nine_before",
    "numbers",
    "scored_label",
    "scored_names",
    "three_labels",
    "through_let",
    "two_groups",
)
REAL = ("gauss_after", "gauss_both", "gauss_scored")  # noise at three points of quadrature: an identity at any number
ALPHA = 0.5
MOST = 5_000  # joint outcomes of a step that is run


def small_enough(compiled: Compiled, known: tuple[str, ...], samples: int, points: int) -> bool:
    """Whether all outcomes of the step are few."""
    return compiled.replay([Block(known, 1)], samples, points).outcomes(known) <= MOST


def check(compiled: Compiled, row: dict[str, Tensor], known: tuple[str, ...], samples: int, points: int) -> None:
    """E[bound] and E[∇ objective] of the emitted step are those of the oracle; a bound stays below what it bounds."""
    mean, found = expected(compiled, row, known, samples, ALPHA, points)
    wanted = compiled.expectation(row, known, samples, ALPHA, points)
    assert mean == pytest.approx(float(wanted.detach()), rel=1e-11, abs=1e-10), (known, samples)
    for name, gradient in gradients(compiled, wanted).items():
        assert torch.allclose(found[name], gradient, 1e-10, 1e-10), (known, samples, name)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", FINITE)
def test_values_and_gradients_of_finite_models(name: str, bound: str) -> None:
    """Protects the whole of objective.md, 1 to 5: clamping, weights, levels, shares, the score term with its baseline."""
    compiled = program(name, bound)
    row, runs = example(compiled.ir, 3), 0
    for known in compiled.patterns():
        for samples in (1, 2, 3):
            if small_enough(compiled, known, samples, 1):
                check(compiled, row, known, samples, 1)
                runs += 1
    assert runs >= 2 * 2 ** len(compiled.labels), "too little was run"


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", REAL)
def test_values_and_gradients_with_real_latents(name: str, bound: str) -> None:
    """Protects gradients through reparameterised draws, weights included, alone and beside scored and listed nodes."""
    compiled = program(name, bound)
    row = example(compiled.ir, 5)
    for known in compiled.patterns():
        for samples in (1, 2):
            assert small_enough(compiled, known, samples, 3)
            check(compiled, row, known, samples, 3)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", FINITE)
def test_every_expectation_is_a_lower_bound(name: str, bound: str) -> None:
    """Protects the meaning: E[bound] ≤ log p(x, labels) + α log q(labels | x), and ≤ log p(x) where nothing is known."""
    compiled = program(name, bound)
    for seed in (3, 4):
        row = example(compiled.ir, seed)
        for known in compiled.patterns():
            grid = compiled.grid(row, known)
            ceiling = exact.log_p_known(grid) + ALPHA * exact.log_q_known(grid)
            one = exact.sample(compiled.ir, grid, compiled.chosen)
            for samples in (1, 2):
                if len(one.log_draw) ** samples <= MOST:
                    assert float((ceiling - exact.expectation(one, bound, ALPHA, samples)).detach()) >= -1e-10


@pytest.mark.parametrize("name", FINITE)
def test_estimators_are_those_of_the_page(name: str) -> None:
    """Protects the defaults: what has no `by` is enumerated where small and finite, reparameterised where real."""
    compiled = program(name)
    assert {n: compiled.module.NODES[n].estimator for n in compiled.chosen} == exact.estimators(compiled.ir)
