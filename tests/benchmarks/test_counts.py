"""What the benchmark of counts measures: copies and digits are paired, whatever their order."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.counts import paired


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 0, 2]])
def test_copies_are_paired_with_the_digits_they_lie_on(order: list[int]) -> None:
    """Protects from scoring an order that nothing asks for: copies stand in any order, each some pixels off."""
    truth = np.array([[-10.0, 0.0], [0.0, 5.0], [12.0, -3.0]])
    painted = truth[order] + np.array([0.0, 2.0])
    copies, apart = paired(truth, painted)
    assert [order[c] for c in copies] == [0, 1, 2]
    assert apart == pytest.approx([2, 2, 2])


def test_the_pairs_have_the_least_distance_in_all() -> None:
    """Protects from taking the nearest copy twice: the second digit gets what is left, however far it is."""
    copies, apart = paired(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, -9.0], [0.0, 0.0]]))
    assert copies == [1, 0]
    assert apart == pytest.approx([0, 82**0.5])
