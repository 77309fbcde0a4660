"""Numbers below the smallest normal one are 0 while a run trains, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl import library
from sgdsl.train import fit
from sgdsl.train.denormals import flushed, flushed_denormals

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not torch.set_flush_denormal(False), reason="a processor that cannot")
MODEL = """model small
observed x : real[3]
latent   z : real[2]
p(z)     = Normal
p(x | z) = Normal(linear)
q(z | x) = Normal(linear)
train { epochs = 1, batch = 8 }
"""


def test_they_are_zero_inside_and_numbers_after() -> None:
    """Protects the speed of long sequences, and the caller's numbers."""
    tiny = torch.full((40,), torch.finfo(torch.float32).tiny)
    with flushed_denormals(CPU):
        assert flushed()
        assert bool((tiny / 2 == 0).all())
    assert not flushed()
    assert bool((tiny / 2 > 0).all())


def test_who_had_set_it_keeps_it() -> None:
    torch.set_flush_denormal(True)
    try:
        with flushed_denormals(CPU):
            assert flushed()
        assert flushed()
    finally:
        torch.set_flush_denormal(False)


def test_other_devices_are_left_alone() -> None:
    with flushed_denormals(torch.device("cuda")):
        assert not flushed()


def test_a_run_trains_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Protects that fit enters it, around all steps, on the thread of the steps."""
    seen, steps = [], fit._run

    def watched(*arguments: Any) -> Any:
        seen.append(flushed())
        return steps(*arguments)

    monkeypatch.setattr(fit, "_run", watched)
    (tmp_path / "small.sgm").write_text(MODEL)
    data = {"x": np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)}
    library.fit(tmp_path / "small.sgm", data, out=tmp_path / "run", quiet=True)
    assert seen == [True]
    assert not flushed()
