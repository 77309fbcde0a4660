"""How a step grows: draws, classes, rows, labels and cells are doubled, exponents of CPU time and of memory go out.

    python -m benchmarks growth [--rounds 5] [--json benchmarks/growth.json]

An exponent is the slope of log time (log bytes) over the last three sizes: 1 is linear, below 1 a part that does not grow is
still seen. Time is that of the whole step of the trainer, batch and optimiser with it; memory is that of
activations, batch and gradients at the peak.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.memory import SAMPLED, many
from benchmarks.trainers import Trainer, gallery, machine, trainer
from sgdsl.train.loop import advance
from sgdsl.train.memory import predict, pretended_model
from sgdsl.train.pages import kept_pages
from sgdsl.train.settings import settings_of

ROWS = 2200
LAST = 3  # sizes that an exponent is fitted to


@dataclass(frozen=True, slots=True)
class Axis:
    """Something that is doubled: `make` gives the training at a size."""

    sizes: Sequence[int]
    make: Callable[[int], Trainer]


def narrow(text: str) -> str:
    """Layers of 128: what does not belong to layers is to be seen."""
    return text.replace("500", "128")


def enumerated(classes: int, estimator: str = "") -> str:
    """M2 with this many classes."""
    text = narrow(gallery("mnist")).replace("class(10)", f"class({classes})")
    old = "q(y | x)    = Categorical(mlp(128, 128))"
    assert old in text, "mnist.sgm has another classifier"
    return text.replace(old, old + estimator)


def chain(labels: int) -> str:
    """Labels that each read the one before, with a latent of its own behind each: one joint weight."""
    text = many(labels)
    for i in range(2, labels + 1):
        text = text.replace(f"q(z{i} | x) =", f"q(z{i} | x, y{i - 1}) =")
    return text


AXES = {
    "draws S, y enumerated": Axis((1, 2, 4, 8, 16), lambda n: _m2(enumerated(10), 64, n)),
    "draws S, y sampled": Axis((2, 4, 8, 16, 32, 64), lambda n: _m2(narrow(SAMPLED), 64, n)),
    "rows, y enumerated": Axis((64, 128, 256, 512, 1024), lambda n: _m2(enumerated(10), n, 1)),
    "rows, y sampled": Axis((64, 128, 256, 512, 1024), lambda n: _m2(narrow(SAMPLED), n, 4)),
    "classes, y enumerated": Axis((10, 20, 40, 80, 160), lambda n: _m2(enumerated(n, " by enumerate"), 64, 1)),
    "classes, sum and sample": Axis((10, 20, 40, 80, 160), lambda n: _m2(enumerated(n, " by sum_and_sample"), 64, 1)),
    "labels, a group each, S = 8": Axis((4, 8, 16, 32), lambda n: trainer(many(n), ROWS, known=0.5)),
    "labels in a chain, S = 8": Axis((4, 8, 16, 32), lambda n: trainer(chain(n), ROWS, known=0.5)),
}


def _m2(text: str, rows: int, samples: int) -> Trainer:
    return trainer(text, ROWS, f"train.batch={rows}", f"objective.samples={samples}", "data.labels=0.1")


def measure(axis: Axis, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a step and MiB that it takes at every size, sizes in turns."""
    ready = [axis.make(size) for size in axis.sizes]
    memory = [taken(one) for one in ready]
    times: list[list[float]] = [[] for _ in ready]
    for _ in range(rounds + 1):
        for one, found in zip(ready, times, strict=True):
            found.append(timed(one))
    return {"milliseconds": [statistics.median(t[1:]) for t in times], "MiB": memory}


def taken(ready: Trainer) -> float:
    """MiB of activations, batch and gradients of a step."""
    settings = settings_of(ready.job.program)
    fake, model = pretended_model(ready.job.program, settings)
    memory = predict(model, ready.ready, settings.train, fake)
    return (memory.activations + memory.gradients) / 2**20


def timed(ready: Trainer, steps: int = 3) -> float:
    """Milliseconds of CPU time a step."""
    ready.state.module.train()
    rows = ready.job.schedule.epoch(0)
    start = time.process_time()
    for i in range(steps):
        advance(ready.state, ready.job, rows[i % len(rows)])
    return 1000 * (time.process_time() - start) / steps


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope of log values against log sizes, over the last sizes."""
    xs, ys = ([math.log(v) for v in part[-LAST:]] for part in (sizes, values))
    x, y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def main(arguments: list[str]) -> None:
    """Prints the table and writes it as data."""
    parser = argparse.ArgumentParser(prog="benchmarks growth", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| grows | sizes | step, ms | exponent | memory of the step, MiB | exponent |\n| --- |" + " --- |" * 5)
    found = {}
    for name, axis in AXES.items():
        with kept_pages(torch.device("cpu")):  # as in a run: page faults of buffers over 32 MiB would look like growth
            values = measure(axis, options.rounds)
        slopes = {key: exponent(axis.sizes, v) for key, v in values.items()}
        found[name] = {"sizes": list(axis.sizes), **values, "exponents": slopes}
        shown = {key: " ".join(f"{v:.3g}" for v in values[key]) for key in values}
        print(
            f"| {name} | {' '.join(map(str, axis.sizes))} | {shown['milliseconds']} | {slopes['milliseconds']:.2f} | "
            f"{shown['MiB']} | {slopes['MiB']:.2f} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({**machine(), "rounds": options.rounds, "axes": found}, indent=2) + "\n")
