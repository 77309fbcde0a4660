"""Random programs against exact enumeration: roles, types, two random orders, estimators, lets and networks by dice."""

from __future__ import annotations

import math

import pytest

from sgdsl.oracle.exact import static_scopes
from sgdsl.oracle.grid import parents
from sgdsl.oracle.program import BOUNDS, Compiled, example
from tests.oracle.program import compile_text
from tests.oracle.random_programs import random_program
from tests.oracle.test_graphs import check, small_enough

# The last ones each found a fault once: a level that only a factor of p needs; a level below a draw; a uniform prior
# under iw that no other term reads; a scored node below a known one.
SEEDS = (*((seed, BOUNDS[seed % 4]) for seed in range(24)), (112, "snis"), (236, "jensen"), (350, "clamped"))
LARGE = ((151, "snis"), (171, "iw"), (237, "jensen"))  # more than 64 values at once: not all can be enumerated
FOUND = ((174, "iw"), (312, "iw"), (73, "iw"))


@pytest.mark.parametrize(("seed", "bound"), SEEDS + FOUND + LARGE)
def test_a_random_program(seed: int, bound: str) -> None:
    """Protects graphs that nobody thought of: one bound and one row a seed, every pattern of labels, S = 1 and 2 or 3."""
    compiled = compile_text(random_program(seed), f"random_{seed}", bound)
    assert {n: compiled.module.NODES[n].estimator for n in compiled.chosen} == dict(compiled.chosen)
    assert all(size <= 64 for size in term_sizes(compiled)), "a default enumerates too much"
    row, runs = example(compiled.ir, seed), 0
    for known in compiled.patterns():
        for samples in (1, 2 + seed % 2):
            if small_enough(compiled, known, samples, 1):
                check(compiled, row, known, samples, 1)
                runs += 1
    assert runs


@pytest.mark.parametrize("seed", range(1000, 1016))
def test_a_random_program_with_real_nodes(seed: int) -> None:
    """Protects the same with real latents and real labels anywhere, their noise at two points of quadrature."""
    compiled = compile_text(random_program(seed, 0.4), f"real_{seed}", BOUNDS[seed % 4])
    row, runs = example(compiled.ir, seed), 0
    for known in compiled.patterns():
        if small_enough(compiled, known, 2, 2):
            check(compiled, row, known, 2, 2)
            runs += 1
    assert runs


def term_sizes(compiled: Compiled) -> list[int]:
    """For each factor the product of the sizes of the enumerated nodes in its scope."""
    scopes, found = static_scopes(compiled.ir, compiled.chosen), []
    for factor in (*compiled.ir.p, *compiled.ir.q):
        read = {factor.node} | parents(compiled.ir, factor.given)
        scope = {c for node in read for c in scopes.get(node, ())}
        found.append(math.prod(compiled.ir.node(c).type.cardinality or 1 for c in scope))
    return found
