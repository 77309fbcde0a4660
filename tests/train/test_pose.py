"""models/pose.sgm is short; and a slant that nobody names is found by the bound alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import sgdsl
from sgdsl.runtime.patches import paste

MODEL = Path(__file__).parents[2] / "models" / "pose.sgm"
SIDE, ROWS = 12, 600
BARS = """model bars
observed x : unit[1, 12, 12]
latent   k : real
p(k)     = Normal
p(x | k) = Bernoulli(logits = paste(reshape(learned(144), size = [12, 12]), [0, 0, 0, k], size = [12, 12]) - 3)
q(k | x) = Normal(mlp(32, act = silu))
train { epochs = 25, batch = 60, lr = 1e-2 }
"""


def test_at_most_twenty_lines() -> None:
    """The bar of the language: a model on one screen."""
    assert len(MODEL.read_text().splitlines()) <= 20


def test_the_slant_of_bars_is_found(tmp_path: Path) -> None:
    """Bars, each slanted by a draw of its own: the mean of q(k | x) of other bars follows their slants (correlation over 0.95,
    600 training rows, seed 0), up to an offset, since the bar that is learned may itself stand at a slant."""
    slants = np.random.default_rng(0).standard_normal(2 * ROWS)
    bar = torch.zeros(1, 1, 1, SIDE, SIDE, dtype=torch.float64)
    bar[..., 2:10, 5:7] = 1
    at = torch.zeros(1, 2 * ROWS, 4, dtype=torch.float64)
    at[0, :, 3] = torch.from_numpy(2 * slants)
    x = paste(bar, at, SIDE, SIDE)[0].float().numpy()
    run = sgdsl.fit(sgdsl.compile(BARS), {"x": x[:ROWS]}, out=tmp_path / "bars", quiet=True)
    torch.manual_seed(0)
    found = run.posterior(x=x[ROWS:])["k"][0]
    assert np.corrcoef(found, slants[ROWS:])[0, 1] > 0.95
