"""MIG, SAP and DCI on codes whose answers are known by hand, by enumeration or by quadrature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sgdsl.train.disentangle import (
    dci,
    entropy,
    measures,
    mig,
    mutual_information,
    sap,
    sparse_softmax,
    threshold_accuracy,
)

ROWS = 1000
FACTOR = np.arange(ROWS) % 2


def two_normals(distance: float) -> float:
    """I(z; v) of z | v ~ N(±distance, 1), v even: H(z) − H(z | v) by quadrature."""
    z = np.linspace(-15, 15, 20_001)
    density = (np.exp(-((z - distance) ** 2) / 2) + np.exp(-((z + distance) ** 2) / 2)) / (2 * np.sqrt(2 * np.pi))
    marginal = -np.trapezoid(density * np.log(density), z)
    return float(marginal - 0.5 * np.log(2 * np.pi * np.e))


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 3.0])
def test_information_of_normal_codes(distance: float) -> None:
    """Protects the aggregate posterior: every row of a class has the same q, so that I is that of two normals, known by
    quadrature; within 0.02 (4 standard errors at 10,000 draws)."""
    code = (np.where(FACTOR == 1, distance, -distance), np.ones(ROWS))
    assert mutual_information(code, FACTOR) == pytest.approx(two_normals(distance), abs=0.02)


def test_information_of_finite_codes_is_exact() -> None:
    """A channel that errs in one of five: log 2 − H(0.2)."""
    code = np.where((FACTOR == 1)[:, None], [0.2, 0.8], [0.8, 0.2])
    expected = np.log(2) + 0.2 * np.log(0.2) + 0.8 * np.log(0.8)
    assert mutual_information(code, FACTOR) == pytest.approx(expected, abs=1e-12)


def test_gap() -> None:
    """MIG known in closed form: one code copies a factor and the other is a noisy channel; a factor without variation has none;
    two equal copies have 0."""
    exact, noisy = np.eye(2)[FACTOR], np.where((FACTOR == 1)[:, None], [0.2, 0.8], [0.8, 0.2])
    information = np.array([[mutual_information(c, FACTOR), 0.0] for c in (exact, noisy, exact)])
    h = np.array([entropy(FACTOR), 0.0])
    channel = (np.log(2) + 0.2 * np.log(0.2) + 0.8 * np.log(0.8)) / np.log(2)
    assert mig(information[:2], h) == [pytest.approx(1 - channel), None]
    assert mig(information, h) == [pytest.approx(0.0), None]
    assert mig(information[:1], h) == [None, None]


def test_thresholds_are_the_best_ones() -> None:
    """Protects the dynamic program: equal to trying every pair of thresholds and every labelling, with ties among values."""
    rng = np.random.default_rng(0)
    values, factor = rng.integers(0, 8, (30, 3)).astype(float), np.concatenate(([0, 1, 2], rng.integers(0, 3, 27)))
    found = threshold_accuracy(values, factor)
    weight = 1 / (3 * np.bincount(factor))
    for column, best in zip(values.T, found, strict=True):
        tried = 0.0
        for low, high in itertools.combinations_with_replacement(np.arange(-0.5, 9), 2):
            part = (column > low).astype(int) + (column > high)
            for labels in itertools.product(range(3), repeat=3):
                right = np.array(labels)[part] == factor
                tried = max(tried, float(weight[factor][right].sum()))
        assert best == pytest.approx(tried)


def test_separated_predictability() -> None:
    """One code that splits the classes and one that is constant: 1 − 1/2; of two copies 0."""
    values = np.stack((FACTOR * 2.0, np.zeros(ROWS)), 1)
    assert sap(values, [FACTOR]) == [pytest.approx(0.5)]
    assert sap(values[:, [0, 0]], [FACTOR]) == [pytest.approx(0.0)]
    assert sap(values[:, :1], [FACTOR]) == [None]


def test_the_regression_is_optimal() -> None:
    """Protects sparse_softmax by the conditions of the lasso's optimum: |gradient| is λ where a weight is not zero and at most
    λ elsewhere, 0 at the constants; columns without influence get weight 0 exactly."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(400, 4))
    factor = (values[:, 0] - values[:, 1] + 0.5 * rng.normal(size=400) > 0).astype(int)
    weights, accuracy = sparse_softmax(values, factor, 0.05)
    inputs = np.concatenate((values, np.ones((400, 1))), 1)
    raised = np.exp(inputs @ weights)
    gradient = inputs.T @ (raised / raised.sum(1, keepdims=True) - np.eye(2)[factor]) / 400
    assert accuracy > 0.85
    assert (weights[2:4] == 0).all()
    assert np.abs(gradient[2:4]).max() <= 0.05
    np.testing.assert_allclose(
        gradient[:2][weights[:2] != 0], -0.05 * np.sign(weights[:2][weights[:2] != 0]), atol=1e-4
    )
    np.testing.assert_allclose(gradient[4], 0, atol=1e-4)


def test_one_code_a_factor() -> None:
    """DCI of codes that are the factors, and of codes rotated by 45°: near 1 and near 0."""
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 2, (2, 2000))
    straight = np.stack((first, second), 1) * 2.0 - 1 + 0.05 * rng.normal(size=(2000, 2))
    good = dci(straight, [0, 1], [first, second])
    assert min(good.values()) > 0.95  # type: ignore[type-var]
    turned = np.stack((straight[:, 0] + straight[:, 1], straight[:, 0] - straight[:, 1]), 1)
    bad = dci(turned, [0, 1], [first, second])
    assert bad["disentanglement"] < 0.05  # type: ignore[operator]
    assert bad["completeness"] < 0.05  # type: ignore[operator]
    assert bad["informativeness"] > 0.95  # type: ignore[operator]
    assert dci(straight[:, :1], [0], [first])["disentanglement"] is None


def test_all_measures_of_a_mixed_code() -> None:
    """A finite code owns all its columns: completeness is over codes, not columns."""
    codes = {"c": np.eye(2)[FACTOR], "z": (np.zeros(ROWS), np.ones(ROWS))}
    found = measures(codes, {"v": FACTOR})
    assert found["mig"]["v"] == pytest.approx(1.0, abs=0.01)
    assert found["dci"]["completeness"] == pytest.approx(1.0, abs=0.01)
    assert found["dci"]["disentanglement"] is None
    assert found["information"]["c"]["v"] == pytest.approx(np.log(2))
