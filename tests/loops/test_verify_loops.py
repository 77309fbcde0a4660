"""`sgdsl verify` on models with loops: every bound, pattern of labels and gradient of emitted code against written-out models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.keyed import Keyed
from sgdsl.oracle.loops import check_loops, looped
from sgdsl.oracle.program import OVERRIDES, build
from sgdsl.oracle.verify import verify
from sgdsl.runtime import chains
from sgdsl.runtime.levels import Level

ROOT = Path(__file__).parents[2]
MODELS = sorted((Path(__file__).parent / "models").glob("*.sgm"))


@pytest.mark.parametrize("file", MODELS, ids=lambda f: f.stem)
def test_loops_compile_to_the_right_objective(file: Path) -> None:
    """Protects plates, nested and counted ones, weights of a copy's own, sequences forward and backward, labels before and
    after latents, with several copies' labels mixed in one batch."""
    report = verify(Source(file.name, file.read_text()))
    assert report.right, [case for case in report.cases if not case.right]
    assert {case.bound for case in report.cases} == {"snis", "jensen", "iw", "clamped"}


def test_verify_finds_a_sum_over_the_wrong_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the oracle from agreeing with anything: levels whose sums leave out one entry are seen in value and gradient."""
    text = (Path(__file__).parent / "models" / "plate.sgm").read_text()
    full = driver.check(Source("plate.sgm", text), OVERRIDES["snis"])
    compiled = build(driver.emit(full), "snis")
    right = Level.down
    keep = lambda term: torch.cat([torch.zeros_like(term[:, :1]), term[:, 1:]], 1)  # noqa: E731
    monkeypatch.setattr(Level, "down", lambda self, term, level="": right(self, keep(term), level))
    cases, _ = check_loops(looped(compiled, full.plan))
    assert {case.what for case in cases if not case.right} == {"value", "gradient"}


def test_keyed_draws_differ_by_copy_and_sample() -> None:
    """Protects the draws of these comparisons: entries with other parameters, and other samples, have other noise."""
    keyed, loc = Keyed(0.3), torch.tensor([[0.1, 0.2, 0.1]])
    noise = keyed.located((2, 3), loc, 1.0) - loc
    assert noise[0, 0] == noise[0, 2]
    assert len({round(float(n), 9) for n in noise[:, :2].flatten()}) == 4


@pytest.mark.slow
def test_the_models_whose_labels_are_groups_of_copies() -> None:
    """Protects what is shipped, images and networks as they are; the small models above have the same structure."""
    for name in ("ccvae", "loops/attributes"):
        report = verify(Source(name, (ROOT / "models" / f"{name}.sgm").read_text()))
        assert report.right, [case for case in report.cases if not case.right]


def test_verify_finds_a_chain_without_backward_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the comparison of chains: where labels do not weigh the copies before them, only rows with such labels are off."""
    text = (Path(__file__).parent / "models" / "hidden.sgm").read_text()
    full = driver.check(Source("hidden.sgm", text), OVERRIDES["snis"])
    compiled = build(driver.emit(full), "snis")
    monkeypatch.setattr(chains, "backward_sums", lambda single, pairs: [torch.zeros_like(t) for t in single.unbind(2)])
    cases, _ = check_loops(looped(compiled, full.plan))
    off = {case.known for case in cases if not case.right}
    assert off == {("c[2]",), ("c[3]",), ("c[1]", "c[3]"), ("c[2]", "c[3]")}  # a label behind an unknown copy
