"""`bayes` against enumeration: the posterior is the true one, so that the bound is log p itself, and so are its gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from tests.sides.programs import double as double
from tests.sides.programs import draws, elbo, log_evidence, mistakes, module, outcomes, total

ROWS = 5
TABLES = """model tables
observed x : class(4)
latent   y : class(3)
p(y)     = Categorical(learned)
p(x | y) = Categorical(table)
q(y | x) = bayes
"""
# a condition, a co-parent, a binary and a bounded count, two children, one of them through a let that depends on y
WIDE = """model wide
given    g : class(2)
observed x : real[3]
observed n : count
latent   w : class(3)
latent   y : count(2, 5)
latent   b : binary
net f = mlp(4, act = tanh)
let h = linear(3)(y, w) * 0.5
let s = mlp(3, act = tanh)(g)
p(w)        = Categorical
p(y | g)    = Categorical(table)
p(b | w)    = Bernoulli(table)
p(x | h, b, s) = Normal(loc = h + b * linear(3)(s), scale = 1.5)
p(n | y, w) = Poisson(f)
q(w | x, g)    = Categorical(mlp(4))
q(y | x, w, b) = bayes
q(b | w, x)    = Bernoulli(mlp(4))
"""
CHAIN = """model chain
observed x : real[2]
latent   a : class(3)
latent   b : binary[1]
p(a)     = Categorical(learned)
p(b | a) = Bernoulli(table)
p(x | b) = Normal(loc = linear(2)(b), scale = 0.7)
q(a | x) = Categorical(mlp(4))
q(b | a, x) = bayes
"""


def rows(model: Any) -> dict[str, torch.Tensor]:
    """Legal values of what is seen."""
    found, generator = {}, torch.Generator().manual_seed(3)
    for name, info in model.NODES.items():
        if info.role in ("observed", "given"):
            real = torch.randn(ROWS, *info.event, generator=generator)
            counted = torch.arange(ROWS) % (info.classes or ROWS)
            found[name] = real if info.support == "real" else counted if info.integer else counted.double()
    return found


@pytest.mark.parametrize("how", ["", " by score", " by enumerate"])
def test_the_bound_is_log_p(how: str) -> None:
    """A finite model with its true posterior: no gap, and no variance when y is drawn, to 1e-12."""
    model = module(TABLES.replace("bayes", "bayes" + how))
    values = rows(model)
    step = model(make_batch(model, values), draws())
    expected = log_evidence(model, {n: v[None] for n, v in values.items()}, ROWS)
    torch.testing.assert_close(step.bound, expected, rtol=1e-12, atol=1e-12)


def test_gradients_reach_p() -> None:
    """The bound equals log p for all weights, so its gradient is that of log p, through the posterior too."""
    model = module(TABLES)
    values = rows(model)
    ours = torch.autograd.grad(model(make_batch(model, values), draws()).objective.sum(), model.parameters())
    exact = torch.autograd.grad(log_evidence(model, {"x": values["x"][None]}, ROWS).sum(), model.parameters())
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() < 1e-12


@pytest.mark.parametrize(("text", "node"), [(TABLES, "y"), (WIDE, "y"), (CHAIN, "b")])
def test_it_is_the_conditional_of_p(text: str, node: str) -> None:
    """q(y | everything else) is Σ log p normalised over y: co-parents, conditions, lets that depend on y, offsets."""
    model = module(text)
    seen = {name: value[None] for name, value in rows(model).items()}
    others = tuple(n for n in model.ORDER_Q if n != node)
    info = model.NODES[node]
    for outside in outcomes(model, others, ROWS):
        fixed = {**seen, **outside}
        inside = [{n: v.reshape(1, ROWS, *info.event) for n, v in i.items()} for i in outcomes(model, (node,), ROWS)]
        joint = torch.stack([total(model.log_p(fixed | i)) for i in inside]).log_softmax(0)
        ours = torch.stack([model.log_q(fixed | i)[node] for i in inside])
        assert (joint - ours).abs().max() < 1e-12


@pytest.mark.parametrize("text", [TABLES, WIDE])
@pytest.mark.parametrize("bound", ["snis", "clamped"])
def test_the_step_agrees_with_the_queries(text: str, bound: str) -> None:
    """Levels: y's posterior is lifted to every value of the latents before it; the ELBO by brute force is the same."""
    model = module(text, f"objective.bound={bound}")
    values = rows(model)
    step = model(make_batch(model, values), draws())
    assert (step.bound - elbo(model, {n: v[None] for n, v in values.items()}, ROWS)).abs().max() < 1e-12


def test_a_known_label_is_scored_by_the_posterior() -> None:
    """A supervised y: log w is its log-posterior, so that labels train p as a classifier."""
    model = module(TABLES.replace("latent ", "supervised "))
    values = rows(model) | {"y": torch.tensor([0, 1, 2, 0, 1])}
    known = {"y": torch.tensor([True, True, False, False, True])}
    step = model(make_batch(model, values, known), draws())
    log_q = model.log_q({n: v[None] for n, v in values.items()})["y"][0]
    assert (step.log_w[0] - torch.where(known["y"], log_q, 0.0)).abs().max() < 1e-12


