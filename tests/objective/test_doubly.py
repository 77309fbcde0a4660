"""gradient = dreg: the value of the plain step, its expected gradient, less noise; what cannot have it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.oracle.as_it_is import check_as_it_is, prepare
from sgdsl.oracle.doubly import gradient_in_the_mean
from sgdsl.oracle.program import Compiled, build
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.doubly import Gate, fixed, stopped
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from tests.objective.quadrature import Grid, batch_of, expected, gradients, model_of

LINEAR = """model linear_gaussian
observed x : real
latent   z : real
p(z)     = Normal(loc = learned, scale = 1)
p(x | z) = Normal(loc = linear, scale = 1)
q(z | x) = Normal(loc = linear, scale = learned)
objective { bound = iw, gradient = dreg }
"""
CHAIN = """model chain
observed x : real
latent   z1 : real
latent   z2 : real
let h = mlp(2, act = tanh)(x)
p(z2)         = Normal
p(z1 | z2)    = Normal(loc = linear, scale = 1)
p(x | z1)     = Normal(loc = mlp(3, act = tanh), scale = 1)
q(z1 | h)     = Normal(loc = linear, scale = learned)
q(z2 | z1, h) = Normal(loc = linear, scale = learned)
objective { bound = iw, gradient = dreg }
"""
LABEL = """model label
observed   x : real
latent     z : real
supervised y : real
p(z)        = Normal
p(y | z)    = Normal(loc = linear, scale = 2)
p(x | z, y) = Normal(loc = linear, scale = 2)
q(z | x)    = Normal(loc = linear, scale = learned)
q(y | z)    = Normal(loc = linear, scale = learned)
objective { bound = iw, gradient = dreg }
"""
SHARED = """model shared
given    c : real
observed x : real
latent   z1 : real
latent   d : real
latent   z2 : real
net f = mlp(3, act = tanh)
let k = mlp(2, act = tanh)(z1)
let m = k * 2
let h = mlp(2, act = tanh)(c)
p(z2)        = Normal
p(z1 | z2)   = Normal(loc = f, scale = 1)
p(d | z2)    = Normal(loc = linear, scale = 1)
p(x | d, m, h) = Normal(loc = linear, scale = 1)
q(z1 | x)    = Normal(loc = f, scale = learned)
q(d | k, h)  = Delta(linear(1)(k, h))
q(z2 | d, m, h) = Normal(loc = linear, scale = learned)
objective { bound = iw, gradient = dreg }
"""
X = {"x": [0.7]}
LABELS = {"x": [0.7, -0.3], "y": [0.0, 0.9]}
EXACT = {  # program, grid, rows, what they know, error of the quadrature
    "linear-Gaussian": (LINEAR, Grid(2, 1, 30), X, {}, 1e-12),
    "two latents, one below the other": (CHAIN, Grid(2, 2, 24), X, {}, 1e-8),
    "a label known in one row of two": (LABEL, Grid(2, 2, 24, blocks=2), LABELS, {"y": [False, True]}, 2e-7),
    "lets, a net and a Delta of both sides": (SHARED, Grid(2, 2, 24), {"x": [0.7], "c": [0.2]}, {}, 1e-8),
}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def new(grid: Grid) -> Grid:
    return Grid(grid.samples, grid.nodes, grid.points, grid.blocks)


@pytest.mark.parametrize("case", EXACT)
def test_the_expected_gradient_is_that_of_the_plain_step(case: str) -> None:
    """Protects unbiasedness, by quadrature over the noise of both samples (S = 2): equal to what the grid's points leave,
    1e-12 to 2e-7, though at single points the two differ. What p alone owns has the same gradient to the bit."""
    text, grid, values, known, error = EXACT[case]
    plain, wanted = expected(text, "plain", grid.again(), values, known)
    doubly, found = expected(text, "dreg", grid.again(), values, known)
    assert torch.equal(plain.bound, doubly.bound)
    for name, slope in wanted.items():
        torch.testing.assert_close(
            found[name], slope, rtol=0, atol=error, msg=lambda text, name=name: f"{name}: {text}"
        )
        assert not name.startswith("p_") or torch.equal(found[name], slope), name
    assert max(float(g.abs().max()) for n, g in wanted.items() if n.startswith("q_")) > 0.1


# --- the same value -------------------------------------------------------------------------------------------

VALUES: dict[str, list[float]] = {"x": [0.7, -0.3, 0.1], "y": [0.0, 0.9, 0.2], "c": [0.2, 1.0, -1.0]}


def step_at(text: str, gradient: str, samples: int = 5) -> tuple[Any, Any]:
    """The model and its step on three rows, one of which knows its label; draws from a fixed seed."""
    model = model_of(text, gradient, samples)
    values = {n: VALUES[n] for n, info in model.NODES.items() if info.role != "latent"}
    known = {"y": [False, True, False]} if "y" in values else {}
    return model, model(batch_of(model, 1, values, known), Draws(torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("text", [LINEAR, CHAIN, LABEL, SHARED], ids=lambda t: t.split()[1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_value_is_that_of_the_plain_step_to_the_bit(text: str, dtype: torch.dtype) -> None:
    """Protects the bound, log w, every term, and the gradient of p, at the same draws; q's gradient is another."""
    torch.set_default_dtype(dtype)
    (model, plain), (other, doubly) = (step_at(text, g) for g in ("plain", "dreg"))
    assert torch.equal(plain.bound, doubly.bound)
    assert torch.equal(doubly.objective, doubly.bound)
    assert torch.equal(plain.log_w, doubly.log_w)
    assert plain.terms.keys() == doubly.terms.keys()
    assert all(torch.equal(plain.terms[n].log_prob, doubly.terms[n].log_prob) for n in plain.terms)
    wanted, found = gradients(model, plain.objective.sum()), gradients(other, doubly.objective.sum())
    same = {n for n in wanted if torch.equal(wanted[n], found[n])}
    assert {n for n in wanted if n.startswith("p_")} <= same
    assert same.isdisjoint(n for n in wanted if n.startswith("q_") and not n.startswith("q_d"))


