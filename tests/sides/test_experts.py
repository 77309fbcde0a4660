"""Products and mixtures of experts: against closed forms of linear-Gaussian models, and against torch.distributions."""

from __future__ import annotations

import pytest
import torch
import torch.distributions as td

from sgdsl.runtime import experts
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.densities import laplace_log_prob, log_normal_log_prob, normal_log_prob, student_t_log_prob
from sgdsl.runtime.densities_moments import mean_of, variance_of
from sgdsl.runtime.means import Means
from tests.sides.programs import double as double
from tests.sides.programs import draws, module

ROWS = 6
NAN = float("nan")
GAUSSIAN = """model gaussian
given    g : class(2)
observed a : real[2] partial
observed b : real[2] partial
latent   z : real[2]
p(z | g) = Normal(table)
p(a | z) = Normal(z, 0.5)
p(b | z) = Normal(2 * z + 1, 3)
q(z | a, b) = product(Normal(a, 0.5), Normal(loc = (b - 1) / 2, scale = 1.5))
"""


def evidence(model: object, a: torch.Tensor, b: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """log p of the cells that are there: a Gaussian in closed form, cell by cell of z."""
    table = model.p_z.table  # type: ignore[attr-defined]
    loc, var = table.loc[g], (torch.nn.functional.softplus(table.scale) + 1e-4)[g] ** 2
    found = torch.zeros(len(a))
    for row in range(len(a)):
        for cell in range(2):
            seen = [(a[row, cell], 1.0, 0.0, 0.25), (b[row, cell], 2.0, 1.0, 9.0)]
            seen = [s for s in seen if not s[0].isnan()]
            if not seen:
                continue
            slope = torch.tensor([s[1] for s in seen])
            mean = slope * loc[row, cell] + torch.tensor([s[2] for s in seen])
            noise = torch.diag(torch.tensor([s[3] for s in seen]))
            covariance = slope[:, None] * slope * var[row, cell] + noise
            value = torch.stack([s[0] for s in seen])
            found[row] = found[row] + td.MultivariateNormal(mean, covariance).log_prob(value)
    return found


def test_the_product_of_exact_messages_is_the_posterior() -> None:
    """Linear-Gaussian, a modality missing in some rows, both in one: the bound is log p at any draw, prior included."""
    model = module(GAUSSIAN)
    a, b, g = torch.randn(ROWS, 2), torch.randn(ROWS, 2), torch.arange(ROWS) % 2
    a[1], b[2], a[3], b[3] = NAN, NAN, NAN, NAN
    step = model(make_batch(model, {"a": a, "b": b, "g": g}), draws())
    assert (step.bound - evidence(model, a, b, g)).abs().max() < 1e-12
    step.objective.sum().backward()
    assert model.p_z.table.loc.grad.isfinite().all()
    ours, exact = model.p_z.table.loc.grad.clone(), evidence(model, a, b, g).sum()
    assert (ours - torch.autograd.grad(exact, model.p_z.table.loc)[0]).abs().max() < 1e-10


@pytest.mark.parametrize("prior", [True, False])
def test_experts_that_drop_out(prior: bool) -> None:
    """Precisions of those that count add up; where none counts and there is no prior, all do."""
    loc, scale = torch.randn(3, 1, 4, 2), torch.rand(3, 1, 4, 2) + 0.5
    there = torch.tensor([[[True, True, False, False]], [[True, False, True, False]]])
    members = [(there[0], loc[0], scale[0]), (there[1], loc[1], scale[1])]
    found = experts.product_of_normals(*members, *[(None, loc[2], scale[2])] * prior, event=1)
    for row, counted in enumerate([(0, 1), (0,), (1,), () if prior else (0, 1)]):
        kept = [*counted, *[2] * prior]
        precision = sum(scale[i, 0, row] ** -2 for i in kept)
        mean = sum(loc[i, 0, row] * scale[i, 0, row] ** -2 for i in kept) / precision
        assert torch.allclose(found[0][0, row], mean, rtol=1e-12)
        assert torch.allclose(found[1][0, row], precision**-0.5, rtol=1e-12)


FAMILIES = {
    "normal": (normal_log_prob, td.Normal),
    "laplace": (laplace_log_prob, td.Laplace),
    "log_normal": (log_normal_log_prob, td.LogNormal),
    "student_t": (student_t_log_prob, td.StudentT),
}


def mixture(prefix: str) -> tuple[tuple[torch.Tensor, ...], td.MixtureSameFamily]:
    """Parameters of three experts in three rows of two cells, of which 3, 2 and 1 count; and torch's."""
    scale = torch.rand(3, 1, 3, 2) * 0.5 + 0.3
    sets = [torch.randn(3, 1, 3, 2), scale]
    sets = [torch.full_like(scale, 8.0), *sets] if prefix == "student_t" else sets
    there = torch.tensor([[[True, True, True]], [[True, True, False]], [[True, False, False]]])
    found = experts.mixture_of(*[(there[i], *(s[i] for s in sets)) for i in range(3)], event=1)
    weights = torch.where(there.permute(1, 2, 0), 0.0, -torch.inf)
    components = td.Independent(FAMILIES[prefix][1](*[s.permute(1, 2, 0, 3) for s in sets]), 1)
    return found, td.MixtureSameFamily(td.Categorical(logits=weights), components)


@pytest.mark.parametrize("prefix", FAMILIES)
def test_density_and_moments_are_torch_s(prefix: str) -> None:
    """Every family that a mixture may have, with experts that dropped out."""
    parameters, theirs = mixture(prefix)
    value = torch.rand(4, 3, 2) + 0.1
    beside = FAMILIES[prefix][0](experts.among(value), *parameters[1:], event=1)
    assert torch.allclose(experts.mixture_log_prob(parameters[0], beside), theirs.log_prob(value), rtol=1e-12)
    assert torch.allclose(mean_of(f"mixture_{prefix}", parameters), theirs.mean, rtol=1e-10)
    assert torch.allclose(variance_of(f"mixture_{prefix}", parameters), theirs.variance, rtol=1e-10)
    size = (1, 3, 3, 2)
    mean = Means(torch.Generator()).mixture(
        parameters[0], getattr(Means(torch.Generator()), prefix)(size, *parameters[1:])
    )
    assert torch.allclose(mean, theirs.mean, rtol=1e-10)


@pytest.mark.parametrize("prefix", FAMILIES)
def test_draws_have_the_moments_of_the_mixture(prefix: str) -> None:
    """20,000 draws: every mean within 5 standard errors; an expert without weight is never drawn."""
    parameters, theirs = mixture(prefix)
    source, n = draws(1), 20_000
    drawn = source.mixture(parameters[0], getattr(source, prefix)((n, 3, 3, 2), *parameters[1:]))
    assert drawn.shape == (n, 3, 2)
    assert ((drawn.mean(0) - theirs.mean[0]).abs() < 5 * (theirs.variance[0] / n).sqrt()).all()
    only = drawn[:, 2]
    assert ((only.mean(0) - theirs.component_distribution.mean[0, 2, 0]).abs() < 0.1).all()


def test_the_gradient_of_a_draw_is_unbiased() -> None:
    """d E[v²] / d loc_k = 2 w_k loc_k and / d scale_k = 2 w_k scale_k, within 5 standard errors of 40,000 draws."""
    loc = torch.tensor([[[-2.0, 1.0, 3.0]]], requires_grad=True)
    scale = torch.tensor([[[0.5, 1.0, 2.0]]], requires_grad=True)
    weights, source, n = torch.full((1, 1, 3), -torch.tensor(3.0).log()), draws(2), 40_000
    noise = source.normal((n, 1, 3), torch.zeros(()), torch.ones(()))
    drawn = source.mixture(weights, loc + scale * noise)
    for parameter, sensitivity in ((loc, torch.ones_like(noise)), (scale, noise)):
        (ours,) = torch.autograd.grad(drawn.square().mean(), parameter, retain_graph=True)
        spread = (2 * (loc + scale * noise) * sensitivity).square().mean(0, keepdim=True).sqrt() / n**0.5
        assert ((ours - 2 * parameter / 3).abs() < 5 * spread).all()


MIXTURE = """model mixed
observed x : real[3]
observed y : real[2] partial
latent   z : real[2]
p(z)     = Normal
p(x | z) = Normal(mlp(4))
p(y | z) = Normal(mlp(4))
q(z | x, y) = mixture(Normal(mlp(4)(x)), Normal(loc = linear(2)(y), scale = 0.5), Normal(0, 2))
"""


@pytest.mark.parametrize("how", ["", " by score", " by score(baseline = net)"])
def test_the_step_scores_with_the_mixture(how: str) -> None:
    """The emitted log q of a drawn z is torch's density of the experts that count in the row."""
    model = module(MIXTURE.rstrip() + how + "\n", "objective.samples=4")
    x, y = torch.randn(ROWS, 3), torch.randn(ROWS, 2)
    y[:2] = NAN
    y[2, 0] = NAN
    step = model(make_batch(model, {"x": x, "y": y}), draws())
    values = {"x": x[None], "y": y[None]}
    drawn = model.draw_q(values, {}, draws(), 4)
    weights, loc, scale = drawn.parameters["z"]
    assert torch.equal(weights[0, :2, 1].exp(), torch.zeros(2))
    assert torch.allclose(weights.exp()[0, 2:], torch.full((ROWS - 2, 3), 1 / 3))
    parts = td.Independent(td.Normal(loc, scale), 1)
    theirs = td.MixtureSameFamily(td.Categorical(logits=weights), parts).log_prob(drawn.values["z"])
    assert torch.allclose(drawn.log_r, theirs, rtol=1e-12)
    assert torch.allclose(step.terms["q(z | x, y)"].log_prob, theirs, rtol=1e-12)
    step.objective.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


LEVELS = """model levels
observed a : real[2] partial
latent   c : class(3)
latent   z : real[2]
p(c)     = Categorical(learned)
p(z | c) = Normal(loc = table, scale = 1)
p(a | z) = Normal(z, 0.5)
q(c | a)    = Categorical(mlp(4))
q(z | a, c) = SIDE
"""


@pytest.mark.parametrize(
    "side",
    [
        "product(Normal(loc = mlp(3)(a), scale = 0.5))",
        "product(Normal(mlp(3)), Normal(loc = learned, scale = learned(1)))",
        "product(Normal(0, 1))",
        "mixture(Normal(loc = mlp(3)(a), scale = 0.5), Normal(loc = table(c), scale = learned))",
        "mixture(Normal(0, 1), Normal(1, 2))",
    ],
)
def test_parameters_that_read_little(side: str) -> None:
    """Levels: numbers, free tensors, networks of rows and of (row, c) side by side; the step's log q is the queries'."""
    model = module(LEVELS.replace("SIDE", side))
    a = torch.randn(ROWS, 2)
    a[0] = NAN
    batch = make_batch(model, {"a": a})
    step = model(batch, draws())
    assert step.bound.isfinite().all()
    at, loc = (
        batch.levels["c"],
        model.parameters_q("z", {"a": a[None][:, batch.levels["c"].row], "c": batch.levels["c"].values["c"]}),
    )
    size = (1, at.entries, 2)
    source = draws()
    if side.startswith("mixture"):
        weights, *rest = loc
        z = source.mixture(weights, source.normal((1, at.entries, 2, 2), *rest))
    else:
        z = source.normal(size, *loc)
    seen = {"a": a[None][:, at.row], "c": at.values["c"], "z": z}
    assert torch.allclose(step.terms["q(z | a, c)"].log_prob, model.log_q(seen)["z"], rtol=1e-12)


@pytest.mark.parametrize("bound", ["snis", "iw"])
def test_score_and_pathwise_gradients_agree(bound: str) -> None:
    """Two unbiased gradients of one mixture: their means over 40 batches of 1,000 rows differ by less than 5 standard errors."""
    found = []
    for how in ("", " by score"):
        text = MIXTURE.rstrip() + how + "\n"
        model = module(text, f"objective.bound={bound}", "objective.samples=3")
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.3)
        source, batch = draws(5), make_batch(model, {"x": torch.ones(1000, 3), "y": torch.full((1000, 2), 0.5)})
        weights = [model.q_z.expert1.loc.bias, model.q_z.expert1.scale.bias, model.q_z.expert2.loc.bias]
        grads = [torch.autograd.grad(model(batch, source).objective.mean(), weights) for _ in range(40)]
        found.append(torch.stack([torch.cat(g) for g in grads]))
    difference = found[0].mean(0) - found[1].mean(0)
    error = ((found[0].var(0) + found[1].var(0)) / 40).sqrt()
    assert (difference.abs() < 5 * error).all(), difference / error
