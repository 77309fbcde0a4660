"""The reference, 1.00: a step written by hand for one model, at its best. Kept honest: an idea that is found goes in here.

First layers that read the same value are one product, computed once for each row or sample that it varies with; classes are
added as rows of a table; heads are one product; densities come from logits; one pass for all rows; fused Adam.
"""

from __future__ import annotations

from benchmarks.noise import Fixed, Noise
from benchmarks.peers import Task
from benchmarks.peers.direct.m2 import M2
from benchmarks.peers.direct.skip import SDGM
from benchmarks.peers.direct.two import M1M2
from benchmarks.peers.direct.vae import VAE, ConvVAE
from benchmarks.peers.trained import Trained

MODELS = {"m2": M2, "m1m2": M1M2, "sdgm": SDGM, "vae": VAE, "conv": ConvVAE}


def build(task: Task) -> Trained:
    """The reference for a task."""
    made = MODELS[task.work.kind](task)
    noise, fixed = Noise(), Fixed()
    return Trained(made.parameters(), lambda: made.loss(noise), lambda: made.loss(fixed), task.precision)
