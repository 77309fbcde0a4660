"""The optimiser: the same numbers as without it; closed forms in expectation, and only where they are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle.rewrites import Closed, Fused, LookUp, Once
from sgdsl.oracle.program import Compiled, batch_of, build, example
from sgdsl.oracle.verify import verify
from sgdsl.runtime.draws import Draws
from tests.oracle.program import MODELS, every_pattern

GALLERY = sorted(Path(__file__).parents[2].joinpath("models").glob("*.sgm"))
PLAIN = ("objective.optimise=0",)


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """What has no dtype of its own is float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def closed(text: str, *overrides: str) -> tuple[str, ...]:
    """The nodes of a program whose KL is in closed form."""
    plan = driver.check(Source("a.sgm", text), ("objective.optimise=2", *overrides)).plan
    return tuple(r.node for r in plan.rewrites if isinstance(r, Closed))


def pair(source: Source) -> tuple[Compiled, Compiled]:
    """The step without the optimiser and with it, from the same weights."""
    plain, better = (build(driver.compile_source(source, level), "snis") for level in (PLAIN, ()))
    better.module.load_state_dict(plain.module.state_dict())
    return plain, better


def outcome(compiled: Compiled, batch: Any) -> tuple[Tensor, list[Tensor]]:
    """The objective of each row and the gradient of their sum."""
    step = compiled.run(batch, Draws(torch.Generator().manual_seed(3)), 2, 0.5)
    parameters = list(compiled.module.parameters())
    slopes = torch.autograd.grad(step.objective.sum(), parameters, allow_unused=True)
    return step.objective, [torch.zeros_like(p) if s is None else s for p, s in zip(parameters, slopes, strict=True)]


@pytest.mark.parametrize("path", GALLERY, ids=lambda p: p.stem)
def test_fused_layers_and_look_ups_change_nothing_but_the_rounding(path: Path) -> None:
    """Protects every gallery model: objective and gradient without the optimiser and with it, all patterns of labels in one
    batch, to 1e-12 in float64 relative to the largest entry; names and shapes of the weights are the same."""
    plain, better = pair(driver.read(path))
    rows = every_pattern(plain, (1,))[:12]
    wanted, slopes = outcome(plain, batch_of(plain, rows))
    found, others = outcome(better, batch_of(better, rows))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    largest = max(float(s.abs().max()) for s in slopes)
    for one, other in zip(slopes, others, strict=True):
        assert float((one - other).abs().max()) <= 1e-12 * max(1.0, largest)


SAME = """model same
observed   x : real[3]
supervised y : class(4)
supervised c : class(3)
latent     z : real[2]
let h = mlp(5)(y, x)
p(y) = Categorical
p(c) = Categorical(learned)
p(z | y) = Normal(mlp(4))
p(x | y, z, c) = Normal(mlp(4, 3))
q(y | x) = Categorical(mlp(4)) by {y}
q(c | h) = Categorical(mlp(4)) by {c}
q(z | x, y, c) = Normal(mlp(4, 3))
"""