def test_a_step_without_gradients_is_the_same() -> None:
    """Protects evaluation, where nothing requires a gradient and the gate has nothing to do."""
    with torch.no_grad():
        assert torch.equal(step_at(LABEL, "dreg")[1].bound, step_at(LABEL, "plain")[1].bound)


def test_one_file_without_the_compiler(tmp_path: Path) -> None:
    """Protects `sgdsl compile`: the runtime's part comes along, and gives the same numbers."""
    overrides = ("objective.samples=5",)
    text = driver.compile_alone(driver.compile_source(Source("label.sgm", LABEL), overrides))
    assert "sgdsl" not in text.replace("sgdsl compile", "")
    torch.manual_seed(0)
    alone: Any = load(text, "doubly_alone")
    model = alone.Model()
    model.alpha = 0.5
    values = {n: torch.tensor(VALUES[n]) for n in ("x", "y")}
    batch = alone.make_batch(model, values, {"y": torch.tensor([False, True, False])})
    found = model(batch, alone.Draws(torch.Generator().manual_seed(1)))
    other, wanted = step_at(LABEL, "dreg")
    assert torch.equal(found.bound, wanted.bound)
    slopes = gradients(other, wanted.objective.sum())
    assert all(torch.equal(g, slopes[n]) for n, g in gradients(model, found.objective.sum()).items())


# --- families -------------------------------------------------------------------------------------------------

FAMILY = """model families
observed x : real[3] partial
latent   z : {support}[2]
latent   u : real
p(z)        = {prior}
p(u | z)    = Normal(linear)
p(x | z, u) = Normal(mlp(4, act = tanh))
q(z | x)    = {q}
q(u | z)    = Normal(mlp(3, act = tanh))
objective {{ bound = iw, gradient = dreg }}
"""
FAMILIES = {
    "Laplace": ("real", "Normal", "Laplace(linear)"),
    "LogNormal": ("positive", "LogNormal", "LogNormal(linear)"),
    "Exponential": ("positive", "Exponential", "Exponential(linear)"),
    "Gamma": ("positive", "Gamma(2, 1)", "Gamma(linear)"),
    "Beta": ("unit", "Beta(2, 3)", "Beta(linear)"),
    "ContinuousBernoulli": ("unit", "ContinuousBernoulli", "ContinuousBernoulli(linear)"),
    "Dirichlet": ("simplex(3)", "Dirichlet(2)", "Dirichlet(linear)"),
    "MultivariateNormal": ("real", "MultivariateNormal", "MultivariateNormal(linear)"),
    "mixture of vectors": ("real", "Normal", "mixture(MultivariateNormal(mlp(3)(x)), MultivariateNormal(mlp(2)(x)))"),
    "VonMisesFisher": ("direction(3)", "VonMisesFisher(learned)", "VonMisesFisher(linear)"),
    "VonMises": ("angle", "VonMises(1, 2)", "VonMises(linear)"),
    "StudentT": ("real", "StudentT", "StudentT(linear)"),
    "the degrees of a StudentT": ("real", "StudentT", "StudentT(df = linear, loc = 0, scale = 1)"),
    "mixture": ("real", "Normal", "mixture(Normal(mlp(3)(x)), Normal(mlp(2)(x)))"),
    "product": ("real", "Normal(learned)", "product(Normal(mlp(3)(x)), Normal(mlp(2)(x)))"),
    "no parameter": ("real", "Normal(learned)", "Normal"),
}


