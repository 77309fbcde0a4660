"""What is timed: each work is a model as .sgm text, the rows of its batch and the number of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Kind = Literal["m2", "m1m2", "sdgm", "vae", "conv"]
ALPHA, RATE, CLASSES, CELLS, TEMPERATURE = 0.1, 0.5, 10, 784, 0.67
LEARNING_RATE = 1e-4
SKIP = 100  # cells of a and z in SDGM

M2 = """model m2
observed   x : binary[784]
supervised y : class(10)
latent     z : real[50]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp({width}, {width}))
q(y | x)    = Categorical(mlp({width}, {width})) by {y}
q(z | x, y) = Normal(mlp({width}, {width}))
"""

M1M2 = """model m1_m2
observed   x  : binary[784]
latent     z1 : real[50]
supervised y  : class(10)
latent     z2 : real[50]
p(y)          = Categorical
p(z2)         = Normal
p(z1 | y, z2) = Normal(mlp(500))
p(x | z1)     = Bernoulli(mlp(500, 500))
q(z1 | x)     = Normal(mlp(500, 500))
q(y | z1)     = Categorical(mlp(500)) by enumerate
q(z2 | y, z1) = Normal(mlp(500))
"""
SDGM = f"""model sdgm
observed   x : binary[784]
supervised y : class(10)
latent     z : real[{SKIP}]
latent     a : real[{SKIP}]
p(y)           = Categorical
p(z)           = Normal
p(a | z, y)    = Normal(mlp(500, 500))
p(x | a, z, y) = Bernoulli(mlp(500, 500))
q(a | x)       = Normal(mlp(500, 500))
q(y | x, a)    = Categorical(mlp(500, 500)) by enumerate
q(z | x, y, a) = Normal(mlp(500, 500))
"""
VAE = """model vae
observed x : binary[784]
latent   z : real[50]
p(z)     = Normal
p(x | z) = Bernoulli(mlp(500, 500))
q(z | x) = Normal(mlp(500, 500))
"""
CONV = """model conv_vae
observed x : binary[1, 28, 28]
latent   z : real[50]
p(z)     = Normal
p(x | z) = Bernoulli(mlp(256) >> deconv(64, 32))
q(z | x) = Normal(conv(32, 64) >> mlp(256))
"""


@dataclass(frozen=True, slots=True)
class Work:
    """A model and a batch: `unlabelled` rows come first. `y`: how the label is treated where it is unknown ("": no label)."""

    name: str
    title: str
    kind: Kind
    text: str
    y: Literal["", "gumbel", "enumerate", "sum_and_sample"] = "enumerate"
    samples: int = 1
    unlabelled: int = 128
    labelled: int = 128

    @property
    def rows(self) -> int:
        return self.unlabelled + self.labelled


def _m2(name: str, title: str, y: Literal["gumbel", "enumerate", "sum_and_sample"], width: int = 500) -> Work:
    by = f"gumbel({TEMPERATURE})" if y == "gumbel" else y
    return Work(name, title, "m2", M2.format(y=by, width=width), y)


SAMPLED = _m2("m2-sampled", "M2, y relaxed", "gumbel")
ENUMERATED = _m2("m2-enumerated", "M2, y enumerated", "enumerate")
SUM_AND_SAMPLE = _m2("m2-sum-and-sample", "M2, y sum-and-sample", "sum_and_sample")
TINY = replace(_m2("m2-tiny", "M2, layers of 16", "enumerate", 16), unlabelled=3, labelled=2)  # for tests


def _variants(work: Work) -> list[Work]:
    """At S = 8, and with 512 + 512 rows."""
    return [
        replace(work, name=f"{work.name}-s8", title=f"{work.title}, S = 8", samples=8),
        replace(work, name=f"{work.name}-512", title=f"{work.title}, 512 + 512 rows", unlabelled=512, labelled=512),
    ]


M2_WORKS = (SAMPLED, ENUMERATED, SUM_AND_SAMPLE)
DEEP = (
    Work("m1m2", "M1+M2", "m1m2", M1M2),
    Work("m1m2-s8", "M1+M2, S = 8", "m1m2", M1M2, samples=8),
    Work("sdgm", "SDGM", "sdgm", SDGM),
    Work("vae", "VAE", "vae", VAE, "", unlabelled=256, labelled=0),
    Work("conv-vae", "convolutional VAE", "conv", CONV, "", unlabelled=256, labelled=0),
)
WORKS = {w.name: w for w in (*M2_WORKS, *(v for work in M2_WORKS for v in _variants(work)), *DEEP, TINY)}
DEFAULT = tuple(n for n in WORKS if n != TINY.name)


@dataclass(frozen=True, slots=True)
class Data:
    """x [rows, 784] or [rows, 1, 28, 28] of 0 and 1, float32; y [rows] int64, which counts for the last `labelled` rows only."""

    x: np.ndarray
    y: np.ndarray


def data(work: Work) -> Data:
    """Random cells and labels; the time of a step does not depend on them."""
    random = np.random.default_rng(0)
    x = (random.random((work.rows, CELLS)) < 0.3).astype(np.float32)
    if work.kind == "conv":
        x = x.reshape(-1, 1, 28, 28)
    return Data(x, random.integers(0, CLASSES, work.rows))