@pytest.mark.parametrize(
    ("y", "c", "expected"),
    [
        ("gumbel(0.5)", "enumerate", {"p z": ("y",), "q c": ("y",), "q z": ("y",)}),
        ("enumerate", "straight_through", {"q z": ("c",)}),
        ("enumerate", "sum_and_sample", {"q z": ("c",)}),
        ("gumbel(0.5)", "sum_and_sample", {"p z": ("y",), "q c": ("y",)}),
        ("score", "gumbel(1.0)", {"p z": ("y",), "q c": ("y",), "q z": ("y", "c")}),
    ],
)
def test_what_is_the_same_for_all_samples_is_computed_once(
    y: str, c: str, expected: dict[str, tuple[str, ...]]
) -> None:
    """Protects which factors these are, on what they hang, and their numbers: all patterns of labels in one batch, none and all
    known too, to 1e-12."""
    source = Source("same.sgm", SAME.format(y=y, c=c))
    levels = (*PLAIN, "objective.samples=2"), ("objective.samples=2",)
    found = driver.check(source, levels[1]).plan.rewrites
    assert {f"{r.side} {r.node}": r.nodes for r in found if isinstance(r, Once)} == expected
    plain, better = (build(driver.compile_source(source, level), "snis") for level in levels)
    better.module.load_state_dict(plain.module.state_dict())
    rows = every_pattern(plain, (1,))
    for some in (rows, [r for r in rows if not r[1]], [r for r in rows if len(r[1]) == 2]):
        wanted, slopes = outcome(plain, batch_of(plain, some))
        values, others = outcome(better, batch_of(better, some))
        torch.testing.assert_close(values, wanted, rtol=1e-12, atol=1e-12)
        for one, other in zip(slopes, others, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


LINEAR = """model linear
observed   x : real[2]
supervised y : class(3)
latent     z : real
latent     u : real
p(y)       = Categorical
p(u)       = Normal(loc = 0.3, scale = 0.8)
p(z | y)   = Normal
p(x | z, u) = Normal(linear, scale = learned)
q(y | x)   = Categorical(linear)
q(u | x)   = Normal(linear)
q(z | x, y, u) = Normal(linear)
objective { samples = 1 }
"""


class Fixed(Draws):
    """Every Normal draw stands at one point of its noise, in the order of the draws."""

    def __init__(self, points: tuple[float, ...]) -> None:
        super().__init__(torch.Generator())
        self.points, self.at = points, 0

    def normal(self, size: Any, loc: Any, scale: Any) -> Tensor:
        self.at += 1
        return (loc + scale * self.points[self.at - 1]).expand(tuple(size))


@pytest.mark.parametrize("known", [(), ("y",)])
@pytest.mark.parametrize("bound", ["snis", "clamped"])
def test_a_closed_form_is_the_expectation_of_the_estimate(known: tuple[str, ...], bound: str) -> None:
    """Protects value and gradient of closed KL terms, constant priors and learned ones: without and with them, averaged over
    the noise of both draws by Gauss-Hermite quadrature, which 4 points make exact (every term is quadratic), to 1e-11."""
    source = Source("linear.sgm", LINEAR)
    override = (f"objective.bound={bound}",)
    assert closed(LINEAR, *override) == ("u", "z")
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    weights = weights / weights.sum()
    found = []
    for more in (PLAIN, ("objective.optimise=2",)):
        compiled = build(driver.compile_source(source, (*override, *more)), bound)
        with torch.no_grad():
            for i, parameter in enumerate(compiled.module.parameters()):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
        batch = batch_of(compiled, [(example(compiled.ir, 2), known, 1)])
        total = sum(
            a * b * compiled.run(batch, Fixed((u, z)), 1, 0.5).objective.sum()
            for u, a in zip(nodes, weights, strict=True)
            for z, b in zip(nodes, weights, strict=True)
        )
        slopes = torch.autograd.grad(total, list(compiled.module.parameters()), allow_unused=True)
        found.append([total, *(s for s in slopes if s is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


CHAIN = """model chain
observed   x : real[2]
supervised y : class(3)
latent     a : real
latent     b : real
p(b)       = Normal
p(a | b)   = Normal(linear)
p(y{p})    = Categorical{net}
p(x | a, y) = Normal(linear, scale = 1)
q(a | x)   = Normal(linear)
q(y | {q}) = Categorical(linear)
q(b | a, x) = Normal(linear)
"""


def test_closed_forms_stop_where_something_depends_on_the_draw() -> None:
    """Protects weights, shares and priors: a node above a label, above an enumerated node, or whose own prior reads a later
    node keeps its estimate; so does everything under iw and under groups of weights."""
    before, after = CHAIN.format(p="", net="", q="x"), CHAIN.format(p="", net="", q="a")
    assert closed(before) == ("b",)  # p(a | b): b is drawn after a
    assert closed(after, "objective.samples=4") == ("b",)
    assert closed(after, "objective.bound=iw") == closed(before, "objective.optimise=0") == ()
    assert closed(before.replace("p(a | b)   = Normal(linear)", "p(a)       = Normal")) == ("a", "b")
    above = before.replace("p(a | b)   = Normal(linear)", "p(a)       = Normal").replace("q(y | x)", "q(y | b)")
    assert closed(above.replace("q(b | a, x)", "q(b | x)")) == ("a",)


def test_explain_shows_a_closed_form() -> None:
    """Protects the page: the divergence stands where its two terms stood, and the node says so."""
    page = driver.explained(driver.check(Source("linear.sgm", LINEAR), ("objective.optimise=2",)))
    assert (
        "mean_s [ − KL(q(u | x) ‖ p(u)) + Σ_y q(y | x) [ log p(y) − KL(q(z | x, y, u) ‖ p(z | y)) + log p(x | z, u)"
        in page
    )
    assert "u : reparameterised, its KL in closed form" in page


@pytest.mark.parametrize("name", ["gauss_both", "missing"])
def test_closed_forms_are_verified(name: str) -> None:
    """Protects `verify -O2`: the oracle averages over q by itself, from the values at loc ± scale."""
    text = (MODELS / f"{name}.sgm").read_text()
    assert closed(text)
    report = verify(Source(name, text), ("objective.optimise=2",))
    assert report.right
    assert any(case.check == "as it is" for case in report.cases)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.cells = max([self.cells, *(t.numel() for t in tree_leaves(out) if isinstance(t, Tensor))])
        return out


def test_many_classes_cost_rows_times_classes() -> None:
    """Protects memory: with 200 classes, logits are not lifted to every value of every row; forward and backward."""
    text = """model many
observed   x : real[3]
supervised y : class(200)
p(y)       = Categorical
p(x | y)   = Normal
q(y | x)   = Categorical(linear) by enumerate
"""
    source, cells = Source("many.sgm", text), []
    for more in (PLAIN, ()):
        compiled = build(driver.compile_source(source, more), "snis")
        batch = batch_of(compiled, [(example(compiled.ir, i), (), 1) for i in range(5)])
        with Largest() as largest:
            compiled.run(batch, Draws(torch.Generator()), 1, 0.0).objective.sum().backward()
        cells.append(largest.cells)
    assert cells[0] >= 5 * 200 * 200
    assert cells[1] <= 5 * 200 * 3


def test_the_plan_names_its_rewrites() -> None:
    """Protects `show --stage plan`: M2 fuses the layers of three factors, looks one class up and closes one KL."""
    source = driver.read(next(p for p in GALLERY if p.stem == "mnist"))
    found = driver.check(source, ("objective.optimise=2",)).plan.rewrites
    assert set(found) == {Fused("p", "x"), Fused("q", "y"), Fused("q", "z"), LookUp("q", "y", (), ("y",)), Closed("z")}
