"""Programs and rows that the tests of training share: small enough for a step in a millisecond."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.train.run import Run

TINY = """model tiny "Three clusters of eight bits."

observed   x : binary[8]
supervised y : class(3)
latent     z : real[2]

p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp(8))

q(y | x)    = Categorical(mlp(8))
q(z | x, y) = Normal(mlp(8))

train { epochs = 2, batch = 16, lr = 1e-2 }
"""

# the label comes after a latent: weights vary, S = 4
AFTER = """model after "The label after a code."

observed   x : unit[1, 6, 6]
supervised y : class(3)
latent     z : real[2]

p(y)     = Categorical
p(z | y) = Normal(table)
p(x | z) = Bernoulli(mlp(8))

q(z | x) = Normal(mlp(8))
q(y | z) = Categorical(mlp(8))

objective { samples = 4 }
train { epochs = 2, batch = 16, lr = 1e-2 }
"""


def clusters(rows: int = 90, seed: int = 0) -> dict[str, Any]:
    """Rows of TINY: each class has bits of its own."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    means = np.array([[0.9] * 4 + [0.1] * 4, [0.1] * 4 + [0.9] * 4, [0.9, 0.1] * 4])
    return {"x": (random.random((rows, 8)) < means[y]).astype(np.float32), "y": y}


def images(rows: int = 90, seed: int = 0) -> dict[str, Any]:
    """Rows of AFTER: grey pictures, a bar in a place a class, as bytes."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    x = random.integers(0, 60, (rows, 6, 6))
    for row, c in enumerate(y):
        x[row, 2 * c : 2 * c + 2] = random.integers(180, 256, (2, 6))
    return {"x": x.astype(np.uint8), "y": y}


def program(text: str = TINY, *overrides: str) -> driver.Program:
    return driver.compile_source(Source("tiny.sgm", text), overrides)


Fit = Callable[..., Run]


def weights_of(run: Run) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in run.module.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether all weights are equal to the bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def codes(error: Any) -> Sequence[str]:
    return [d.code for d in error.value.diagnostics]


def records(run: Run) -> list[dict[str, Any]]:
    """The metrics of every epoch."""
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
