"""The maps into the domains of parameters: their range, their values, their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from sgdsl.runtime import domains

RAW = torch.tensor([-1e4, -80.0, -20.0, -1.0, 0.0, 1.0, 25.0, 80.0, 1e4])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_heads_end_inside(dtype: torch.dtype) -> None:
    """Protects from a scale of 0 and a probability of 0 or 1, with finite gradients, in the dtype that came."""
    for function, low, high in (
        (domains.positive, 1e-4, math.inf),
        (domains.degrees, 2.0, math.inf),
        (domains.probability, 1e-6, 1 - 1e-6),
    ):
        raw = RAW.to(dtype).requires_grad_()
        found = function(raw)
        assert found.dtype == dtype
        assert found.isfinite().all()
        assert found.double().min() >= low * (1 - 1e-6)
        assert found.double().max() <= high + 1e-7
        assert torch.autograd.grad(found.sum(), raw)[0].isfinite().all()


def test_positive_is_softplus_and_a_floor() -> None:
    """Protects the formula, also where torch's softplus has become the identity (raw over 20)."""
    raw = torch.tensor([-3.0, 0.5, 21.0, 30.0], dtype=torch.float64)
    torch.testing.assert_close(domains.positive(raw), raw.exp().log1p() + 1e-4, rtol=1e-15, atol=0)
    torch.testing.assert_close(domains.positive(raw, 1e-2), raw.exp().log1p() + 1e-2, rtol=1e-15, atol=0)
    torch.testing.assert_close(domains.degrees(raw), raw.exp().log1p() + 2, rtol=1e-15, atol=0)


def test_values_are_brought_into_the_domain() -> None:
    """Protects expressions and numbers: what is inside stays to the bit, what is outside goes to the edge."""
    value = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert torch.equal(domains.at_least(value, 1e-4), torch.tensor([1e-4, 1e-4, 0.5, 1.0, 2.0]))
    assert torch.equal(domains.clip_probability(value), torch.tensor([1e-6, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-6]))
    assert (domains.at_least(-1.0, 1e-4), domains.at_least(3.0, 1e-4)) == (1e-4, 3.0)
    assert [domains.clip_probability(v) for v in (0.0, 0.25, 1.0)] == [1e-6, 0.25, 1 - 1e-6]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_become_logits(dtype: torch.dtype) -> None:
    """Protects `probs = …`: back to the same probabilities, and finite value and gradient at 0 and 1."""
    probs = torch.tensor([0.0, 1e-3, 0.3, 0.9, 1.0], dtype=dtype, requires_grad=True)
    logits = domains.bernoulli_logits(probs)
    assert logits.dtype == dtype
    torch.testing.assert_close(logits.sigmoid(), probs.clamp(1e-6, 1 - 1e-6))
    assert torch.autograd.grad(logits.sum(), probs)[0].isfinite().all()
    torch.testing.assert_close(domains.bernoulli_logits(0.25), torch.tensor(-math.log(3)))


def test_class_probabilities_become_logits() -> None:
    """Protects a class's `probs`: given ones, a certain class, ones that do not sum to 1, and none at all."""
    probs = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [2.0, 3.0, 5.0], [0.0, 0.0, 0.0]], requires_grad=True)
    found = domains.categorical_logits(probs)
    expected = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(found.softmax(-1), expected, rtol=0, atol=3e-6)
    assert torch.autograd.grad(found.sum(), probs)[0].isfinite().all()
