"""Sum and sample (docs/objective.md, section 5), by enumerating all draws of small finite models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from tests.objective.outcomes import Everything, everything, gradient, model_of

ALONE = """model alone
observed   x : class(3)
supervised y : class(4)
latent     z : class(2)
p(y) = Categorical(learned)
p(z) = Categorical(learned)
p(x | y, z) = Categorical(table)
q(y | x) = Categorical(table) by sum_and_sample
q(z | x, y) = Categorical(table) by score
"""
# Beside an enumerated parent: a pair of entries for each value of c, and x reads all three.
PARENT = """model parent
observed   x : class(3)
latent     c : class(2)
supervised y : count(1, 3)
p(c) = Categorical(learned)
p(y | c) = Categorical(table)
p(x | y, c) = Categorical(table)
q(c | x) = Categorical(table)
q(y | x, c) = Categorical(table) by sum_and_sample
"""
# Below a weighed draw: the weights of t vary, and the likeliest y differs from sample to sample.
WEIGHED = """model weighed
observed   x : class(3)
latent     a : class(2)
supervised t : class(2)
supervised y : class(3)
p(a) = Categorical
p(t | a) = Categorical(table)
p(y) = Categorical(learned)
p(x | y, a) = Categorical(table)
q(a | x) = Categorical(table) by score
q(t | a) = Categorical(table)
q(y | a) = Categorical(table) by sum_and_sample
"""
# Below one of two groups, read after recombination.
GROUPS = WEIGHED.replace("observed ", "latent b : class(2)\nsupervised u : class(2)\nobserved ")
GROUPS = GROUPS.replace("p(x | y, a)", "p(b) = Categorical\np(u) = Categorical\np(x | y, b)")
GROUPS += "q(b | x) = Categorical(table) by score\nq(u | b) = Categorical(table)\n"
# Above enumerated nodes, of which terms read that do not read y: their shares depend on y.
BELOW = """model below
observed   x : class(3)
supervised y : class(4)
latent     c : class(2)
latent     e : class(2)
p(y) = Categorical(learned)
p(c) = Categorical(learned)
p(e | c) = Categorical(table)
p(x | c, e) = Categorical(table)
q(y | x) = Categorical(table) by sum_and_sample
q(c | x, y) = Categorical(table) by enumerate
q(e | c) = Categorical(table) by enumerate
"""
MODELS = {"below": BELOW, "alone": ALONE, "parent": PARENT, "weighed": WEIGHED, "groups": GROUPS}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def outcomes(model: Any, known: tuple[str, ...]) -> Everything:
    """All outcomes of a row: of each draw, once a sample and entry."""
    samples, rows = model.samples, 1
    for node, info in model.NODES.items():
        above = [c for c in model.LEVELS if c[-1:] == (node,)] if info.estimator == "sum_and_sample" else []
        if info.estimator == "sum_and_sample":
            entries = 1 if len(above[-1]) == 1 else 2
            rows *= info.classes ** (samples * entries)
        elif info.estimator == "score":
            pair = "y" in info.parents_q and "y" not in known and model.NODES["y"].estimator != "score"
            entries = (2 if model.NODES["y"].estimator == "sum_and_sample" else 4) if pair else 1
            rows *= info.classes ** (samples * entries)
    if model.GROUPS:
        rows *= samples ** (samples * len(model.GROUPS.weighed))
    labels = {n: info.first + 1 for n, info in model.NODES.items() if info.role == "supervised"}
    return everything(model, rows, labels, known)


CASES = [
    ("alone", (), 1), ("alone", (), 2), ("alone", ("y",), 2),
    ("below", (), 1), ("below", (), 2), ("below", ("y",), 1),
    ("parent", (), 1), ("parent", (), 2), ("parent", ("y",), 1),
    ("weighed", (), 2), ("weighed", ("t",), 2), ("weighed", ("t",), 3), ("weighed", ("t", "y"), 2),
    ("groups", ("t", "u"), 2), ("groups", ("u",), 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "known", "samples", "bound"),
    [(*c, b) for c in CASES for b in ("snis", "jensen", "clamped") if c[0] != "groups" or b == "snis"],
)
def test_value_and_gradient_are_those_of_enumeration(
    name: str, known: tuple[str, ...], samples: int, bound: str
) -> None:
    """Protects unbiasedness: E[bound] is that of the model with y enumerated, and E of the emitted gradient its gradient;
    beside scored draws above and below, an enumerated parent, varying weights and groups."""
    options = [f"objective.samples={samples}", f"objective.bound={bound.replace('jensen', 'snis')}"]
    options += ["objective.marginal=jensen"] if bound == "jensen" else []
    model = model_of(MODELS[name], *options)
    whole = model_of(MODELS[name].replace("sum_and_sample", "enumerate"), *options)
    found, expected = outcomes(model, known), outcomes(whole, known)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-10, atol=1e-12)
    emitted = gradient(model, found.surrogate)
    torch.testing.assert_close(emitted, gradient(model, found.mean), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(emitted, gradient(whole, expected.mean), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (ALONE, ["objective.bound=iw"], "inside the logarithm"),
        (WEIGHED.replace("q(t | a)", "q(t | a, y)"), [], "the label of `t` comes after it"),
        (ALONE.replace("y : class(4)", "y : class(4)[2]"), [], "one class of several"),
        (ALONE.replace("y : class(4)", "y : binary").replace("q(y | x) = Categorical", "q(y | x) = Bernoulli")
         .replace("p(y) = Categorical", "p(y) = Bernoulli"), [], "one class of several"),
    ],
)  # fmt: skip
def test_it_is_refused_where_it_would_be_biased(text: str, options: list[str], reason: str) -> None:
    """Protects iw, whose sum over classes is inside the logarithm, weighed nodes, and nodes that are no single class."""
    with pytest.raises(DiagnosticError) as error:
        driver.check(Source("m.sgm", text), options)
    [found] = error.value.diagnostics
    assert found.code == "E0501"
    assert reason in found.notes[0]
