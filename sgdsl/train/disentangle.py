"""Which code carries which factor: codes that a model infers and known factors come in; MIG, SAP and DCI go out.

A code is one dimension of what is inferred: (mean, standard deviation), [rows] each, of a normal q; or probabilities
[rows, values]. A factor is whole numbers from 0, [rows]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sgdsl.train.dataset import Array

Code = tuple[Array, Array] | Array
LASSO = 0.01  # the penalty of DCI's regressions, on codes of variance 1
STEPS = 500  # of their descent


def mutual_information(code: Code, factor: Array, draws: int = 10, seed: int = 0) -> float:
    """I(code; factor) in nats under q(code | row) and the empirical rows: exact of a finite code, of a normal one with
    `draws` draws a row from the aggregate (Chen, Li, Grosse and Duvenaud, 2018, section 4.1 and appendix A). Where q is
    narrower than the gap between neighbouring rows, each row is told apart, and this tends to the factor's entropy."""
    rows = [np.flatnonzero(factor == value) for value in np.unique(factor)]
    if not isinstance(code, tuple):
        whole = code.mean(0)
        parts = [(len(r) / len(factor), code[r].mean(0)) for r in rows]
        return float(sum(share * _divergence(part, whole) for share, part in parts))
    mean, deviation = (np.asarray(part, np.float64) for part in code)
    deviation = np.maximum(deviation, 1e-6)
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(draws):
        z = mean + deviation * rng.standard_normal(len(mean))
        log_q = -0.5 * ((z[:, None] - mean) / deviation) ** 2 - np.log(deviation)  # [draws, rows]
        log_q -= log_q.max(1, keepdims=True)
        density = np.exp(log_q)
        whole = density.mean(1)
        for r in rows:
            total += float(np.log(density[np.ix_(r, r)].mean(1) / whole[r]).sum())
    return max(0.0, total / (draws * len(mean)))


def _divergence(p: Array, q: Array) -> float:
    inside = p > 0
    return float((p[inside] * np.log(p[inside] / q[inside])).sum())


def entropy(factor: Array) -> float:
    """H of the empirical factor, nats."""
    share = np.unique(factor, return_counts=True)[1] / len(factor)
    return float(-(share * np.log(share)).sum())


def mig(information: Array, entropies: Array) -> list[float | None]:
    """The mutual information gap of each factor, (I₁ − I₂) / H, of information [codes, factors] (Chen et al., 2018, equation 6):
    1 where one code alone knows the factor. None where there is one code, or the factor is constant."""
    if len(information) < 2:
        return [None] * len(entropies)
    top = np.sort(information, 0)[::-1]
    return [float(g / h) if h > 0 else None for g, h in zip(top[0] - top[1], entropies, strict=True)]


def sap(values: Array, factors: Sequence[Array]) -> list[float | None]:
    """The separated attribute predictability of each factor (Kumar, Sattigeri and Balakrishnan, 2018, section 3): the gap between
    the two codes, [rows, codes], that tell it best by thresholds, in balanced accuracy. None where there is one code."""
    if values.shape[1] < 2:
        return [None] * len(factors)
    found: list[float | None] = []
    for factor in factors:
        top = np.sort(threshold_accuracy(values, factor))[::-1]
        found.append(float(top[0] - top[1]))
    return found


def threshold_accuracy(values: Array, factor: Array) -> Array:
    """The best balanced accuracy of each code, [codes], when at most K − 1 thresholds cut its line into intervals, each of one
    of K classes: exact, by dynamic programming along the sorted rows."""
    classes, of = np.unique(factor, return_inverse=True)
    weight = 1 / (len(classes) * np.bincount(of))
    order = np.argsort(values, 0, kind="stable")
    ranked, labels = np.take_along_axis(values, order, 0), of[order]
    codes = np.arange(values.shape[1])
    best = np.full(
        (len(codes), len(classes), len(classes)), -np.inf
    )  # [codes, thresholds used, class of the last interval]
    best[:, 0] = 0.0
    for i in range(len(values)):
        if i:
            free = (ranked[i] > ranked[i - 1])[:, None]  # a threshold only between different values
            switched = np.where(free, best[:, :-1].max(2), -np.inf)
            best[:, 1:] = np.maximum(best[:, 1:], switched[:, :, None])
        best[codes, :, labels[i]] += weight[labels[i]][:, None]
    return np.asarray(best.max((1, 2)))


