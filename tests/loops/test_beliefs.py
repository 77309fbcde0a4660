"""Beliefs, log p(x, labels) and conditional draws of models with loops, against the listing of all their outcomes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import ir
from sgdsl.oracle import exact
from sgdsl.oracle.grid import Grid, finite_values, product
from sgdsl.oracle.loops import Looped, looped
from sgdsl.oracle.program import build, copies, fill
from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws

SAMPLES = 20_000

PROGRAMS = {
    "crossed": """model crossed
for j in 1..2 {
    observed v[j] : real
    latent   w[j] : class(2)
    p(w[j]) = Categorical(learned)
    p(v[j] | w[j]) = Normal(table)
    q(w[j] | v[j]) = Categorical(mlp(3)) by score
}
for i in 1..2 {
    for j in 1..2 {
        supervised a[i, j] : class(2)
        p(a[i, j] | w[j]) = Categorical(table)
        q(a[i, j] | w[j], i) = Categorical(table)
    }
}
""",
    "hidden": """model hidden
for t in 1..3 {
    observed   x[t] : class(3)
    supervised z[t] : class(2)
    p(x[t] | z[t]) = Categorical(table)
}
p(z[1]) = Categorical(learned)
q(z[1] | x[1]) = Categorical(table)
for t in 2..3 {
    p(z[t] | z[t - 1])       = Categorical(table)
    q(z[t] | z[t - 1], x[t]) = Categorical(table)
}
""",
    "counted": """model counted
observed   x : real
supervised k : count(0, 2)
p(k) = Categorical(learned)
q(k | x) = Categorical(mlp(3))
for i in 1..k {
    supervised y[i] : class(2)
    let shown[i] = linear(1)(y[i], i)
    p(y[i]) = Categorical(learned)
    q(y[i] | x, i) = Categorical(mlp(3))
}
p(x | k, shown) = Normal(loc = sum(sum(shown[*])), scale = 0.5)
""",
}


def of(text: str) -> Looped:
    source = Source("m.sgm", text)
    checked = driver.check(source)
    compiled = build(driver.emit(checked), "snis")
    fill(compiled.module, 0.4)
    return looped(compiled, checked.plan)


def noise(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def grid_of(model: Looped, row: dict[str, Tensor], known: tuple[str, ...]) -> Grid:
    return model.flat.grid(model.written(row), known)


def hot(model: Looped, grid: Grid, copy: str) -> Tensor:
    """The value of one copy at each joint outcome, one-hot, [G, values]."""
    kind = model.flat.ir.node(copy).type
    digits = product(list(grid.sizes.values()))[:, list(grid.sizes).index(copy)]
    assert kind.values is not None
    return torch.nn.functional.one_hot(finite_values(kind)[digits].long() - kind.first, kind.values).double()


def nodes(model: Looped) -> list[ir.Node]:
    return [n for n in model.compiled.ir.nodes if n.role in ("latent", "supervised")]


@pytest.mark.parametrize("name", PROGRAMS)
def test_beliefs_of_copies_are_those_of_q_given_the_labels(name: str) -> None:
    """Protects `ask.posterior` for any copies known: marginals of q(U | x, labels), weights included, within 0.03 (20,000
    draws, seed 2). Copies that may not exist have no belief of their own."""
    model = of(PROGRAMS[name])
    for i, known in enumerate(model.patterns()):
        row = model.row(known, 3 + i)
        grid = grid_of(model, row, known)
        found = ask.posterior(model.compiled.module, spread(model, row), masks(model, known), noise(2), SAMPLES)
        weight = (grid.log_proposal + grid.log_w).softmax(0).detach()
        for node in nodes(model):
            belief = found[node.name]
            assert isinstance(belief, Tensor)
            for copy, at in copies(node):
                if copy in grid.sizes and (not node.axes or not model.flats.names):
                    wanted = torch.tensordot(weight, hot(model, grid, copy), 1)
                    assert (belief[0][at].detach() - wanted).abs().max() < 0.03, (known, copy)
                elif copy in known:
                    assert belief[0][at].max() == 1


def spread(model: Looped, row: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: v[None, None] for n, v in row.items()}


def masks(model: Looped, known: tuple[str, ...]) -> dict[str, Tensor]:
    labels = [n for n in model.compiled.ir.nodes if n.role == "supervised"]
    return {
        n.name: torch.tensor([c in known for c, _ in copies(n)]).reshape([1, *(r.copies for r in n.axes)])
        for n in labels
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_log_p_of_copies_by_importance_sampling(name: str) -> None:
    """Protects `ask.log_prob`: log p(x, labels) for any copies known, within 4 standard errors of its weights plus 1e-9 (20,000
    draws, seed 3, the delta method)."""
    model = of(PROGRAMS[name])
    for i, known in enumerate(model.patterns()):
        row = model.row(known, 3 + i)
        grid = grid_of(model, row, known)
        found = float(
            ask.log_prob(model.compiled.module, spread(model, row), masks(model, known), noise(3), SAMPLES).detach()
        )
        wanted = float(exact.log_p_known(grid).detach())
        ratio = (grid.log_p - grid.log_r - wanted).exp()
        variance = float(((ratio - 1) ** 2 * grid.log_proposal.exp()).sum().detach())
        assert abs(found - wanted) < 4 * math.sqrt(variance / SAMPLES) + 1e-9, known
