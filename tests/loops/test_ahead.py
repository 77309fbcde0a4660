"""What a short loop need not wait for is computed before it: the emitted text says so, and the numbers stay."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

ROWS = 3
SEQUENCE = """model sequence
observed a : real[130]
for t in 1..4 {
    observed x[t] : real[128]
    latent   z[t] : real[2]
    p(x[t] | z[t]) = Normal(mlp(4))
}
p(z[1]) = Normal
for t in 2..4 {
    p(z[t] | z[t - 1]) = Normal(mlp(4))
}
p(a | z[4]) = Normal(mlp(4))
q(z[1] | x[1], a) = Normal(mlp(4))
for t in 2..4 {
    q(z[t] | a, z[t - 1], x[t]) = Normal(mlp(4, 3))
}
objective { samples = 2 }
"""
NESTED = """model nested
for i in 1..3 {
    observed a[i] : real[130]
    for t in 1..4 {
        observed x[i, t] : real[128]
        latent   z[i, t] : real[2]
        p(x[i, t] | z[i, t]) = Normal(mlp(4))
    }
    p(z[i, 1]) = Normal
    for t in 2..4 {
        p(z[i, t] | z[i, t - 1]) = Normal(mlp(4))
    }
    p(a[i] | z[i, 4]) = Normal(mlp(4))
    q(z[i, 1] | x[i, 1]) = Normal(mlp(4))
    for t in 2..4 {
        q(z[i, t] | x[i, t], z[i, t - 1], a[i]) = Normal(mlp(4))
    }
}
"""


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def outcome(text: str, level: int) -> tuple[str, Tensor, tuple[Tensor, ...]]:
    """The emitted text, the objective of each row, and the gradient of their sum."""
    emitted = driver.compile_source(Source("ahead.sgm", text), (f"objective.optimise={level}",)).text
    torch.manual_seed(0)
    model = load(emitted, f"ahead_{level}").Model()
    values = {
        name: torch.randn(ROWS, *(model.RANGES[r].number for r in info.loops), *info.event)
        for name, info in model.NODES.items()
        if info.role == "observed"
    }
    found = model(make_batch(model, values), Draws(torch.Generator().manual_seed(1))).objective
    return emitted, found, torch.autograd.grad(found.sum(), list(model.parameters()))


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (
            SEQUENCE,
            ("dense(self.q_z_t_2_4.trunk[0], a, 0)", "each_copy(dense(self.q_z_t_2_4.trunk[0], x_2_4, 132), 2, 4)"),
        ),
        (NESTED, ("dense(self.q_z_i_t_2_4.trunk[0], a, 130)", "dense(self.q_z_i_t_2_4.trunk[0], x_i_2_4, 0), 2, 4)")),
    ],
    ids=["sequence", "nested"],
)
def test_parts_of_first_layers_stand_before_the_loop(text: str, before: tuple[str, ...]) -> None:
    """Protects which columns each part reads, and value and gradient, to 1e-12 of those without the optimiser."""
    (plain, wanted, slopes), (better, found, others) = outcome(text, 0), outcome(text, 1)
    head = better.split("for t in range")[0]
    for line in before:
        assert line in head
        assert line not in plain
    split = re.findall(r"(\w+_each) = ", better)
    assert all(f"{name}[" in better for name in split), "a value is split by copy and not read so"
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    for one, other in zip(slopes, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
