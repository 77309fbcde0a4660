"""A constant prior of an enumerated node is summed like any other factor under `iw`."""

from __future__ import annotations

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

MODEL = """model lonely
observed   x  : binary[3]
supervised v0 : class(3)
latent     v2 : class(2)
p(v0) = Categorical
p(v2) = Categorical(learned)
p(x | v2) = Bernoulli(table)
q(v0 | x) = Categorical(mlp(3))
q(v2 | v0, x) = Categorical(mlp(2)) by enumerate
objective { bound = iw }
"""


@pytest.mark.parametrize("known", [False, True])
def test_a_node_that_nothing_else_reads_sums_to_one(known: bool) -> None:
    """Everything is enumerated, so the bound is log p(x) exactly, or log p(x, v0) where v0 is known: log 3 apart."""
    torch.manual_seed(0)
    model = load(driver.compile_source(Source("lonely.sgm", MODEL)).text, "lonely").Model()
    x = torch.tensor([[1.0, 0.0, 1.0]])
    batch = make_batch(model, {"x": x, "v0": torch.tensor([2])}, {"v0": torch.tensor([known])})
    log_prior = model.p_v2.logits.log_softmax(-1)
    log_likelihood = -torch.nn.functional.softplus(-(2 * x - 1) * model.p_x.table.logits).sum(-1)
    expected = (log_prior + log_likelihood).logsumexp(-1) - (torch.tensor(3.0).log() if known else 0.0)
    found = model(batch, Draws(torch.Generator())).bound
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
