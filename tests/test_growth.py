"""The compiler's work grows with the model: calls are counted at growing sizes, which no busy machine changes."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable

import pytest

from benchmarks.shapes import SHAPES
from sgdsl import driver
from sgdsl.backend.dot import dot
from sgdsl.base.source import Source

SIZES = (50, 100, 200)
LINEAR = 2.25  # for twice the nodes, with room for n log n and for where a random graph is denser; n² is 4
NOTED = {"labelled_chain", "fan", "labels", "weighed_labels"}  # a note a node names every node before it: n² words


def calls(work: Callable[[], object]) -> int:
    """How many functions some work calls, builtin ones too."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(found[1] for found in pstats.Stats(profile).stats.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", SHAPES)
def test_compiling_is_linear_in_the_number_of_nodes(shape: str) -> None:
    """From text to emitted text, twice the nodes cost at most 2.25 times the calls; a pass that looks at every pair of nodes,
    or finds a node by searching all, shows as 4 in the end."""
    driver.compile_source(Source("first.sgm", SHAPES["plate"](4)))  # the parser is built once
    sources = [Source(f"{shape}.sgm", SHAPES[shape](n)) for n in SIZES]
    found = [calls(lambda source=source: driver.compile_source(source)) for source in sources]  # type: ignore[misc]
    assert found[2] <= LINEAR * found[1], found
    assert found[2] <= LINEAR**2 * found[0], found


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - NOTED - {"tree", "sparse"}))
def test_notes_and_pictures_are_linear_in_the_number_of_nodes(shape: str) -> None:
    """`sgdsl check` looks for independences that q assumes, and `graph` draws, in time linear in the model where nothing
    has to be noted."""
    checked = [driver.check(Source(f"{shape}.sgm", SHAPES[shape](n))) for n in SIZES]
    for work in (driver.remarks, lambda c: dot(c.model)):
        found = [calls(lambda c=c: work(c)) for c in checked]  # type: ignore[misc] # noqa: B023
        assert found[2] <= LINEAR * found[1], (shape, found)


def test_a_long_chain_compiles() -> None:
    """Nothing recurses from node to node: sums over a chain of 1,200 labelled classes would be too deep for Python."""
    text = SHAPES["labelled_chain"](1200)
    assert driver.compile_source(Source("long.sgm", text)).text.count(".log_sum(") > 600
