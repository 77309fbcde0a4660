"""The emitted step: a work's text is compiled and stepped as training does it; the weights of all contestants come from here."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.noise import FixedDraws
from benchmarks.peers import Kl, Layers, Task
from benchmarks.peers.trained import Trained
from benchmarks.works import ALPHA, RATE, Work
from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

LEVELS: dict[Kl, int] = {"sampled": 1, "closed": 2}  # of the compiler's optimiser


def model(work: Work, kl: Kl = "sampled") -> Any:
    """The emitted module with its initial weights, the same in every call."""
    overrides = [f"objective.samples={work.samples}", f"objective.optimise={LEVELS[kl]}"]
    text = driver.compile_source(Source(f"{work.name}.sgm", work.text), overrides).text
    torch.manual_seed(0)
    made = load(text, f"benchmark_{work.name.replace('-', '_')}").Model()
    made.samples, made.alpha = work.samples, ALPHA
    return made


def layers(work: Work) -> Layers:
    """Its weights by factor: layers in order, heads joined to one."""
    state = {k: v.numpy() for k, v in model(work).state_dict().items()}
    found: Layers = {}
    for factor, names in groupby(state, lambda k: k.partition(".")[0]):
        weights = [n.removesuffix(".weight") for n in names if n.endswith(".weight")]
        trunk = [n for n in weights if ".trunk." in n]
        heads = [n for n in weights if n not in trunk]
        joined = tuple(np.concatenate([state[f"{n}.{k}"] for n in heads]) for k in ("weight", "bias"))
        found[factor] = [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in trunk] + [(joined[0], joined[1])]
    return found


def build(task: Task) -> Trained:
    """The step of train/loop.py: batch, bound, one weight a row."""
    work, made = task.work, model(task.work, task.kl)
    values = {"x": torch.from_numpy(task.data.x)}
    known = {}
    weights = torch.full((work.rows,), 1 / work.rows)
    if work.y:
        values["y"] = torch.from_numpy(task.data.y)
        known["y"] = torch.arange(work.rows) >= work.unlabelled
        weights = torch.where(known["y"], RATE / work.labelled, (1 - RATE) / work.unlabelled)

    def loss(draws: Draws) -> Tensor:
        objective: Tensor = made(make_batch(made, values, known), draws).objective
        return -(weights @ objective)

    draws, fixed = Draws(torch.Generator().manual_seed(0)), FixedDraws()
    return Trained(made.parameters(), lambda: loss(draws), lambda: loss(fixed), task.precision)
