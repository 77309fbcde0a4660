"""The functions of expressions on [S or 1, entries, *event]."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgdsl.runtime import functions

VALUE = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["exp", "abs", "sigmoid", "tanh", "relu", "square", "sin", "cos"])
def test_elementwise(name: str) -> None:
    """Protects each name from standing for another function."""
    assert torch.equal(getattr(functions, name)(VALUE), getattr(torch, name)(VALUE))


def test_elementwise_of_positive_values() -> None:
    """Protects log, sqrt and an exact softplus."""
    assert torch.equal(functions.log(VALUE.abs()), VALUE.abs().log())
    assert torch.equal(functions.sqrt(VALUE.abs()), VALUE.abs().sqrt())
    torch.testing.assert_close(functions.softplus(10 * VALUE), (10 * VALUE).exp().log1p())


def test_reductions_spare_samples_and_entries() -> None:
    """Protects the two leading dimensions: all event dimensions go, or one, counted from either side."""
    for name, theirs in (("sum", Tensor.sum), ("mean", Tensor.mean), ("max", Tensor.amax)):
        function = getattr(functions, name)
        torch.testing.assert_close(function(VALUE, event=2), theirs(VALUE, (2, 3)))
        torch.testing.assert_close(function(VALUE, event=2, axis=0), theirs(VALUE, 2))
        torch.testing.assert_close(function(VALUE, event=2, axis=1), theirs(VALUE, 3))
        torch.testing.assert_close(function(VALUE, event=2, axis=-1), theirs(VALUE, 3))
        assert torch.equal(function(VALUE, event=0), VALUE)
    assert torch.equal(functions.last(VALUE, event=2), VALUE[:, :, -1, -1])
    assert torch.equal(functions.last(VALUE, event=2, axis=0), VALUE[:, :, -1])
    assert torch.equal(functions.last(VALUE, event=2, axis=1), VALUE[..., -1])


def test_joining_broadcasts_samples() -> None:
    """Protects stack and concat of values with and without samples, free tensors and numbers."""
    one, free = VALUE[:1], VALUE[0, 0]
    stacked = functions.stack(VALUE, one, free, 2.0, event=2)
    assert stacked.shape == (2, 3, 4, 4, 5)
    for i, part in enumerate((VALUE, one, free, torch.tensor(2.0, dtype=torch.float64))):
        assert torch.equal(stacked[:, :, i], part.expand_as(VALUE))
    joined = functions.concat(VALUE, one, free, event=2, axis=1)
    assert torch.equal(joined, torch.cat([VALUE, one.expand_as(VALUE), free.expand_as(VALUE)], 3))
    assert functions.concat(VALUE, VALUE[:, :, :1], event=2).shape == (2, 3, 5, 5)
    assert torch.equal(functions.dot(VALUE, free), (VALUE * free).sum(-1))


def test_bounds_and_zeros() -> None:
    """Protects clamp with bounds of either kind, and zeros of the right dtype."""
    expected = VALUE.clamp(-0.5, 0.5)
    for low in (-0.5, torch.tensor(-0.5, dtype=torch.float64)):
        for high in (0.5, torch.tensor(0.5, dtype=torch.float64)):
            assert torch.equal(functions.clamp(VALUE, low, high), expected)
    assert functions.zeros(3, 2, like=VALUE).dtype == torch.float64
    assert torch.equal(functions.zeros(3, 2), torch.zeros(3, 2))
