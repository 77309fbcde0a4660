"""How the bounds stand to each other: equal at S = 1, jensen ≤ snis ≤ iw draw by draw, iw rising with S."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.outcomes import expected
from sgdsl.oracle.program import BOUNDS, batch_of, example
from sgdsl.runtime.bounds import effective_sample_size
from sgdsl.runtime.draws import Draws
from tests.oracle.program import every_pattern, program

DRAWN = ("nine_after", "gauss_after", "label_after_label", "gauss_labels")  # one group, nothing enumerated, where
LABELS = {  # these are known
    "nine_after": ("y",),
    "gauss_after": ("y",),
    "label_after_label": ("y2",),
    "gauss_labels": ("t",),
}


def bounds(name: str, samples: int, alpha: float, rows: int = 64) -> dict[str, Tensor]:
    """The four bounds of one batch at the same draws, [rows] each."""
    found = {}
    for bound in ("snis", "jensen", "iw", "clamped"):
        compiled = program(name, bound)
        some = [(example(compiled.ir, seed), LABELS[name], 1) for seed in range(rows)]
        draws = Draws(torch.Generator().manual_seed(4))
        found[bound] = compiled.run(batch_of(compiled, some), draws, samples, alpha).bound.detach()
    return found


@pytest.mark.parametrize("alpha", [0.0, 0.5, 10.0])
@pytest.mark.parametrize("name", DRAWN)
def test_all_bounds_agree_at_one_sample(name: str, alpha: float) -> None:
    """Protects S = 1: every bound is f + (1 + α) log w there, draw by draw, where nothing is enumerated."""
    found = bounds(name, 1, alpha)
    for bound in ("jensen", "iw", "clamped"):
        assert torch.allclose(found["snis"], found[bound], 0, 1e-10), bound


@pytest.mark.parametrize("samples", [2, 3, 8])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 10.0])
@pytest.mark.parametrize("name", DRAWN)
def test_jensen_snis_iw_draw_by_draw(name: str, alpha: float, samples: int) -> None:
    """Protects the order jensen ≤ snis ≤ iw for every draw, and that the three really differ."""
    found = bounds(name, samples, alpha)
    assert (found["jensen"] <= found["snis"] + 1e-10).all()
    assert (found["snis"] <= found["iw"] + 1e-10).all()
    assert (found["iw"] - found["jensen"]).max() > 1e-3


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["nine_after", "draws_below", "gauss_scored", "three_labels"])
def test_the_objective_is_the_bound_to_the_bit(name: str, bound: str) -> None:
    """Protects what is printed and logged: the score term adds a gradient and not one bit of value."""
    compiled = program(name, bound)
    step = compiled.run(batch_of(compiled, every_pattern(compiled, range(9))), Draws(torch.Generator()), 3, 0.5)
    assert step.objective.requires_grad
    assert torch.equal(step.bound, step.objective)


@pytest.mark.parametrize("known", [(), ("y",)])
def test_iw_rises_with_samples(known: tuple[str, ...]) -> None:
    """Protects the variational gap of iw: its expectation rises with S towards log p(x, labels) + α log q(labels | x),
    and for unlabelled rows (IWAE, the label summed inside) it is above the ELBO already at S = 1."""
    compiled = program("nine_after", "iw")
    row = example(compiled.ir, 9)
    at = [expected(compiled, row, known, s, 0.5)[0] for s in (1, 2, 3, 4)]
    grid = compiled.grid(row, known)
    assert at == sorted(at)
    assert at[-1] < float((exact.log_p_known(grid) + 0.5 * exact.log_q_known(grid)).detach())
    if not known:
        assert at[0] > float(exact.clamped(grid, 0.5).detach())


def test_the_effective_sample_size_is_that_of_the_weights() -> None:
    """Trap 7: from step.log_w, per row: 1/Σ w̄², S where nothing is known, and lower the sharper the classifier."""
    compiled = program("nine_after")
    labels = compiled.module.q_y.table.logits
    rows = [(example(compiled.ir, seed), known, 1) for seed in range(200) for known in ((), ("y",))]
    kept, sizes = labels.detach().clone(), []
    for sharper in (1.0, 3.0):
        with torch.no_grad():
            labels.copy_(kept * sharper)
        step = compiled.run(batch_of(compiled, rows), Draws(torch.Generator().manual_seed(1)), 8, 0.5)
        weights = step.log_w.softmax(0)
        found = effective_sample_size(step.log_w)
        assert torch.allclose(found, 1 / (weights**2).sum(0))
        assert torch.allclose(found[0::2], torch.full_like(found[0::2], 8.0))
        assert ((found[1::2] >= 1 - 1e-9) & (found[1::2] <= 8 + 1e-9)).all()
        sizes.append(float(found[1::2].mean().detach()))
    with torch.no_grad():
        labels.copy_(kept)
    assert sizes[1] < 0.8 * sizes[0]
