"""A run of the trainer on made rows: a model file and a number of rows come in, the state and job of its training go out."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.arithmetic import multiplies_bf16
from sgdsl.train.assemble import assemble, reproducible
from sgdsl.train.loop import Job
from sgdsl.train.prepare import Prepared, build, prepare
from sgdsl.train.settings import settings_of
from sgdsl.train.state import State

MODELS = Path(__file__).parents[1] / "models"


@dataclass(frozen=True, slots=True)
class Trainer:
    """What `train` takes, before its first step."""

    state: State
    job: Job
    ready: Prepared


def possible(works: Iterable[str]) -> list[str]:
    """Those that this processor can do as they are called: not in bf16, where the trainer would take float32 (W0644)."""
    return [name for name in works if multiplies_bf16("cpu") or "bf16" not in name]


def trainer(text: str, rows: int, *overrides: str, known: float = 1.0) -> Trainer:
    """A model's training on made rows. Each label is there with probability `known`; a `data` line may use fewer."""
    program = driver.compile_source(Source("benchmark.sgm", text), overrides)
    settings = settings_of(program)
    with reproducible(settings):
        model = build(program.text, program.model.name)
        random = np.random.default_rng(0)
        field = settings.data.names
        copies = {n: tuple(model.RANGES[r].number for r in i.loops) for n, i in model.NODES.items()}
        here = {n: i for n, i in model.NODES.items() if i.role != "latent"}
        arrays = {field.get(n, n): made(i, rows, random, copies[n]) for n, i in here.items()}
        labels = [n for n, i in model.NODES.items() if i.role == "supervised"] if known < 1 else []
        arrays |= {f"{field.get(n, n)}_known": random.random((rows, *copies[n])) < known for n in labels}
        held_out = {name: values[:500] for name, values in arrays.items()}
        ready = prepare(program, model, settings, arrays, held_out)
        state, job = assemble(program, model, ready, settings)
    return Trainer(state, job, ready)


def made(info: NodeInfo, rows: int, random: np.random.Generator, copies: tuple[int, ...] = ()) -> Any:
    """Legal values of a node, [rows, copies …, *event]: grey levels are bytes, as images are read from files."""
    shape = (rows, *copies, *info.event)
    match info.support:
        case "class" | "range" | "binary":
            every = np.arange(math.prod(shape)) % info.classes + info.first  # each value often enough to be labelled
            return random.permutation(every).reshape(shape)
        case "unit":
            return random.integers(0, 256, shape, dtype=np.uint8)
        case "count":
            return random.poisson(3.0, shape)
        case "positive":
            return random.gamma(2.0, 1.0, shape).astype(np.float32) + 0.1
        case _:
            return random.standard_normal(shape, dtype=np.float32)


def gallery(name: str) -> str:
    """The text of a model of this project."""
    return (MODELS / f"{name}.sgm").read_text()


def machine() -> dict[str, str]:
    """Where something was measured."""
    return {"machine": platform.processor() or platform.machine(), "torch": torch.__version__, "threads": "1"}
