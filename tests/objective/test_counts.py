"""How often a step evaluates its factors: over the values of a term's scope only (docs/objective.md, section 3)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

M2 = """model m2
observed   x : real[3]
supervised y : class(10)
latent     z : real[2]
p(y) = Categorical(learned)
p(z) = Normal
p(x | y, z) = Normal(mlp(4))
q(y | x) = Categorical(mlp(4))
q(z | x, y) = Normal(mlp(4))
"""
BLIND = M2.replace("p(z) = Normal", "p(z | y) = Normal(table)")
BLIND = BLIND.replace("p(x | y, z)", "p(x | z)").replace("q(z | x, y)", "q(z | x)")
MANY = 18
INDEPENDENT = """model many
observed x : real[3]
latent z : real[1]
p(z) = Normal
p(x | z) = Normal(mlp(4))
q(z | x) = Normal(mlp(4))
"""
INDEPENDENT += "".join(
    f"supervised y{i} : binary\np(y{i}) = Bernoulli(learned)\nq(y{i} | x) = Bernoulli(mlp(4))\n" for i in range(MANY)
)
CHAIN = INDEPENDENT
for i in range(1, MANY):
    CHAIN = CHAIN.replace(f"p(y{i}) = Bernoulli(learned)", f"p(y{i} | y{i - 1}) = Bernoulli(table)")
    CHAIN = CHAIN.replace(f"q(y{i} | x)", f"q(y{i} | y{i - 1}, x)")


def evaluations(text: str, known: bool, *overrides: str) -> dict[str, int]:
    """For each method of a step, and each log-probability, how many entries one row costs, all samples together."""
    compiled = driver.compile_source(Source("counts.sgm", text), overrides)
    model: Any = load(compiled.text, f"counts_{compiled.model.name}").Model()
    rows = 5
    values = {n: torch.ones(rows, *i.event) for n, i in model.NODES.items() if i.role != "latent"}
    masks = {n: torch.full((rows,), known) for n, i in model.NODES.items() if i.role == "supervised"}
    found: dict[str, int] = {}
    for name in [m for m in dir(model) if m.startswith(("encode_", "decode_"))]:
        setattr(model, name, _counted(getattr(model, name), name, found, rows))
    step = model(make_batch(model, values, masks), Draws(torch.Generator().manual_seed(0)))
    for name, term in step.terms.items():
        found[name] = term.log_prob.numel() // rows
    return found


def _counted(method: Any, name: str, found: dict[str, int], rows: int) -> Any:
    def counted(*args: Any, **options: Any) -> Any:
        result = method(*args, **options)
        first = result[0] if isinstance(result, tuple) else result
        if first.shape[1] > 1:  # a free parameter is no evaluation of a row
            found[name] = found.get(name, 0) + first.shape[0] * first.shape[1] // rows
        return result

    return counted


@pytest.mark.parametrize("bound", ["snis", "iw", "clamped"])
def test_m2_costs_a_decoder_for_every_class_and_one_where_it_is_known(bound: str) -> None:
    """x reads y: ten decoders and ten encoders of z for a row without label, one with."""
    for known, decoders in ((False, 10), (True, 1)):
        found = evaluations(M2, known, f"objective.bound={bound}")
        assert (found["decode_x"], found["encode_z"], found["encode_y"]) == (decoders, decoders, 1)


def test_a_decoder_that_does_not_see_the_label_runs_once() -> None:
    """Ten tiny priors, one decoder."""
    found = evaluations(BLIND, False)
    assert (found["decode_x"], found["encode_z"], found["p(z | y)"], found["p(x | z)"]) == (1, 1, 10, 1)


def test_independent_labels_cost_their_values_added_up() -> None:
    """18 binary labels: 36 evaluations of a side, not 2 ** 18; 18 where all are known."""
    for known, each in ((False, 2), (True, 1)):
        found = evaluations(INDEPENDENT, known)
        for side in ("p", "q"):
            terms = [n for name, n in found.items() if name.startswith(f"{side}(y")]
            assert len(terms) == MANY
            assert sum(terms) == each * MANY


@pytest.mark.parametrize("bound", ["snis", "iw"])
def test_a_chain_of_labels_costs_pairs(bound: str) -> None:
    """18 linked binary labels: 2 + 17 · 4 evaluations of a side; the sums along the chain have no larger level."""
    found = evaluations(CHAIN, False, f"objective.bound={bound}")
    for side in ("p", "q"):
        terms = [n for name, n in found.items() if name.startswith(f"{side}(y")]
        assert sum(terms) == 2 + (MANY - 1) * 4
    compiled = driver.check(Source("chain.sgm", CHAIN), [f"objective.bound={bound}"])
    assert max(len(m.product.scope) for m in compiled.plan.messages) == 2
