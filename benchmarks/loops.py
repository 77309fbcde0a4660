"""Loops: a plate and a sequence of more and more copies come in; CPU time to compile, and of a step, go out.

    python -m benchmarks loops [--rounds 5] [--json benchmarks/loops.json]

CPU time of this process, medians of rounds in turns; the step is that of the deep Kalman filter, and of a plate with a label a
copy that is summed over, 16 rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.trainers import machine
from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

SEQUENCE = (Path(__file__).parents[1] / "models" / "loops" / "dkf.sgm").read_text(encoding="utf-8")
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
ROWS = 16
COMPILED = {"plate": (3, 100, 10_000), "sequence": (3, 100, 1000)}
STEPPED = {"plate": (10, 100, 1000), "sequence": (20, 200)}


def program(kind: str, copies: int) -> str:
    """The text with so many copies."""
    return PLATE.replace("1..3", f"1..{copies}") if kind == "plate" else SEQUENCE.replace("T = 20", f"T = {copies}")


def step(text: str, copies: int) -> Callable[[], None]:
    """A forward and backward pass of a compiled text."""
    model = load(driver.compile_source(Source("loops.sgm", text)).text, "loops").Model()
    values: dict[str, Tensor] = {"x": torch.randn(ROWS, copies, 8)}
    if "c" in model.NODES:
        values["c"] = torch.zeros(ROWS, copies, dtype=torch.int64)
    draws = Draws(torch.Generator().manual_seed(0))

    def run() -> None:
        model(make_batch(model, values), draws).objective.sum().backward()

    return run


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


def main(words: list[str]) -> None:
    """Measures and prints; --json writes."""
    parser = argparse.ArgumentParser("python -m benchmarks loops", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    compiled = {
        f"{kind} of {n}": partial(driver.compile_source, Source("loops.sgm", program(kind, n)))
        for kind, numbers in COMPILED.items()
        for n in numbers
    }
    stepped = {f"{kind} of {n}": step(program(kind, n), n) for kind, numbers in STEPPED.items() for n in numbers}
    found = {
        "seconds to compile": medians(compiled, options.rounds),
        "seconds a step": medians(stepped, options.rounds),
    }
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(
            json.dumps({**machine(), "rounds": options.rounds, "rows": ROWS, **found}, indent=2) + "\n"
        )
