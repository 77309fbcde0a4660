"""The models of the gallery learn: some steps on made rows of two kinds, labels known in some rows and in some nodes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import ir
from sgdsl.runtime.batch import Batch, make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

ROOT = Path(__file__).parents[2]
SMALLER = (("500", "24"), ("512", "24"), ("256", "24"), ("mlp(128)", "mlp(24)"), ("64, 32)", "8, 4)"), ("(32, 64)", "(4, 8)"),
           ("64, 32, 32", "8, 4, 4"), ("32, 32, 64", "4, 4, 8"), ("real[100]", "real[6]"), ("real[64]", "real[6]"))  # fmt: skip
ROWS, STEPS = 24, 40


def value(kind: ir.Type, row: Tensor, noise: torch.Generator) -> Tensor:
    """Values of a node that follow which of two kinds a row is."""
    shape = (ROWS, *kind.event)
    pattern = torch.rand((2, *kind.event), generator=noise)[row]
    match kind.support:
        case "class" | "binary":
            whole = torch.bernoulli(pattern.round() * 0.8 + 0.1, generator=noise) if kind.event else row
            return whole.to(torch.int64 if kind.support == "class" else torch.float32)
        case "count":
            return torch.poisson(6 * pattern, generator=noise)
        case "positive":
            return torch.full(shape, 600.0)
        case _:  # dark and bright cells: grey ones would have an entropy that no model gets below
            return (pattern.round() * 0.8 + 0.1 + 0.05 * torch.randn(shape, generator=noise)).clamp(0, 1)


def rows_of(model: ir.Model, module: Any) -> Batch:
    noise = torch.Generator().manual_seed(1)
    row = torch.arange(ROWS) % 2
    values, known = {}, {}
    for node in (n for n in model.nodes if n.role != "latent"):
        copies = math.prod(r.copies for r in node.axes)
        each = [value(node.type, row, noise) for _ in range(copies)]
        values[node.name] = torch.stack(each, 1) if node.axes else each[0]
        if node.role == "supervised":
            told = [torch.arange(ROWS) % 3 <= (len(known) + i) % 2 for i in range(copies)]
            known[node.name] = torch.stack(told, 1) if node.axes else told[0]
    return make_batch(module, values, known)


@pytest.mark.parametrize("name", ["sdgm", "ccvae", "diva", "scanvi", "vfae"])
def test_a_model_of_the_gallery_learns(name: str) -> None:
    """40 steps raise the mean bound for one set of draws by more than a tenth of its size; no number is NaN."""
    text = (ROOT / "models" / f"{name}.sgm").read_text()
    for wide, narrow in SMALLER:
        text = text.replace(wide, narrow)
    compiled = driver.compile_source(Source(f"{name}.sgm", text), ["objective.samples=3"])
    torch.manual_seed(0)
    module: Any = load(compiled.text, f"gallery_{name}").Model()
    module.alpha = 1.0
    batch = rows_of(compiled.model, module)

    def bound() -> float:
        with torch.no_grad():
            return float(module(batch, Draws(torch.Generator().manual_seed(5))).bound.mean())

    before, draws = bound(), Draws(torch.Generator().manual_seed(2))
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        step = module(batch, draws)
        assert step.bound.isfinite().all()
        (-step.objective.mean()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
        optimizer.step()
    after = bound()
    assert math.isfinite(after)
    assert after - before > 0.1 * abs(before), (before, after)
    untrained = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert not untrained, "a network that the bound does not reach"
