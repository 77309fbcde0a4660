"""What rows cost beside the step that is made of them: 60,000 rows of 784 grey levels come in, shares of an epoch go out.

    python -m benchmarks data [--rows 60000] [--rounds 5] [--json benchmarks/data.json]

Process CPU time, one thread, medians of interleaved rounds. `data`: composing the epoch's steps, gathering and binarising
rows, making batches; `loop`: checks, meter, learning rate; both as shares of an epoch of training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.trainers import Trainer, gallery, machine, possible, trainer
from sgdsl.runtime.batch import make_batch
from sgdsl.train.failure import gradient_norm
from sgdsl.train.loop import advance, forward

WORKS = {  # name: model, line of q(y | …) with its estimator, settings
    "M2, y enumerated": ("mnist", "", ()),
    "M2, y enumerated, bf16": ("mnist", "", ("train.precision=bf16",)),
    "M2, sum and sample": ("mnist", " by sum_and_sample", ()),
    "M2, sum and sample, bf16": ("mnist", " by sum_and_sample", ("train.precision=bf16",)),
    "M2, y sampled, S = 1": ("mnist", " by score", ("objective.samples=1",)),
    "M2, y sampled, S = 1, bf16": ("mnist", " by score", ("objective.samples=1", "train.precision=bf16")),
    "digits": ("digits", "", ()),
}
CLASSIFIER = "q(y | x)    = Categorical(mlp(500, 500))"
Found = dict[str, float]


def work(name: str, rows: int) -> Trainer:
    """The training of one line of WORKS on made rows."""
    model, estimator, settings = WORKS[name]
    text = gallery(model)
    assert not estimator or CLASSIFIER in text, f"{model}.sgm has another classifier"
    return trainer(text.replace(CLASSIFIER, CLASSIFIER + estimator), rows, *settings)


def parts(ready: Trainer) -> dict[str, Callable[[], object]]:
    """What a step consists of, each to be called by itself; `epoch` once for all its steps."""
    state, job = ready.state, ready.job
    rows = job.schedule.epoch(0)
    index = rows[0]
    values, known = job.feed.rows(index, state.noise)
    batch = make_batch(state.module, values, known)
    turn = iter(range(10**9))
    advance(state, job, index)
    step = forward(state, job, batch)
    loss = job.weights @ step.objective

    def loop() -> None:
        loss.item(), gradient_norm(state.module.parameters()).item(), state.draws.state()
        state.meter.add(step, job.means, job.composition.alpha)

    return {
        "step": lambda: advance(state, job, rows[next(turn) % len(rows)]),
        "rows": lambda: job.feed.rows(rows[next(turn) % len(rows)], state.noise),
        "batch": lambda: make_batch(state.module, values, known),
        "loop": loop,
        "look": lambda: state.meter.look(step, batch),
        "epoch": lambda: job.schedule.epoch(next(turn)),
    }


def measure(ready: Trainer, rounds: int) -> Found:
    """Milliseconds of each part, and shares of an epoch."""
    times: dict[str, list[float]] = {}
    ready.state.module.train()
    found = parts(ready)
    for _ in range(rounds):
        for name, call in found.items():
            times.setdefault(name, []).append(timed(call, 5 if name in ("step", "epoch") else 40))
    ms = {name: statistics.median(t) for name, t in times.items()}
    steps = ready.job.composition.steps
    whole = ms["step"] * steps + ms["epoch"]
    data = ms["epoch"] + steps * (ms["rows"] + ms["batch"])
    loop = steps * ms["loop"] + 4 * ms["look"]
    return {**ms, "steps": steps, "data": data / whole, "loop, share": loop / whole}


def timed(call: Callable[[], object], count: int) -> float:
    """Milliseconds of CPU time a call."""
    start = time.process_time()
    for _ in range(count):
        call()
    return 1000 * (time.process_time() - start) / count


def table(found: dict[str, Found]) -> str:
    """As docs/performance.md has it."""
    lines = ["| work, batch 256 | step, ms | rows, ms | batch, ms | loop, ms | data | loop |", "| --- |" + " --- |" * 6]
    for name, ms in found.items():
        numbers = [f"{ms['step']:.1f}", *(f"{ms[part]:.2f}" for part in ("rows", "batch", "loop"))]
        shares = [f"{100 * ms[share]:.2f} %" for share in ("data", "loop, share")]
        lines.append(f"| {name} | {' | '.join([*numbers, *shares])} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Prints the table and writes it as data."""
    parser = argparse.ArgumentParser(prog="benchmarks data", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = {name: measure(work(name, options.rows), options.rounds) for name in possible(WORKS)}
    print(table(found))
    if options.json:
        written = {**machine(), "rows": options.rows, "rounds": options.rounds, "milliseconds and shares": found}
        options.json.write_text(json.dumps(written, indent=2) + "\n")