def compiled(text: str, gradient: str) -> Compiled:
    torch.manual_seed(0)
    found = build(driver.compile_source(Source("families.sgm", text), (f"objective.gradient={gradient}",)), "iw")
    prepare(found)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family(name: str) -> None:
    """Protects every family with smooth draws: the gradient is the formula's, to 1e-10 at single draws, with no, some and all
    cells of x missing; and its mean over 20,000 rows is the plain one's, within 4 standard errors of the difference."""
    support, prior, q = FAMILIES[name]
    text = FAMILY.format(support=support, prior=prior, q=q)
    doubly, plain = compiled(text, "dreg"), compiled(text, "plain")
    cases, skipped = check_as_it_is(doubly)
    cases += gradient_in_the_mean(doubly, plain)
    assert {c.what for c in cases} == {"value", "gradient", "mean gradient"}
    assert not skipped
    assert all(c.right for c in cases), [c for c in cases if not c.right]


# --- noise ----------------------------------------------------------------------------------------------------

POSTERIOR = """model posterior
observed x : real[8]
latent   z : real[4]
p(z)     = Normal
p(x | z) = Normal(loc = linear, scale = 1)
q(z | x) = Normal(loc = linear, scale = learned)
objective { bound = iw, gradient = dreg }
"""


def near_the_posterior(gradient: str, away: float, samples: int) -> Any:
    """A linear-Gaussian model whose posterior is diagonal; q is it, with `away` · Normal noise on every weight."""
    model = model_of(POSTERIOR, gradient, samples)
    noise = torch.Generator().manual_seed(2)
    axes, _ = torch.linalg.qr(torch.randn(8, 4, generator=noise))
    loading = axes * torch.tensor([0.5, 1.0, 1.5, 2.0])
    precision = 1 + loading.square().sum(0)
    with torch.no_grad():
        model.p_x.loc.weight.copy_(loading)
        model.p_x.loc.bias.zero_()
        model.q_z.loc.weight.copy_((loading / precision).t())
        model.q_z.loc.bias.zero_()
        model.q_z.scale.copy_((precision.rsqrt() - 1e-4).expm1().log())
        for parameter in model.q_z.parameters():
            parameter.add_(away * torch.randn(parameter.shape, generator=noise))
    return model


def spread(gradient: str, away: float, samples: int = 32, steps: int = 200) -> float:
    """The standard deviation of q's gradient, all cells together, over steps of one row."""
    model, draws = near_the_posterior(gradient, away, samples), Draws(torch.Generator().manual_seed(3))
    batch = make_batch(model, {"x": torch.linspace(-1, 1, 8)[None]})
    found = []
    for _ in range(steps):
        slopes = torch.autograd.grad(model(batch, draws).objective.sum(), list(model.q_z.parameters()))
        found.append(torch.cat([s.flatten() for s in slopes]))
    return float(torch.stack(found).var(0).sum().sqrt())


def test_at_the_posterior_nothing_is_noise() -> None:
    """Protects what the estimator is for: where q is the posterior, v is constant and every draw's gradient is 0."""
    assert spread("dreg", 0.0, steps=5) < 1e-12
    assert spread("plain", 0.0, steps=5) > 0.1


def test_near_the_posterior_there_is_much_less_noise() -> None:
    """Protects the gain: at S = 32, with each of q's weights 0.1 away from the posterior's, the encoder's gradient has a
    standard deviation 21 times smaller; at least 5 is asked for (of 200 steps the ratio is known to about 10 %)."""
    assert spread("plain", 0.1) > 5 * spread("dreg", 0.1)


# --- refusals -------------------------------------------------------------------------------------------------

REFUSED = """model refused
observed   x : real[4]
supervised y : class(3)
latent     z : real[2]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Normal(mlp(4))
q(y | x)    = Categorical(mlp(4)){way}
q(z | x, y) = Normal(mlp(4))
objective {{ bound = {bound}, gradient = dreg }}
"""


def refusals(text: str) -> list[str]:
    with pytest.raises(DiagnosticError) as error:
        driver.check(Source("refused.sgm", text))
    assert {d.code for d in error.value.diagnostics} == {"E0507"}
    assert all(d.span and d.notes and d.hint for d in error.value.diagnostics)
    return [d.message for d in error.value.diagnostics]


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("", "enumerated"),
        (" by score", "drawn with a score gradient"),
        (" by gumbel(0.5)", "relaxed"),
        (" by straight_through", "relaxed"),
    ],
)
def test_a_draw_that_is_not_smooth_is_named(way: str, words: str) -> None:
    """Protects from a gradient that is none: the node and what is done to it stand in the message."""
    assert refusals(REFUSED.format(way=way, bound="iw")) == [
        f"`gradient = dreg` needs smooth draws, and `y` is {words}"
    ]


