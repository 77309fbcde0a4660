"""Log-densities, means and variances against torch.distributions and independent formulas."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributions as td

from sgdsl.runtime import densities, densities_moments
from sgdsl.runtime.densities import (
    categorical_log_prob,
    categorical_log_prob_at,
    categorical_soft_log_prob,
    range_mean,
    zero_inflated_negative_binomial_log_prob,
)
from tests.runtime.families import CASES, DTYPES, NUMBERS, log_prob, made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("prefix", CASES)
def test_log_prob_is_torch_s(prefix: str, dtype: torch.dtype) -> None:
    """Protects value and gradients of every density, the dtype of the parameters, and the sum over event dimensions."""
    make, kinds, kind = CASES[prefix]
    value = made(kind, (2, 5, 3, 4), dtype, 1)
    ours = [made(k, (2, 5, 3, 4), dtype, 2 + i).requires_grad_() for i, k in enumerate(kinds)]
    theirs = [p.detach().double().requires_grad_() for p in ours]
    expected = make(*theirs).log_prob(value.double()).sum((-1, -2))
    found = log_prob(prefix)(value, *ours, event=2)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=DTYPES[dtype], atol=DTYPES[dtype])
    weights = made("real", (2, 5), torch.float64, 9)
    gradients = torch.autograd.grad(found, ours, weights.to(dtype))
    for a, b in zip(gradients, torch.autograd.grad(expected, theirs, weights), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=50 * DTYPES[dtype], atol=50 * DTYPES[dtype])


@pytest.mark.parametrize("prefix", CASES)
@pytest.mark.parametrize("event", [0, 1, 2])
def test_parameters_broadcast(prefix: str, event: int) -> None:
    """Protects samples × rows: a value without samples, parameters without samples, free parameters, plain numbers."""
    make, kinds, kind = CASES[prefix]
    shapes = [(), (4,), (1, 1, 3, 4), (6, 5, 3, 4), (1, 5, 3, 4)]
    for s, value_shape in enumerate([(1, 5, 3, 4), (6, 5, 3, 4)]):
        value = made(kind, value_shape, torch.float64, s)
        for i in range(len(shapes)):
            chosen = [shapes[(i + 2 * j) % len(shapes)] for j in range(len(kinds))]
            parameters = [made(k, c, torch.float64, 7 + j) for j, (k, c) in enumerate(zip(kinds, chosen, strict=True))]
            whole = make(*parameters).log_prob(value)
            expected = whole.sum(tuple(range(-event, 0))) if event else whole
            leaves = [p.clone().requires_grad_() for p in parameters]
            found = log_prob(prefix)(value, *leaves, event=event)
            torch.testing.assert_close(found, expected)
            found.sum().backward()
            assert all(leaf.grad is not None and leaf.grad.shape == leaf.shape for leaf in leaves)
            theirs = [p.clone().requires_grad_() for p in parameters]
            make(*theirs).log_prob(value).sum().backward()
            for a, b in zip(leaves, theirs, strict=True):
                torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("prefix", CASES)
def test_numbers_are_parameters(prefix: str) -> None:
    """Protects `Normal(0, 1)` and its kin, alone and beside tensors, in both dtypes."""
    make, kinds, kind = CASES[prefix]
    for dtype in DTYPES:
        value = made(kind, (2, 5, 3), dtype)
        for tensors in range(2 ** len(kinds)):
            bits = [tensors >> i & 1 for i in range(len(kinds))]
            given = [made(k, (5, 3), dtype) if bit else NUMBERS[k] for bit, k in zip(bits, kinds, strict=True)]
            expected = make(*(torch.as_tensor(g, dtype=torch.float64) for g in given)).log_prob(value.double()).sum(-1)
            found = log_prob(prefix)(value, *given, event=1)
            assert found.dtype == dtype
            torch.testing.assert_close(found.double(), expected, rtol=DTYPES[dtype], atol=DTYPES[dtype])


@pytest.mark.parametrize("prefix", ["poisson", "negative_binomial", "zero_inflated_negative_binomial"])
def test_whole_counts_are_values(prefix: str) -> None:
    """Protects int64 counts: the same number as floats, in the dtype of the parameters."""
    kinds = {"poisson": ("positive",), "negative_binomial": ("positive", "real")}.get(
        prefix, ("positive", "real", "probability")
    )
    parameters = [made(k, (5, 3), torch.float64, i) for i, k in enumerate(kinds)]
    value = made("count", (5, 3), torch.int64)
    found = log_prob(prefix)(value, *parameters, event=1)
    assert found.dtype == torch.float64
    assert torch.equal(found, log_prob(prefix)(value.double(), *parameters, event=1))
    assert log_prob(prefix)(value, *(NUMBERS[k] for k in kinds), event=1).dtype == torch.get_default_dtype()


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_inflated_is_the_mixture(dtype: torch.dtype) -> None:
    """Protects the gate's meaning against probabilities computed from the binomial coefficient, gradient by differences."""
    total, logits, gate = 2.5, -0.4, 0.3
    success = 1 / (1 + math.exp(-logits))

    def mass(count: int, total: float, success: float, gate: float) -> float:
        choose = math.prod((total + i) / (i + 1) for i in range(count))
        return gate * (count == 0) + (1 - gate) * choose * success**count * (1 - success) ** total

    counts = torch.arange(8, dtype=dtype)
    leaves = [torch.tensor(p, dtype=dtype, requires_grad=True) for p in (total, logits, gate)]
    found = zero_inflated_negative_binomial_log_prob(counts, *leaves)
    expected = torch.tensor([math.log(mass(c, total, success, gate)) for c in range(8)], dtype=dtype)
    torch.testing.assert_close(found, expected, rtol=DTYPES[dtype], atol=DTYPES[dtype])
    for count in range(3):
        gradients = torch.autograd.grad(found[count], leaves, retain_graph=True)
        step = 1e-6
        high, low = mass(count, total + step, success, gate), mass(count, total - step, success, gate)
        assert float(gradients[0]) == pytest.approx((math.log(high) - math.log(low)) / (2 * step), abs=1e-4)
        high, low = mass(count, total, success, gate + step), mass(count, total, success, gate - step)
        assert float(gradients[2]) == pytest.approx((math.log(high) - math.log(low)) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_of_counts_sum_to_one(dtype: torch.dtype) -> None:
    """Protects the normalising constants of the count families without any reference implementation."""
    counts = torch.arange(400, dtype=dtype)
    for found in (
        densities.poisson_log_prob(counts, 7.5),
        densities.negative_binomial_log_prob(counts, 2.5, 1.1),
        densities.zero_inflated_negative_binomial_log_prob(counts, 2.5, 1.1, 0.4),
    ):
        assert float(found.double().exp().sum()) == pytest.approx(1, abs=1e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masses_of_grey_levels_sum_to_one(dtype: torch.dtype) -> None:
    """Protects the tails at 0 and 1 and the mass of a level, from a needle to nearly all mass outside; and the mean, which is
    that of the levels within half a level."""
    levels = torch.arange(256, dtype=dtype) / 255
    for loc, scale in ((0.5, 1e-4), (0.2, 0.01), (1.3, 0.05), (-2.0, 1.0), (0.7, 30.0)):
        probs = densities.discretized_logistic_log_prob(levels, loc, scale).double().exp()
        assert float(probs.sum()) == pytest.approx(1, abs=1e-4 if dtype == torch.float32 else 1e-12)
        found = densities_moments.mean_of("discretized_logistic", (torch.tensor(loc, dtype=dtype), scale))
        assert abs(float(found) - float((probs * levels.double()).sum())) < 0.5 / 255


# --- classes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [0, 1])
def test_classes(event: int) -> None:
    """Protects the mass of classes: normalised logits, values broadcast against samples and the other way round."""
    logits = made("real", (6, 5, 3, 4), torch.float64).requires_grad_()
    for value in (torch.randint(4, (1, 5, 3)), torch.randint(4, (6, 5, 3))):
        expected = td.Categorical(logits=logits).log_prob(value)
        expected = expected.sum(-1) if event else expected
        found = categorical_log_prob(value, logits, event=event)
        torch.testing.assert_close(found, expected)
        a, b = (torch.autograd.grad(f.square().sum(), logits)[0] for f in (found, expected))
        torch.testing.assert_close(a, b)
    few = logits[:1, :, :1].detach()
    value = torch.randint(4, (6, 5, 3))
    torch.testing.assert_close(categorical_log_prob(value, few), td.Categorical(logits=few).log_prob(value))


@pytest.mark.parametrize("event", [(), (2,), (2, 3)])
@pytest.mark.parametrize("drawn", [False, True])
def test_a_class_looked_up_below_equals_the_lifted_one(event: tuple[int, ...], drawn: bool) -> None:
    """Protects enumerated classes, value and gradient: logits of 3 rows, values at 7 entries, shared by 4 samples or not."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((4, 3, *event, 5), generator=generator, dtype=torch.float64).requires_grad_()
    entry = torch.tensor([0, 0, 0, 1, 2, 2, 2])
    value = torch.randint(0, 5, (4 if drawn else 1, 7, *event), generator=generator)
    found = categorical_log_prob_at(value, logits, entry, event=len(event))
    wanted = categorical_log_prob(value, logits.index_select(1, entry), event=len(event))
    torch.testing.assert_close(found, wanted)
    weights = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        *(torch.autograd.grad((v * weights).sum(), logits)[0] for v in (found, wanted)), rtol=1e-12, atol=1e-12
    )


def test_soft_classes_are_linear_in_their_weights() -> None:
    """Protects relaxed nodes: a one-hot has the mass of its class, a soft value the average, with a gradient."""
    logits = made("real", (2, 5, 3, 4), torch.float64)
    value = torch.randint(4, (2, 5, 3))
    hard = torch.nn.functional.one_hot(value, 4).double()
    torch.testing.assert_close(categorical_soft_log_prob(hard, logits, event=1), categorical_log_prob(value, logits, 1))
    soft = made("real", (2, 5, 3, 4), torch.float64, 3).softmax(-1).requires_grad_()
    found = categorical_soft_log_prob(soft, logits, event=1)
    torch.testing.assert_close(found, (soft * torch.log_softmax(logits, -1)).sum((-1, -2)))
    torch.testing.assert_close(torch.autograd.grad(found.sum(), soft)[0], logits.log_softmax(-1))


# --- moments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", CASES)
def test_means_and_variances_are_torch_s(prefix: str) -> None:
    """Protects pictures and beliefs: both moments, of the shape that the parameters broadcast to."""
    make, kinds, _ = CASES[prefix]
    shapes = [(2, 5, 3), (3,), (5, 1)]
    parameters = [made(k, shapes[i], torch.float64, i) for i, k in enumerate(kinds)]
    reference = make(*parameters)
    torch.testing.assert_close(densities_moments.mean_of(prefix, tuple(parameters)), reference.mean)
    torch.testing.assert_close(densities_moments.variance_of(prefix, tuple(parameters)), reference.variance)
    numbers = tuple(NUMBERS[k] for k in kinds)
    one = densities_moments.mean_of(prefix, numbers)
    assert one.shape == ()
    torch.testing.assert_close(one, make(*map(torch.tensor, numbers)).mean, check_dtype=False)


def test_moments_of_zero_inflated_counts() -> None:
    """Protects the two moments that torch lacks, against the sum over counts."""
    counts = torch.arange(2000, dtype=torch.float64)
    probs = zero_inflated_negative_binomial_log_prob(counts, 2.5, 1.1, 0.4).exp()
    mean = (probs * counts).sum()
    variance = (probs * (counts - mean).square()).sum()
    parameters = tuple(torch.tensor(p, dtype=torch.float64) for p in (2.5, 1.1, 0.4))
    torch.testing.assert_close(densities_moments.mean_of("zero_inflated_negative_binomial", parameters), mean)
    torch.testing.assert_close(densities_moments.variance_of("zero_inflated_negative_binomial", parameters), variance)


def test_expected_class_and_number() -> None:
    """Protects the mean of a class, its probabilities, and of a bounded count, its expected number."""
    logits = made("real", (2, 5, 4), torch.float64)
    torch.testing.assert_close(densities.categorical_mean(logits), logits.softmax(-1))
    by_hand = sum((3 + i) * logits.softmax(-1)[..., i] for i in range(4))
    torch.testing.assert_close(range_mean(logits, 3), by_hand)
