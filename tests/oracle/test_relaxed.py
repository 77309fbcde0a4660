"""Gumbel-softmax and straight-through nodes: the KL from the soft probabilities, and the mass function for labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sgdsl.oracle.by_hand import step_and_hand
from sgdsl.oracle.noise import Recorder
from sgdsl.oracle.outcomes import gradients
from sgdsl.oracle.program import BOUNDS, Compiled, Rows, batch_of, example
from tests.oracle.program import compile_text, differences, every_pattern, program
from tests.oracle.random_programs import DRAWN, random_program

ALPHA = 0.5
ALONE = """model alone
observed   x : real[2]
supervised y : {kind}
latent     z : real
p(y)     = {family}(learned)
p(z)     = Normal
p(x | z) = Normal(linear)
q(y | x) = {family}(linear) by {estimator}
q(z | x) = Normal(linear)
"""


def by_hand(compiled: Compiled, rows: Rows, drawn: list[Tensor], samples: int) -> Tensor:
    """The bound of models/relaxed.sgm at recorded draws, differentiable: y moves with its logits at the same Gumbel
    noise, c has its hard value and the gradient of its softmax."""
    at = dict(compiled.module.named_parameters())
    x = torch.stack([row["x"] for row, _, _ in rows]).double()[None]
    label = functional.one_hot(torch.stack([row["y"] for row, _, _ in rows]), 3).double()[None]
    known = torch.tensor([bool(names) for _, names, _ in rows])[None, :, None]
    logits = functional.linear(x, at["q_y.logits.weight"], at["q_y.logits.bias"])
    noise = (0.7 * drawn[0].log() - logits).detach()
    y = torch.where(known, label, ((logits + noise) / 0.7).softmax(-1))
    y_soft = torch.where(known, label, logits.softmax(-1))
    inner = torch.cat([x.expand(samples, -1, -1), y], -1)
    c_logits = functional.linear(inner, at["q_c.logits.weight"], at["q_c.logits.bias"])
    c_soft = c_logits.softmax(-1)
    c = drawn[1].detach() + c_soft - c_soft.detach()
    hidden = functional.linear(torch.cat([y, c], -1), at["p_x.trunk.0.weight"], at["p_x.trunk.0.bias"]).tanh()
    loc = functional.linear(hidden, at["p_x.loc.weight"], at["p_x.loc.bias"])
    scale = functional.softplus(functional.linear(hidden, at["p_x.scale.weight"], at["p_x.scale.bias"])) + 1e-2
    log_x = torch.distributions.Normal(loc, scale).log_prob(x).sum(-1)
    log_q_y = (y_soft * logits.log_softmax(-1)).sum(-1)
    f = log_x + (y_soft * at["p_y.logits"].log_softmax(-1)).sum(-1) - log_q_y
    f = f + (c_soft * ((y @ at["p_c.table.logits"]).log_softmax(-1) - c_logits.log_softmax(-1))).sum(-1)
    log_w = torch.where(known[..., 0], log_q_y, 0.0).expand(samples, -1)
    mean_w = log_w.logsumexp(0) - torch.tensor(float(samples), dtype=torch.float64).log()
    value: dict[str, Tensor] = {
        "snis": (log_w.softmax(0) * f).sum(0) + (1 + ALPHA) * mean_w,
        "jensen": (log_w.softmax(0) * f).sum(0) + (1 + ALPHA) * log_w.mean(0),
        "clamped": (f + log_w).mean(0) + ALPHA * log_w.mean(0),
    }
    return value[compiled.bound]


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bound", ["snis", "jensen", "clamped"])
def test_value_and_gradient_by_hand(bound: str, samples: int) -> None:
    """Protects the relaxed step: what follows reads the relaxed draw (a table its weighted rows), log p − log q comes
    from the soft probabilities where unknown, from the one-hot label where known, in one batch."""
    compiled, draws = program("relaxed", bound), Recorder(4)
    rows = every_pattern(compiled, range(5))
    step = compiled.run(batch_of(compiled, rows), draws, samples, ALPHA)
    hand = by_hand(compiled, rows, [d.value for d in draws.given], samples)
    assert torch.allclose(step.bound, hand, 1e-10, 1e-10)
    found, wanted = gradients(compiled, step.objective.sum()), gradients(compiled, hand.sum())
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, 1e-9, 1e-9), name


@pytest.mark.parametrize("bound", BOUNDS)
def test_labels_are_scored_by_the_mass_function(bound: str) -> None:
    """Trap 1: a Concrete density of a one-hot label is infinite; log w of a known y is log softmax(logits)[y]."""
    compiled = program("relaxed", bound)
    rows: Rows = [(example(compiled.ir, seed), ("y",), 1) for seed in range(9)]
    step = compiled.run(batch_of(compiled, rows), Recorder(1), 2, ALPHA)
    x = torch.stack([row["x"] for row, _, _ in rows])
    logits = functional.linear(x, compiled.module.q_y.logits.weight, compiled.module.q_y.logits.bias)
    wanted = -functional.cross_entropy(logits, torch.stack([row["y"] for row, _, _ in rows]), reduction="none")
    assert torch.allclose(step.log_w, wanted.expand_as(step.log_w), 0, 1e-12)
    assert step.bound.isfinite().all()


@pytest.mark.parametrize("estimator", ["gumbel(0.3)", "straight_through"])
@pytest.mark.parametrize(("kind", "family"), [("class(3)", "Categorical"), ("binary", "Bernoulli")])
def test_the_kl_has_its_gradient(kind: str, family: str, estimator: str) -> None:
    """Trap 2: scored by the mass at its argmax, a relaxed y gives KL(q(y | x) ‖ p(y)) no gradient. Where nothing else
    reads y, the bound's gradient in q(y | x) and p(y) is exactly that of −KL, for every draw."""
    text = ALONE.format(kind=kind, family=family, estimator=estimator)
    compiled = compile_text(text, "alone")
    rows: Rows = [(example(compiled.ir, seed), (), 1) for seed in range(4)]
    step = compiled.run(batch_of(compiled, rows), Recorder(2), 1, ALPHA)
    x = torch.stack([row["x"] for row, _, _ in rows])
    logits = functional.linear(x, compiled.module.q_y.logits.weight, compiled.module.q_y.logits.bias)
    prior = compiled.module.p_y.logits
    if kind == "binary":
        logits, prior = functional.pad(logits, (1, 0)), functional.pad(prior.reshape(1), (1, 0))
    kl = (logits.softmax(-1) * (logits.log_softmax(-1) - prior.log_softmax(-1))).sum()
    wanted, found = gradients(compiled, -kl), gradients(compiled, step.objective.sum())
    for name in ("q_y.logits.weight", "q_y.logits.bias", "p_y.logits"):
        assert wanted[name].abs().max() > 1e-3
        assert torch.allclose(found[name], wanted[name], 0, 1e-10), name


