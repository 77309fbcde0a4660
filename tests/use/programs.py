"""Models that use others, in a folder of the test, as modules in float64: what these tests share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.oracle.program import example
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

DIGIT = """model digit
observed   x : unit[16]
supervised y : class(3)
latent     z : real[2]
net f       = mlp(5, act = tanh)
let h       = f(x)
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp(6, act = tanh))
q(y | h)    = Categorical(mlp(4, act = tanh))
q(z | x, y) = Normal(mlp(6, act = tanh)(h, y))
"""
OUTER = """model outer
use digit = "digit.sgm"
observed   x : unit[16]
supervised y : class(3)
latent     z : real[2]
latent     w : real[2]
p(y)           = digit.p(y)
p(z)           = digit.p(z)
p(w)           = Normal
p(x | y, z, w) = Bernoulli(probs = clamp(digit.mean(x | y = y, z = z + w), 0.01, 0.99))
q(y | x)       = digit.q(y | x = x)
q(z | x, y)    = digit.q(z | x = x, y = y)
q(w | x)       = Normal(mlp(3, act = tanh))
"""
BY_HAND = """model by_hand
observed   x : unit[16]
supervised y : class(3)
latent     z : real[2]
latent     w : real[2]
net f       = mlp(5, act = tanh)
let h       = f(x)
let moved   = z + w
net trunk   = mlp(6, act = tanh) >> linear(16)
p(y)        = Categorical
p(z)        = Normal
p(w)        = Normal
p(x | y, z, w) = Bernoulli(probs = clamp(sigmoid(trunk(y, moved)), 0.01, 0.99))
q(y | h)    = Categorical(mlp(4, act = tanh))
q(z | x, y) = Normal(mlp(6, act = tanh)(h, y))
q(w | x)    = Normal(mlp(3, act = tanh))
"""


def write(folder: Path, **texts: str) -> None:
    """Files of models, by name."""
    for name, text in texts.items():
        (folder / f"{name}.sgm").write_text(text, encoding="utf-8")


def program(folder: Path, name: str, *overrides: str) -> driver.Program:
    return driver.compile_source(driver.read(folder / f"{name}.sgm"), overrides)


def module(compiled: driver.Program, name: str, seed: int = 0) -> Any:
    """With every weight drawn anew, in float64."""
    model = load(compiled.text, f"use_{name}").Model().double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    return model


def copied(source: Any, target: Any, names: Mapping[str, str]) -> None:
    """Weights of one module into another; `names`: of the target's, by the start of theirs in the source."""
    found = {}
    for name, tensor in source.state_dict().items():
        start = next((old for old in names if name.startswith(old)), "")
        found[names.get(start, "") + name.removeprefix(start)] = tensor
    target.load_state_dict(found)


def step(model: Any, compiled: driver.Program, known: Mapping[str, Tensor], samples: int, seed: int = 0) -> Tensor:
    """The objective of five rows, [rows], at fixed draws."""
    rows = [example(compiled.model, i) for i in range(5)]
    values = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    model.samples, model.alpha = samples, 0.3
    batch = make_batch(model, values, known, dtype=torch.float64)
    objective: Tensor = model(batch, Draws(torch.Generator().manual_seed(seed))).objective
    return objective


def known() -> dict[str, Tensor]:
    return {"y": torch.tensor([True, False, True, False, True])}
