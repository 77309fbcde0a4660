"""Loops: a plate and a sequence of more and more copies come in; CPU time to compile, and of a step, go out, beside Pyro and
NumPyro where they are installed.

    OMP_NUM_THREADS=1 python -m benchmarks loops [--rounds 5] [--json benchmarks/loops.json]

CPU time of this process, medians of rounds in turns. A step is forward, backward and Adam of the deep Kalman filter, of a plate
with a label a copy that is summed over, and of the counting model of canvases, up to so many digits, whose count is summed over;
16 rows; losses and norms of gradients under the same noise are compared first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import contest, left_out, machine, table
from benchmarks.noise import FixedDraws
from benchmarks.peers import Contestant
from benchmarks.peers.loops import Kind, contestants, loop_of, missing
from benchmarks.peers.trained import Trained
from benchmarks.step import TOLERANCE, differs  # which sets one thread for all libraries
from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from sgdsl.train.denormals import flushed_denormals
from sgdsl.train.pages import kept_pages

MODELS = Path(__file__).parents[1] / "models" / "loops"
PLATE = """model plate
for i in 1..3 {
    observed   x[i] : real[8]
    supervised c[i] : class(5)
    latent     z[i] : real[2]
    p(c[i]) = Categorical(learned)
    p(z[i]) = Normal
    p(x[i] | z[i], c[i]) = Normal(mlp(32))
    q(c[i] | x[i]) = Categorical(mlp(32))
    q(z[i] | x[i], c[i]) = Normal(mlp(32))
}
"""
CPU, ROWS = torch.device("cpu"), 16
WRITTEN = {"sequence": 20, "counting": 3}  # copies, in the files
COMPILED: dict[Kind, tuple[int, ...]] = {"plate": (3, 100, 10_000), "sequence": (3, 100, 1000), "counting": (3, 64)}
STEPPED: dict[Kind, tuple[int, ...]] = {"plate": (10, 100, 1000), "sequence": (20, 200), "counting": (3, 10)}


def program(kind: Kind, copies: int) -> Source:
    """The file with so many copies."""
    if kind == "plate":
        return Source("plate.sgm", PLATE.replace("1..3", f"1..{copies}"))
    name, number = ("dkf.sgm", "T = {}") if kind == "sequence" else ("multi_mnist.sgm", "count(1, {})")
    text = (MODELS / name).read_text(encoding="utf-8")
    return Source(str(MODELS / name), text.replace(number.format(WRITTEN[kind]), number.format(copies)))


def data(kind: Kind, copies: int) -> dict[str, Tensor]:
    """A batch without a label."""
    if kind == "counting":
        return {"x": (torch.rand(ROWS, 1, 50, 50) < 0.2).float(), "k": torch.zeros(ROWS, dtype=torch.int64)}
    x = {"x": torch.randn(ROWS, copies, 8)}
    return x if kind == "sequence" else {**x, "c": torch.zeros(ROWS, copies, dtype=torch.int64)}


def steps(kind: Kind, copies: int) -> dict[str, Contestant]:
    """The emitted step and those of the libraries, from the same weights."""
    torch.manual_seed(0)
    model = load(driver.compile_source(program(kind, copies)).text, "loops").Model()
    values = data(kind, copies)
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    loop = loop_of(kind, copies, values["x"].numpy(), state)
    draws, fixed = Draws(torch.Generator().manual_seed(0)), FixedDraws()

    def loss(noise: Draws) -> Tensor:
        found: Tensor = -model(make_batch(model, values), noise).objective.sum()
        return found

    made = {"emitted": Trained(model.parameters(), lambda: loss(draws), lambda: loss(fixed)), **contestants(loop)}
    expected = made["emitted"].checked()
    for name, contestant in made.items():
        if differs(found := contestant.checked(), expected):
            raise SystemExit(
                f"{kind} of {copies}: {name} has loss and gradient {found}, expected {expected}, to {TOLERANCE}"
            )
    return made


def seconds(run: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Each in turn, `rounds` times, after one that warms up."""
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(seconds(call))
    return {name: statistics.median(times) for name, times in found.items()}


def markdown(record: dict[str, Any]) -> str:
    """The machine, then the time to compile, then that of a step with its ratio to the emitted one's."""
    steps = record["steps"]
    names = list(dict.fromkeys(name for step in steps for name in step["times"]))
    compiled = [f"| {name} | {1000 * s:.1f} |" for name, s in record["seconds to compile"].items()]
    stepped = []
    for step in steps:
        times = step["times"]
        cells = [f"{times[n]['median']:.1f} ({times[n]['ratio']:.2f})" if n in times else "–" for n in names[1:]]
        stepped.append(f"| {step['of']} | {times[names[0]]['median']:.1f} | {' | '.join(cells)} |")
    return "\n".join(
        [
            table.machine(record, [step["load"] for step in steps]),
            *("", "| copies | ms to compile |", "| --- | --- |", *compiled),
            *("", f"| a step, ms | {' | '.join(names)} |", "| --- |" + " --- |" * len(names), *stepped),
        ]
    )


def step_times(kind: Kind, copies: int, rounds: int) -> dict[str, Any]:
    """Milliseconds a step, by contestant."""
    load = round(os.getloadavg()[0], 2)
    calls = {name: contestant.step for name, contestant in steps(kind, copies).items()}
    with kept_pages(CPU), flushed_denormals(CPU):  # as in a run
        times = contest.run(calls, rounds, None)
    emitted = times["emitted"].median
    rows = {n: {"median": t.median, "rounds": list(t.rounds), "ratio": t.median / emitted} for n, t in times.items()}
    return {"of": f"{kind} of {copies}", "load": load, "times": rows}


def main(words: list[str]) -> None:
    """Measures and prints; --json writes."""
    parser = argparse.ArgumentParser("python -m benchmarks loops", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    if absent := missing():
        print(left_out(absent))
    compiled = {
        f"{kind} of {n}": partial(driver.compile_source, program(kind, n))
        for kind, numbers in COMPILED.items()
        for n in numbers
    }
    record = {"machine": machine.describe(), "rounds": options.rounds, "rows": ROWS}
    record["seconds to compile"] = medians(compiled, options.rounds)
    record["steps"] = [step_times(kind, n, options.rounds) for kind, numbers in STEPPED.items() for n in numbers]
    print(markdown(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