@pytest.mark.parametrize("role", ["latent", "supervised"])
@pytest.mark.parametrize("estimator", ["gumbel(0.7)", "straight_through"])
@pytest.mark.parametrize("kind", ["class(3)", "binary", "count(1, 2)[2]"])
def test_a_relaxed_node_whose_q_reads_nothing(kind: str, estimator: str, role: str) -> None:
    """Protects shapes: probabilities that are the same in every row are still scored once a row."""
    family = "Bernoulli" if kind == "binary" else "Categorical"
    text = ALONE.format(kind=kind, family=family, estimator=estimator).replace("supervised y", f"{role} y")
    text = text.replace("q(y | x)", "q(y)").replace("(linear) by", "(learned) by").replace("p(x | z)", "p(x | z, y)")
    compiled = compile_text(text, "alone")
    step, hand, _ = step_and_hand(compiled, every_pattern(compiled, range(4)), 2, ALPHA, 3)
    assert torch.allclose(step.bound, hand, 1e-11, 1e-11)


@pytest.mark.parametrize("seed", range(16))
def test_random_programs_with_relaxed_nodes(seed: int) -> None:
    """Protects relaxed nodes in any graph, beside scored, real and known enumerated ones: the bounds by hand at recorded
    draws; tables of relaxed parents are weighted rows, relaxed counts their expected number, lets whatever they make."""
    text = random_program(seed, 0.25, (*DRAWN, " by enumerate"))
    compiled = compile_text(text, f"relaxed_{seed}", BOUNDS[seed % 4])
    listed = {n for n, estimator in compiled.chosen.items() if estimator == "enumerate"}
    rows = [row for row in every_pattern(compiled, (1, 2, 3)) if listed <= set(row[1])]
    for samples in (1, 3) if rows else ():
        step, hand, _ = step_and_hand(compiled, rows, samples, ALPHA, seed)
        assert torch.allclose(step.bound, hand, 1e-11, 1e-10)
    every = compiled.run(batch_of(compiled, every_pattern(compiled, (1, 2))), Recorder(1), 2, ALPHA)
    assert every.bound.isfinite().all()


@pytest.mark.parametrize("seed", range(8))
def test_gumbel_gradients_are_finite_differences(seed: int) -> None:
    """Protects the path through relaxed draws, their probabilities and the weights, at the same noise."""
    compiled = compile_text(random_program(seed, 0.25, (" by gumbel(0.7)",)), f"gumbel_{seed}", BOUNDS[seed % 4], 0.3)
    batch = batch_of(compiled, every_pattern(compiled, (1,)))

    def total() -> Tensor:
        return compiled.run(batch, Recorder(5), 2, ALPHA).objective.sum()

    for name, gradient in gradients(compiled, total()).items():
        parameter = compiled.module.get_parameter(name)
        assert torch.allclose(gradient, differences(parameter, total), 1e-4, 1e-4), name
