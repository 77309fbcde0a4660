"""Memory of training, predicted by `sgdsl run --dry-run` and found: models, draws and batches come in, MiB and ratios go out.

    python -m benchmarks memory [--json benchmarks/memory.json]

Found: the most that torch's allocator has handed out at once, kernels' own temporaries among it, from before the model is
built to after three steps (torch.profiler). The data are left out on both sides: their size is known exactly.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.trainers import gallery, machine, possible, trainer
from sgdsl.train.loop import advance
from sgdsl.train.memory import predict, pretended_model
from sgdsl.train.settings import settings_of

ROWS, MIB = 3000, 2**20
CLASSIFIER = "q(y | x)    = Categorical(mlp(500, 500))"
SAMPLED = gallery("mnist").replace(CLASSIFIER, CLASSIFIER + " by score")


def many(labels: int) -> str:
    """Labels, each behind a latent of its own: their weights come in groups."""
    names = range(1, labels + 1)
    lines = ["model many", "observed x : binary[256]"]
    for i in names:
        lines += [f"supervised y{i} : binary", f"latent z{i} : real[4]", f"p(y{i}) = Bernoulli"]
        lines += [f"p(z{i} | y{i}) = Normal(table)", f"q(z{i} | x) = Normal(mlp(64))"]
        lines += [f"q(y{i} | z{i}) = Bernoulli(linear)"]
    lines += [f"p(x | {', '.join(f'z{i}' for i in names)}) = Bernoulli(mlp(128))", "objective { samples = 8 }"]
    return "\n".join(lines) + "\n"


WORKS = {  # name: text, share of known labels, settings
    "M2, y enumerated": (gallery("mnist"), 1.0, ()),
    "M2, y enumerated, S = 8": (gallery("mnist"), 1.0, ("objective.samples=8",)),
    "M2, y enumerated, S = 32": (gallery("mnist"), 1.0, ("objective.samples=32", "train.batch=64")),
    "M2, y enumerated, batch 64": (gallery("mnist"), 1.0, ("train.batch=64",)),
    "M2, y enumerated, batch 1024": (gallery("mnist"), 1.0, ("train.batch=1024",)),
    "M2, y enumerated, bf16": (gallery("mnist"), 1.0, ("train.precision=bf16",)),
    "M2, y sampled, S = 1": (SAMPLED, 1.0, ("objective.samples=1",)),
    "M2, y sampled, S = 8": (SAMPLED, 1.0, ("objective.samples=8",)),
    "digits": (gallery("digits"), 1.0, ()),
    "M1+M2, S = 8": (gallery("m1_m2"), 1.0, ()),
    "SDGM, S = 8": (gallery("sdgm"), 1.0, ()),
    "SVHN": (gallery("svhn"), 1.0, ()),
    "DIVA, batch 64": (gallery("diva"), 0.5, ("train.batch=64",)),
    "CCVAE, batch 16": (gallery("ccvae"), 0.5, ("train.batch=16",)),
    "scANVI": (gallery("scanvi"), 0.5, ()),
    "12 labels, S = 8": (many(12), 0.5, ()),
}


def compare(text: str, known: float, settings: tuple[str, ...], steps: int = 3) -> tuple[float, float]:
    """Predicted and found MiB."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        ready = trainer(text, ROWS, *settings, known=known)
        ready.state.module.train()
        for index in ready.job.schedule.epoch(0).repeat(steps, 1)[:steps]:
            advance(ready.state, ready.job, index)
    program = ready.job.program
    made = settings_of(program)
    fake, model = pretended_model(program, made)
    memory = predict(model, ready.ready, made.train, fake)
    return (memory.training - memory.rows) / MIB, allocated(seen) / MIB


def allocated(seen: profile) -> int:
    """The most bytes that were handed out at once."""
    live = peak = 0
    for event in seen.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def main(arguments: list[str]) -> None:
    """Prints the table and writes it as data."""
    parser = argparse.ArgumentParser(prog="benchmarks memory", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| training | predicted, MiB | found, MiB | ratio |\n| --- | --- | --- | --- |")
    found = {}
    for name in possible(WORKS):
        text, known, settings = WORKS[name]
        predicted, peak = compare(text, known, settings)
        found[name] = {"predicted": predicted, "found": peak}
        print(f"| {name} | {predicted:.1f} | {peak:.1f} | {predicted / peak:.2f} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps({**machine(), "MiB": found}, indent=2) + "\n")