def test_a_relaxed_parent_and_a_relaxed_self() -> None:
    """Weights instead of a class: the method gives p a one-hot of every value, and takes a relaxed co-parent."""
    text = WIDE.replace("q(w | x, g)    = Categorical(mlp(4))", "q(w | x, g)    = Categorical(mlp(4)) by gumbel(0.5)")
    model = module(text.replace("q(y | x, w, b) = bayes", "q(y | x, w, b) = bayes by gumbel(0.5)"))
    step = model(make_batch(model, rows(model)), draws())
    step.objective.sum().backward()
    assert step.bound.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_without_children_it_is_the_prior() -> None:
    """q(y) = p(y) for an auxiliary node that nothing else in p reads: their terms cancel exactly."""
    text = """model alone
observed x : real[2]
latent   y : class(3)
latent   z : real[2]
p(y)     = Categorical(learned)
p(z)     = Normal
p(x | z) = Normal(mlp(4))
q(y)        = bayes
q(z | x, y) = Normal(mlp(4))
"""
    model = module(text)
    step = model(make_batch(model, {"x": torch.randn(ROWS, 2)}), draws())
    assert torch.equal(step.terms["p(y)"].rows(), step.terms["q(y)"].rows())


def test_mixture_prior() -> None:
    """VaDE: with z integrated by a fixed draw, c's posterior given z makes log p(z) = logsumexp_c p(c) p(z | c) appear."""
    text = """model vade
observed x : real[4]
latent   z : real[2]
latent   c : class(3)
p(c)     = Categorical(learned)
p(z | c) = Normal(table)
p(x | z) = Normal(mlp(8))
q(z | x) = Normal(mlp(8))
q(c | z) = bayes
"""
    model = module(text, "objective.samples=3")
    x = torch.randn(ROWS, 4)
    step = model(make_batch(model, {"x": x}), draws(7))
    loc, scale = model.encode_z(x[None])
    z = draws(7).normal((3, ROWS, 2), loc, scale)
    table = model.p_z.table
    scales = torch.nn.functional.softplus(table.scale) + 1e-4
    inside = torch.distributions.Normal(table.loc, scales).log_prob(z[:, :, None]).sum(-1)
    log_z = (inside + model.p_c.logits.log_softmax(-1)).logsumexp(-1)
    log_q = torch.distributions.Normal(loc, scale).log_prob(z).sum(-1)
    expected = (
        log_z + model.log_p({"x": x[None], "z": z, "c": torch.zeros(1, ROWS, dtype=torch.int64)})["x"] - log_q
    ).mean(0)
    torch.testing.assert_close(step.bound, expected, rtol=1e-12, atol=1e-12)


def test_a_missing_child_leaves_the_posterior() -> None:
    """Partial x: in rows where it is missing, q(y | …) is p(y | …), also at the level of an enumerated parent, and the bound
    is that of what is left."""
    text = """model partly
observed x : class(4) partial
observed r : real[2] partial
latent   w : class(3)
latent   y : class(3)
p(w)        = Categorical(learned)
p(y | w)    = Categorical(table)
p(x | y, w) = Categorical(table)
p(r | y)    = Normal(table)
q(w | x, r)    = Categorical(mlp(4))
q(y | w, x, r) = bayes
"""
    model = module(text)
    x, r = torch.tensor([0, 1, -1, -1, 3]), torch.randn(ROWS, 2)
    r[0], r[3], r[4, 1] = torch.nan, torch.nan, torch.nan
    batch = make_batch(model, {"x": x, "r": r})
    step, seen = model(batch, draws()), {"x": x[None], "r": r[None]}
    assert (step.bound - elbo(model, seen, ROWS)).abs().max() < 1e-12
    logits = model.parameters_q("y", {**seen, "w": torch.full((1, ROWS), 2)})[0].log_softmax(-1)
    assert (logits[0, 3] - model.p_y.table.logits[2].log_softmax(-1)).abs().max() < 1e-12
    assert (logits[0, 2] - logits[0, 3]).abs().max() > 1e-3
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_batch_norm_is_refused_once() -> None:
    """A normed network inside a factor that bayes evaluates: one message, whether or not it reads the node itself."""
    head = "model normed\ngiven g : real[3]\nobserved x : real[4]\nlatent y : class(3)\np(y) = Categorical\nq(y | x, g) = bayes\n"
    outside = "p(x | y, g) = Normal(loc = linear(4)(y) + linear(4)(mlp(8, norm = batch)(g)), scale = 1)\n"
    inside = "p(x | y, g) = Normal(mlp(8, norm = batch))\n"
    assert mistakes(head + outside) == mistakes(head + inside) == ["E0504"]


@pytest.mark.parametrize("text", [WIDE, CHAIN])
def test_the_page_counts_what_the_posterior_evaluates(text: str) -> None:
    """`sgdsl explain` lists the p-factors and lets inside encode_v with as many cases as the step computes."""
    checked = driver.check(Source("test.sgm", text), ["objective.samples=3"])
    page = {e.method: e.times(3) for e in driver.page(checked).patterns[0].evaluations}
    model, inside, found = module(text, "objective.samples=3"), [""], {}

    def counted(name: str, method: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            inside.append(name if name.startswith("encode_") else inside[-1])
            result = method(*args, **options)
            inside.pop()
            parts = result if isinstance(result, tuple) else (result,)
            size = max(r.shape[0] * r.shape[1] for r in parts if isinstance(r, torch.Tensor))
            found[f"{name} in {inside[-1]}" if inside[-1] else name] = max(size // ROWS, 1)
            return result

        return call

    for name in [m for m in dir(model) if m.startswith(("encode_", "decode_", "let_"))]:
        setattr(model, name, counted(name, getattr(model, name)))
    model(make_batch(model, rows(model)), draws())
    assert sum(" in " in name for name in page) >= 1
    assert {name: found[name] for name in page} == page
