"""The programs of tests/oracle/models, with weights from a formula, and numerical gradients of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.program import OVERRIDES, Compiled, build, example, fill

MODELS = Path(__file__).parent / "models"


def compile_text(text: str, name: str, bound: str = "snis", size: float = 0.7) -> Compiled:
    """A program with all weights set by `fill`."""
    compiled = build(driver.compile_source(Source(name, text), OVERRIDES[bound]), bound)
    fill(compiled.module, size)
    return compiled


@cache
def program(name: str, bound: str = "snis") -> Compiled:
    """models/NAME.sgm with one of the four bounds."""
    return compile_text((MODELS / f"{name}.sgm").read_text(), name, bound)


def differences(parameter: Tensor, total: Callable[[], Tensor], step: float = 1e-5) -> Tensor:
    """Central differences of a function with respect to each cell of a parameter."""
    flat, found = parameter.detach().view(-1), []
    for i in range(flat.numel()):
        kept, ends = flat[i].item(), []
        for sign in (1, -1):
            flat[i] = kept + sign * step
            ends.append(float(total().detach()))
        flat[i] = kept
        found.append((ends[0] - ends[1]) / (2 * step))
    return torch.tensor(found, dtype=torch.float64).reshape(parameter.shape)


def every_pattern(compiled: Compiled, seeds: Sequence[int]) -> list[tuple[dict[str, Tensor], tuple[str, ...], int]]:
    """Every pattern of labels with several rows each, patterns interleaved, all with one copy."""
    return [(example(compiled.ir, s), known, 1) for s in seeds for known in compiled.patterns()]