def test_sum_and_sample_and_another_bound_are_named_together() -> None:
    """Protects that all is said at once."""
    found = refusals(REFUSED.format(way=" by sum_and_sample", bound="snis"))
    assert sorted(found) == [
        "`gradient = dreg` is not for the bound snis",
        "`gradient = dreg` needs smooth draws, and `y` is estimated by sum_and_sample",
    ]


def test_a_normal_drawn_by_score_is_refused() -> None:
    """Protects from what is written: the family has smooth draws, the estimator does not use them."""
    text = LINEAR.replace("scale = learned)", "scale = learned) by score")
    assert refusals(text) == ["`gradient = dreg` needs smooth draws, and `z` is drawn with a score gradient"]


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (("q(z2 | z1, h) = Normal(loc = linear", "q(z2 | z1, h) = Normal(loc = mlp(3, dropout = 0.5)"), "q of `z2`"),
        (("p(x | z1)     =", "let k = mlp(3, dropout = 0.5)(z1)\np(x | k)     ="), ""),
        (("q(z1 | h)     = Normal(loc = linear", "q(z1 | h)     = Normal(loc = mlp(3, dropout = 0.5)"), ""),
        (("let h = mlp(2, act = tanh)(x)", "let h = mlp(2, dropout = 0.5)(x)"), ""),
    ],
)
def test_dropout_is_refused_where_it_would_be_drawn_twice(edit: tuple[str, str], place: str) -> None:
    """Protects log q from another mask than that of its draw; what runs once may have dropout."""
    text = CHAIN.replace(*edit)
    assert text != CHAIN
    if not place:
        driver.check(Source("dropout.sgm", text))
        return
    assert refusals(text) == ["`gradient = dreg` cannot run a network with dropout twice"]


def test_a_prior_inside_a_product_may_not_have_dropout() -> None:
    """Protects the same where q evaluates a network of p."""
    text = PRIOR.replace("Normal(mlp(3))\np(x", "Normal(mlp(3, dropout = 0.5))\np(x")
    driver.check(Source("product.sgm", PRIOR))
    assert refusals(text) == ["`gradient = dreg` cannot run a network with dropout twice"]


PRIOR = """model prior
observed x : real
latent   z1 : real
latent   z2 : real
p(z1)      = Normal
p(z2 | z1) = Normal(mlp(3))
p(x | z2)  = Normal(linear)
q(z1 | x)      = Normal(linear)
q(z2 | z1, x)  = product(Normal(mlp(2)(x)), Normal(mlp(3)(x)))
objective { bound = iw, gradient = dreg }
"""


def test_a_let_that_q_reads_may_not_have_dropout() -> None:
    """Protects the same through lets."""
    text = CHAIN.replace("q(z2 | z1, h)", "let a = mlp(3, dropout = 0.5)(z1)\nlet b = a * 2\nq(z2 | b, h)")
    assert refusals(text) == ["`gradient = dreg` cannot run a network with dropout twice"]


# --- parts ----------------------------------------------------------------------------------------------------


def test_a_gate_scales_what_comes_back() -> None:
    """Protects the gate: [S, rows, *event] by [S, rows], the value untouched, and loud where it has no weights."""
    drawn = torch.randn(3, 2, 4, requires_grad=True)
    gate = Gate()
    seen = gate(drawn)
    assert torch.equal(seen, drawn)
    with pytest.raises(AssertionError, match="weights"):
        seen.sum().backward(retain_graph=True)
    gate.weigh(torch.zeros(3, 2).log_softmax(0))
    (slope,) = torch.autograd.grad(seen.sum(), drawn)
    torch.testing.assert_close(slope, torch.full_like(drawn, 1 / 3))
    assert gate(torch.ones(3, 2)).requires_grad is False


def test_fixed_weights_are_the_same_ones() -> None:
    """Protects `fixed`: the module's own storage, before and after a step of the optimiser; gradients reach inputs alone."""
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    still, value = fixed(net), torch.randn(2, 3, requires_grad=True)
    with torch.no_grad():
        net[0].weight.mul_(2)
    assert torch.equal(still(value), net(value))
    assert all(a.data_ptr() == b.data_ptr() for a, b in zip(net.parameters(), still.parameters(), strict=True))
    still(value).sum().backward()
    assert value.grad is not None
    assert all(p.grad is None for p in net.parameters())
    assert all(p.requires_grad for p in net.parameters())


def test_stopped_parameters() -> None:
    """Protects numbers among parameters."""
    loc = torch.ones(2, requires_grad=True)
    found, number = stopped(loc, 0.5)
    assert isinstance(found, Tensor)
    assert not found.requires_grad
    assert number == 0.5
