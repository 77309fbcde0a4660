"""Score terms with every baseline, mixed with each other and with enumerated parents, by enumerating all draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from sgdsl.runtime.baselines import DECAY, RunningMean
from tests.objective.outcomes import everything, gradient, model_of

TEXT = """model scores
observed   x : class(3)
latent     c : class(2)
supervised y : class(2)
latent     z : class(2)
p(c) = Categorical
p(y) = Categorical(learned)
p(z | y) = Categorical(table)
p(x | y, z, c) = Categorical(table)
q(c | x) = Categorical(table)
q(z | x, c) = Categorical(table) by score(baseline = {z})
q(y | x, z) = Categorical(table) by score(baseline = {y})
"""


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def weights(model: Any, value: torch.Tensor) -> torch.Tensor:
    """The gradient of all weights but the baselines' own."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("_baseline." not in name)
    own = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(value, own, retain_graph=True, allow_unused=True)
    return torch.cat([torch.zeros(p.numel()) if g is None else g.flatten() for p, g in zip(own, found, strict=True)])


@pytest.mark.parametrize("bound", ["snis", "jensen", "iw", "clamped"])
@pytest.mark.parametrize(
    ("z", "y", "samples"),
    [
        ("mean", "mean", 1),
        ("net", "net", 1),
        ("net", "mean", 1),
        ("loo", "net", 2),
        ("mean", "loo", 2),
        ("loo", "loo", 2),
    ],
)
@pytest.mark.parametrize("known", [(), ("y",)])
def test_every_baseline_leaves_the_gradient_exactly_unbiased(
    z: str, y: str, samples: int, bound: str, known: tuple[str, ...]
) -> None:
    """Protects the surrogate: z has a draw for each value of the enumerated c, y one below each; the mean of the emitted
    gradient over all outcomes is the gradient of the mean, though the baselines are far from it."""
    options = [f"objective.samples={samples}", f"objective.bound={bound.replace('jensen', 'snis')}"]
    options += ["objective.marginal=jensen"] if bound == "jensen" else []
    model = model_of(TEXT.format(z=z, y=y), *options).eval()
    if "mean" in (z, y):
        model.running_mean.total.copy_(torch.tensor([-1.5, -4.0]))
        model.running_mean.weight.fill_(0.5)
    found = everything(model, 2 ** (2 * samples * 2), {"y": 1}, known)
    torch.testing.assert_close(weights(model, found.surrogate), weights(model, found.mean), rtol=1e-10, atol=1e-12)


def test_the_network_learns_the_bound() -> None:
    """Protects the baseline's own training: the gradient of the objective moves its prediction towards the bound."""
    model = model_of(TEXT.format(z="net", y="net"), "objective.samples=1")
    found = everything(model, 2**4, {"y": 1}, ())
    rate, name = 1e-4, "q_z_baseline.value.bias"
    bias = dict(model.named_parameters())[name]
    [slope] = torch.autograd.grad(found.surrogate, [bias])
    with torch.no_grad():
        bias += rate * slope
    after = everything(model, 2**4, {"y": 1}, ())
    x = torch.full((1, 16), 2)
    predicted = model.baseline_z(x, torch.zeros(1, 16, dtype=torch.int64)).mean()
    assert slope.sign() == (after.mean - predicted).sign()


def test_the_running_mean_keeps_labelled_rows_apart_and_changes_in_training_alone() -> None:
    """Protects its independence of the present draws: the gain is taken with the mean of earlier steps."""
    mean = RunningMean().double()
    bound, labelled = torch.tensor([-1.0, -3.0, -10.0]), torch.tensor([False, False, True])
    assert torch.equal(mean(bound, labelled), bound)
    torch.testing.assert_close(mean(bound, labelled), torch.tensor([1.0, -1.0, 0.0]))
    torch.testing.assert_close(mean.weight, torch.full((2,), 1 - DECAY**2))
    kept = mean.eval().total.clone()
    mean(bound + 5, labelled)
    assert torch.equal(mean.total, kept)


def test_gradients_of_all_weights_are_compared() -> None:
    """Protects the tests above: without a baseline network every weight takes part."""
    model = model_of(TEXT.format(z="loo", y="loo"), "objective.samples=2")
    found = everything(model, 2**8, {"y": 1}, ())
    torch.testing.assert_close(weights(model, found.mean), gradient_in_order(model, found.mean))


def gradient_in_order(model: Any, value: torch.Tensor) -> torch.Tensor:
    """gradient() in the order of parameters()."""
    flat, at = gradient(model, value), 0
    parts = {}
    for name, parameter in sorted(model.named_parameters()):
        parts[name], at = flat[at : at + parameter.numel()], at + parameter.numel()
    return torch.cat([parts[name] for name, _ in model.named_parameters()])
