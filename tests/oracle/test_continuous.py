"""Real nodes: bounds by hand at recorded draws, gradients by finite differences, closed forms, quadrature, floors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.by_hand import step_and_hand
from sgdsl.oracle.program import BOUNDS, Compiled, batch_of, example
from sgdsl.runtime.draws import Draws
from tests.oracle.program import MODELS, compile_text, differences, every_pattern, program

ALPHA = 0.5


def noise(seed: int) -> Draws:
    """The same draws for the same seed."""
    return Draws(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize(
    "name",
    [
        "families",
        "bounded_families",
        "angles",
        "levels",
        "vectors",
        "directions",
        "gauss_labels",
        "linear_gaussian",
        "expressions",
        "maps",
    ],
)
def test_bounds_are_their_definitions_draw_by_draw(name: str, bound: str) -> None:
    """Protects every family inside a step (Laplace, LogNormal, Delta, StudentT, Gamma, Beta, the counts, floors) and real labels,
    functions, broadcasting, convolutions and norms, all patterns in one batch: the formula of section 1 on the recorded
    draws, densities from textbooks, networks from language.md."""
    compiled = program(name, bound)
    for samples in (1, 4):
        step, hand, _ = step_and_hand(compiled, every_pattern(compiled, range(6)), samples, ALPHA, 3)
        assert torch.allclose(step.bound, hand, 1e-12, 1e-11)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["gauss_after", "gauss_both", "gauss_labels"])
def test_gradients_are_finite_differences_at_the_same_noise(name: str, bound: str) -> None:
    """Protects the path through draws *and weights*: detached weights leave an error that no S cures (section 5)."""
    compiled = program(name, bound)
    batch = batch_of(compiled, every_pattern(compiled, (1, 2)))

    def total() -> Tensor:
        return compiled.run(batch, noise(5), 4, ALPHA).objective.sum()

    parameters = list(compiled.module.parameters())
    slopes = torch.autograd.grad(total(), parameters, allow_unused=True)
    for parameter, slope in zip(parameters, slopes, strict=True):
        found = torch.zeros_like(parameter) if slope is None else slope
        assert torch.allclose(found, differences(parameter, total), 1e-5, 1e-5)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("known", [(), ("y",)])
def test_the_mean_of_real_draws_is_the_quadrature(known: tuple[str, ...], bound: str) -> None:
    """Protects draws and densities together: 20,000 rows at S = 2, seed 1, against Gauss-Hermite quadrature with 24
    points (16 give the same to 1e-4), within 4 standard errors."""
    compiled = compile_text((MODELS / "gauss_after.sgm").read_text(), "gauss_after", bound, 0.25)
    row, count = example(compiled.ir, 5), 20_000
    wanted = [
        float(exact.expectation(compiled.sample(row, known, points), bound, ALPHA, 2).detach()) for points in (24, 16)
    ]
    assert wanted[0] == pytest.approx(wanted[1], abs=1e-4)
    found = compiled.run(batch_of(compiled, [(row, known, count)]), noise(1), 2, ALPHA).bound.detach()
    error = float(found.std()) / math.sqrt(count)
    assert abs(float(found.mean()) - wanted[0]) < 4 * error


def closed_form(compiled: Compiled, row: dict[str, Tensor]) -> tuple[float, float]:
    """log q(t | x) and L (α = ALPHA) of linear_gaussian with t known, from Gaussian algebra."""
    at = {n: p.detach().flatten() for n, p in compiled.module.named_parameters()}
    x, t = float(row["x"]), float(row["t"])
    mean, var = float(at["q_z.loc.weight"] * x + at["q_z.loc.bias"]), 0.6**2
    slope, offset = float(at["q_t.loc.weight"]), float(at["q_t.loc.bias"])
    log_q = _log_normal(t, slope * mean + offset, slope**2 * var + 0.8**2)
    post_var = 1 / (1 / var + slope**2 / 0.8**2)
    post_mean = post_var * (mean / var + slope * (t - offset) / 0.8**2)
    a, b = float(at["p_t.loc.weight"]), float(at["p_t.loc.bias"])
    (c, d), e = (float(v) for v in at["p_x.loc.weight"]), float(at["p_x.loc.bias"])

    def expected_log(offset: float, slope: float, var: float) -> float:
        """E[log N(0; offset + slope z, var)] under q(z | x, t)."""
        return _log_normal(offset + slope * post_mean, 0.0, var) - 0.5 * slope**2 * post_var / var

    log_p = expected_log(0.0, 1.0, 1.0) + expected_log(b - t, a, 0.7**2) + expected_log(d * t + e - x, c, 0.9**2)
    log_r = expected_log(-mean, 1.0, var) + expected_log(offset - t, slope, 0.8**2)
    return log_q, log_p - log_r + (1 + ALPHA) * log_q


def _log_normal(value: float, mean: float, var: float) -> float:
    return -0.5 * (value - mean) ** 2 / var - 0.5 * math.log(2 * math.pi * var)


def test_a_real_label_after_a_latent_in_closed_form() -> None:
    """Protects log q(t | x) and L for a linear-Gaussian model: 50 rows at S = 4,000, seed 2, within 4 standard errors
    and the bias of self-normalisation, of order 1/S; the oracle's quadrature gives the same to 1e-6."""
    compiled = program("linear_gaussian", "snis")
    row = example(compiled.ir, 2)
    log_q, limit = closed_form(compiled, row)
    grid = compiled.grid(row, ("t",), 60)
    assert float(exact.log_q_known(grid).detach()) == pytest.approx(log_q, abs=1e-6)
    assert float(exact.target(grid, ALPHA).detach()) == pytest.approx(limit, abs=1e-6)
    step = compiled.run(batch_of(compiled, [(row, ("t",), 50)]), noise(2), 4_000, ALPHA)
    weights = step.log_w.detach().exp().flatten()
    assert abs(float(weights.mean()) - math.exp(log_q)) < 4 * float(weights.std()) / math.sqrt(weights.numel())
    found = step.bound.detach()
    assert abs(float(found.mean()) - limit) < 4 * float(found.std()) / math.sqrt(50) + 10 / 4_000


