"""Programs with loops as a user writes them, one after the other in written.sgm: each steps with finite gradients, its queries
agree with what they draw, and, slowly, `sgdsl verify` agrees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.verify import verify
from sgdsl.runtime import ask
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from tests.loops.rows import ROWS, rows_of

TEXT = (Path(__file__).parent / "written.sgm").read_text(encoding="utf-8")
PROGRAMS = {part.split()[0]: f"model {part}" for part in f"\n{TEXT}".split("\nmodel ")[1:]}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_steps_and_is_asked(name: str) -> None:
    """Protects what the language offers in loops from faults: gradients reach every weight, each factor has a term, log q of what
    is drawn is what the draw says it is, beliefs and draws along p are finite."""
    torch.manual_seed(0)
    model = load(driver.compile_source(Source("m.sgm", PROGRAMS[name])).text, f"written_{name}").Model().double()
    values, known = rows_of(model, torch.float64)
    draws = Draws(torch.Generator().manual_seed(1))
    step = model(make_batch(model, values, known, torch.float64), draws)
    assert bool(step.bound.isfinite().all())
    pieces = (family for side in model.PIECES.values() for found in side.values() for family in found.values())
    assert len(step.terms) == sum(family != "delta" for family in pieces)
    assert {name[2:-1].partition(" |")[0].partition("[")[0] for name in step.terms} <= model.NODES.keys()
    step.objective.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    seen = {n: v[None] for n, v in values.items()}
    drawn = model.draw_q(seen, known, draws, 2)
    total = sum(model.log_q(drawn.values).values(), torch.zeros_like(drawn.log_r))
    labels = [t.expand_as(drawn.log_r) for t in model.log_labels(drawn.values, known).values()]
    torch.testing.assert_close(total - sum(labels), drawn.log_r)
    beliefs = ask.posterior(model, seen, known, draws, 3)
    assert all(bool(torch.as_tensor(b if isinstance(b, Tensor) else b[0]).isfinite().all()) for b in beliefs.values())
    given = {n: v for n, v in seen.items() if model.NODES[n].role == "given"}
    masks = {n: ask.certain_mask(model, n, v[0]) for n, v in given.items()}
    made = model.draw_p(given, masks, draws, 2, rows=ROWS)
    assert all(bool(v.double().isfinite().all()) for v in made.values.values())
    along_p = sum(model.log_p(made.values).values(), torch.zeros_like(made.log_r))
    torch.testing.assert_close(along_p, made.log_r)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_verify_agrees(name: str) -> None:
    """Protects the objective of each."""
    report = verify(Source("m.sgm", PROGRAMS[name]))
    assert report.cases
    assert report.right, [case for case in report.cases if not case.right]