def dci(values: Array, owners: Sequence[int], factors: Sequence[Array]) -> dict[str, float | None]:
    """Disentanglement, completeness and informativeness (Eastwood and Williams, 2018, section 2). Importance R [codes, factors]:
    the absolute weights of an L1-penalised softmax regression of each factor, standardised codes [rows, columns]
    in; `owners[column]`: the code a column belongs to. Informativeness is its mean accuracy. Disentanglement needs two
    factors that are not constant, completeness two codes; else None."""
    deviation = values.std(0)
    scaled = (values - values.mean(0)) / np.where(deviation > 1e-9, deviation, 1.0)
    importance = np.zeros((max(owners) + 1, len(factors)))
    right = []
    for j, factor in enumerate(factors):
        weights, accuracy = sparse_softmax(scaled, factor)
        np.add.at(importance[:, j], np.asarray(owners), np.abs(weights[:-1]).sum(1))
        right.append(accuracy)
    return {
        "disentanglement": _concentration(importance, 1),
        "completeness": _concentration(importance, 0),
        "informativeness": float(np.mean(right)),
    }


def _concentration(importance: Array, axis: int) -> float | None:
    """The mean of 1 − H(share along an axis) in the base of its size, weighed by each line's sum."""
    size = importance.shape[axis]
    if size < 2:
        return None
    sums = importance.sum(axis)
    if sums.sum() <= 0:
        return 0.0
    share = importance / np.where(sums > 0, sums, 1.0).reshape((-1, 1) if axis == 1 else (1, -1))
    entropies = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis) / np.log(size)
    return float((sums / sums.sum() * (1 - entropies)).sum())


def sparse_softmax(values: Array, factor: Array, penalty: float = LASSO) -> tuple[Array, float]:
    """Weights [columns + 1, classes], the last line the constants, that minimise the mean cross-entropy of a factor plus
    `penalty` · Σ |weight| without the constants, and their accuracy on the same rows: accelerated proximal descent (Beck and
    Teboulle, 2009)."""
    classes, of = np.unique(factor, return_inverse=True)
    target = np.eye(len(classes))[of]
    inputs = np.concatenate((values, np.ones((len(values), 1))), 1)
    step = 2 / max(float(np.linalg.norm(inputs, 2) ** 2 / len(inputs)), 1e-9)
    shrink = np.full((inputs.shape[1], 1), penalty * step)
    shrink[-1] = 0.0
    weights = ahead = np.zeros((inputs.shape[1], len(classes)))
    pace = 1.0
    for _ in range(STEPS):
        gradient = inputs.T @ (_softmax(inputs @ ahead) - target) / len(inputs)
        moved = ahead - step * gradient
        new = np.sign(moved) * np.maximum(np.abs(moved) - shrink, 0.0)
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        ahead, weights, pace = new + (pace - 1) / faster * (new - weights), new, faster
    accuracy = float(((inputs @ weights).argmax(1) == of).mean())
    return weights, accuracy


def _softmax(logits: Array) -> Array:
    raised: Array = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def measures(codes: dict[str, Code], factors: dict[str, Array]) -> dict[str, Any]:
    """All three, for named codes and factors: `mig` and `sap` by factor, `dci`, and `information` [code][factor], nats."""
    names, columns, owners = list(codes), [], list[int]()
    for i, code in enumerate(codes.values()):
        wide = code[0][:, None] if isinstance(code, tuple) else code
        columns.append(wide)
        owners += [i] * wide.shape[1]
    lines = [code[0] if isinstance(code, tuple) else code.argmax(1) for code in codes.values()]
    known = list(factors.values())
    information = np.array([[mutual_information(code, factor) for factor in known] for code in codes.values()])
    gaps = mig(information, np.array([entropy(factor) for factor in known]))
    return {
        "mig": dict(zip(factors, gaps, strict=True)),
        "sap": dict(zip(factors, sap(np.stack(lines, 1).astype(float), known), strict=True)),
        "dci": dci(np.concatenate(columns, 1).astype(float), owners, known),
        "information": {
            n: dict(zip(factors, row.tolist(), strict=True)) for n, row in zip(names, information, strict=True)
        },
    }