def test_scales_of_real_labels_are_floored() -> None:
    """Trap 6: with every scale pushed to 0, q(s | x), q(t | z), p(t | z) and p(x | …) stop at 1e-2 or the floor that is
    written, so that log q of a label met exactly is at most −log floor − ½ log 2π; gradients stay finite."""
    compiled = program("gauss_labels")
    kept = {n: p.detach().clone() for n, p in compiled.module.named_parameters()}
    with torch.no_grad():
        for name, parameter in compiled.module.named_parameters():
            parameter.fill_(-60.0 if name.endswith(("scale", "scale.bias")) else 0.0)
    row = {n: torch.zeros_like(v) for n, v in example(compiled.ir, 1).items()}
    step = compiled.run(batch_of(compiled, [(row, ("s",), 1), (row, ("t",), 1)]), noise(1), 2, ALPHA)
    top = [-math.log(floor) - 0.5 * math.log(2 * math.pi) for floor in (1e-2, 0.05)]
    assert step.log_w.max(0).values.tolist() == pytest.approx(top, abs=1e-6)
    slopes = torch.autograd.grad(step.objective.sum(), list(compiled.module.parameters()), allow_unused=True)
    assert all(g.isfinite().all() for g in slopes if g is not None)
    for term, floor in (("p(x | z, s)", 1e-2), ("p(t | z)", 1e-2)):
        cells = 2 if term.startswith("p(x") else 1
        log_prob = step.terms[term].log_prob
        assert isinstance(log_prob, Tensor)
        found = float(log_prob[0, 1].detach())
        assert found == pytest.approx(cells * (-math.log(floor) - 0.5 * math.log(2 * math.pi)), abs=1e-6), term
    compiled.module.load_state_dict(kept)
