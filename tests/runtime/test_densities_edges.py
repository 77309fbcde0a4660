"""Densities with a written gradient, and every density at the edge of its support and of its parameters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgdsl.runtime import densities
from sgdsl.runtime.densities import bernoulli_log_prob, bernoulli_log_prob_lifted, categorical_log_prob, normal_log_prob
from tests.runtime.families import CASES, DTYPES, log_prob, made

# --- the kernels with a gradient of their own ------------------------------------------------------------------


def plain_bernoulli(value: Tensor, logits: Tensor, event: int) -> Tensor:
    return (value * logits - torch.logaddexp(logits, torch.zeros_like(logits))).sum(tuple(range(-event, 0)))


@pytest.mark.parametrize("cells", [(128,), (1, 28, 28), (131,), (3, 43), (1000,)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_images(cells: tuple[int, ...], dtype: torch.dtype) -> None:
    """Protects the one-residual kernel: odd widths, grey values, samples on either side, both gradients."""
    event = len(cells)
    for value_shape, logits_shape in [
        ((1, 4), (3, 4)),
        ((3, 4), (3, 4)),
        ((1, 4), (1, 4)),
        ((3, 4), (1, 4)),
        ((1, 4), ()),
    ]:
        value = made("probability", (*value_shape, *cells), dtype, 1).requires_grad_()
        logits = (8 * made("real", (*logits_shape, *cells), dtype, 2)).requires_grad_()
        exact = [t.detach().double().requires_grad_() for t in (value, logits)]
        expected = plain_bernoulli(*exact, event)
        found = bernoulli_log_prob(value, logits, event=event)
        assert found.dtype == dtype
        torch.testing.assert_close(
            found.double(), expected, rtol=DTYPES[dtype], atol=1e-3 if dtype == torch.float32 else 1e-10
        )
        weights = made("real", tuple(expected.shape), torch.float64, 3)
        ours = torch.autograd.grad(found, (value, logits), weights.to(dtype))
        for a, b in zip(ours, torch.autograd.grad(expected, exact, weights), strict=True):
            torch.testing.assert_close(a.double(), b, rtol=10 * DTYPES[dtype], atol=10 * DTYPES[dtype])


def test_bernoulli_leaves_its_arguments_alone() -> None:
    """Protects values and logits from the kernel's in-place work, and a second backward pass of one graph."""
    value, logits = (
        made("binary", (1, 4, 200), torch.float32),
        made("real", (2, 4, 200), torch.float32, 1).requires_grad_(),
    )
    copies = value.clone(), logits.detach().clone()
    found = bernoulli_log_prob(value, logits, event=1)
    first = torch.autograd.grad(found.sum(), logits, retain_graph=True)[0].clone()
    second = torch.autograd.grad(found.sum(), logits)[0]
    assert torch.equal(first, second)
    assert torch.equal(value, copies[0])
    assert torch.equal(logits.detach(), copies[1])


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("block", [128, 3 * 128, 1 << 17])
def test_blocks_are_the_whole(samples: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects rows, samples and lifted values at the seams of blocks, and both gradients."""
    monkeypatch.setattr("sgdsl.runtime.densities_finite.BLOCK", block)
    value = made("probability", (1, 4, 128), torch.float64).requires_grad_()
    logits = made("real", (samples, 7, 128), torch.float64, 1).requires_grad_()
    up = torch.tensor([0, 0, 1, 3, 2, 2, 3])
    found, expected = bernoulli_log_prob_lifted(value, up, logits, 1), plain_bernoulli(value[:, up], logits, 1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    weights = made("real", (samples, 7), torch.float64, 2)
    slopes = [torch.autograd.grad(v, (value, logits), weights) for v in (found, expected)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shapes", [((3, 4, 5),) * 3, ((3, 4, 5), (1, 4, 5), (1, 4, 5)), ((1, 4, 5), (3, 4, 5), (5,))])
def test_kernels_pass_gradcheck(shapes: tuple[tuple[int, ...], ...]) -> None:
    """Protects the written gradients against differences, for every argument and every way to broadcast."""
    value, loc, scale = (
        made(k, s, torch.float64, i) for i, (k, s) in enumerate(zip(("real", "real", "positive"), shapes, strict=True))
    )
    leaves = [t.requires_grad_() for t in (value, loc, scale)]
    assert torch.autograd.gradcheck(lambda v, m, s: normal_log_prob(v, m, s, event=1), leaves)
    wide = [made("real", (*s[:-1], 128), torch.float64, i).requires_grad_() for i, s in enumerate(shapes[:2])]
    assert torch.autograd.gradcheck(lambda v, logits: bernoulli_log_prob(v, logits, event=1), wide)


def test_second_derivatives_are_refused() -> None:
    """Protects from a silent zero: the kernels are differentiable once, and say so."""
    for found, leaf in (
        (lambda x: normal_log_prob(torch.ones(4), x, torch.ones(4), event=1), torch.zeros(4)),
        (lambda x: bernoulli_log_prob(torch.ones(1, 200), x, event=1), torch.zeros(1, 200)),
    ):
        leaf.requires_grad_()
        with pytest.raises(RuntimeError, match="differentiable once"):
            torch.autograd.grad(found(leaf).sum(), leaf, create_graph=True)


# --- edges ------------------------------------------------------------------------------------------------------

EDGES: list[tuple[str, float, tuple[float, ...]]] = [
    *(("bernoulli", v, (logit,)) for v in (0.0, 0.5, 1.0) for logit in (-80.0, 0.0, 80.0)),
    *(("normal", v, (0.0, s)) for v in (0.0, 1e4) for s in (1e-4, 1e4)),
    *(("laplace", v, (0.0, s)) for v in (0.0, 1e4) for s in (1e-4, 1e4)),
    *(("student_t", v, (df, 0.0, s)) for v in (0.0, 1e4) for df in (2.0, 1e6) for s in (1e-4, 1e4)),
    *(("von_mises", v, (m, k)) for v in (0.0, 3.1415) for m in (0.0, -1e3) for k in (1e-4, 1e8)),
    *(("discretized_logistic", v, (m, s)) for v in (0.0, 0.2, 1.0) for m in (-1e4, 0.2, 1e4) for s in (1e-4, 1.0, 1e6)),
    *(("log_normal", v, (0.0, s)) for v in (0.0, 1e-38, 1e38) for s in (1e-2, 1e2)),
    *(("poisson", v, (r,)) for v in (0.0, 1.0, 1e9) for r in (1e-4, 1.0, 1e9)),
    *(("negative_binomial", v, (n, s)) for v in (0.0, 1.0, 1e9) for n in (1e-4, 1.0, 1e6) for s in (-80.0, 0.0, 80.0)),
    *(
        ("zero_inflated_negative_binomial", v, (n, s, g))
        for v in (0.0, 1.0, 1e9)
        for n in (1e-4, 1e6)
        for s in (-80.0, 0.0, 80.0)
        for g in (0.0, 1e-6, 1 - 1e-6, 1.0)
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cells", [1, 256])
def test_edges_of_the_support_are_finite(dtype: torch.dtype, cells: int) -> None:
    """Protects training from a NaN: value and gradients are finite at the edge of supports and domains."""
    for prefix, number, numbers in EDGES:
        value = torch.full((1, 2, cells), number, dtype=dtype)
        leaves = [torch.full((3, 2, cells), n, dtype=dtype, requires_grad=True) for n in numbers]
        found = log_prob(prefix)(value, *leaves, event=1)
        gradients = torch.autograd.grad(found.sum(), leaves)
        assert found.isfinite().all(), (prefix, number, numbers)
        assert all(g.isfinite().all() for g in gradients), (prefix, number, numbers)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_latents_get_finite_gradients(dtype: torch.dtype) -> None:
    """Protects reparameterised draws that reach the edge: a value that underflows, one far from the centre."""
    for prefix, number, numbers in EDGES:
        if CASES.get(prefix, ("", (), "count"))[2] in ("real", "positive"):
            value = torch.full((1, 2, 3), number, dtype=dtype, requires_grad=True)
            (gradient,) = torch.autograd.grad(log_prob(prefix)(value, *numbers, event=1).sum(), value)
            assert gradient.isfinite().all(), (prefix, number, numbers)


def test_classes_that_are_all_but_excluded() -> None:
    """Protects labels that the classifier is sure against: logits ±80 have a finite mass and gradient."""
    logits = torch.tensor([[80.0, -80.0, 0.0]], requires_grad=True)
    found = categorical_log_prob(torch.tensor([1]), logits)
    assert float(found.detach()) == pytest.approx(-160)
    assert torch.autograd.grad(found.sum(), logits)[0].isfinite().all()


def test_many_degrees_of_freedom_are_normal() -> None:
    """Protects float32 from the difference of two large log-gammas: at df = 1e6 a Student t is a Normal to 1e-5."""
    value = torch.linspace(-3, 3, 7)
    found = densities.student_t_log_prob(value, torch.tensor(1e6), 0.0, 1.0)
    torch.testing.assert_close(found, normal_log_prob(value, 0.0, 1.0), rtol=0, atol=3e-5)
