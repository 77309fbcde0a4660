"""Steps with and without pages that stay with the process: models come in, CPU time, page faults and memory of each go out.

    python -m benchmarks pages [--rounds 5] [--json benchmarks/pages.json]

Each measurement is a process of its own, in turns; six steps after two that warm up.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.trainers import gallery, machine, trainer
from sgdsl.train.loop import advance
from sgdsl.train.pages import SWITCH, kept_pages

WORKS = {
    "M2, y enumerated, S = 1": ("mnist",),
    "M2, y enumerated, S = 8": ("mnist", "objective.samples=8"),
    "SDGM, S = 8": ("sdgm",),
    "digits": ("digits",),
}
Found = dict[str, float]


def one(model: str, *settings: str) -> Found:
    """Medians of six steps of this process."""
    torch.set_num_threads(1)
    ready = trainer(gallery(model), 3000, *settings)
    ready.state.module.train()
    rows = ready.job.schedule.epoch(0)
    times: list[float] = []
    with kept_pages(torch.device("cpu")):
        for i in range(8):
            before = resource.getrusage(resource.RUSAGE_SELF)
            start = time.process_time()
            advance(ready.state, ready.job, rows[i % len(rows)])
            times += [1000 * (time.process_time() - start)] if i > 1 else []
        after = resource.getrusage(resource.RUSAGE_SELF)
    faults = after.ru_minflt - before.ru_minflt
    return {"milliseconds": statistics.median(times), "faults": faults, "MiB": after.ru_maxrss / 1024}


def process(name: str, kept: bool) -> Found:
    """The same in a process of its own."""
    command = [sys.executable, "-c", f"from benchmarks.pages import *; print(json.dumps(one(*{WORKS[name]})))"]
    environment = os.environ | {SWITCH: "1" if kept else "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str]) -> None:
    """Prints the table and writes it as data."""
    parser = argparse.ArgumentParser(prog="benchmarks pages", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    print("| step | as glibc has it, ms | pages kept, ms | ratio (of the rounds) | page faults | MiB at most |")
    print("| --- |" + " --- |" * 5)
    found = {}
    for name in WORKS:
        pairs = [(process(name, False), process(name, True)) for _ in range(options.rounds)]
        usual, kept = ({k: statistics.median(p[side][k] for p in pairs) for k in pairs[0][side]} for side in (0, 1))
        ratios = sorted(b["milliseconds"] / a["milliseconds"] for a, b in pairs)
        found[name] = {"usual": usual, "kept": kept, "ratios": ratios}
        print(
            f"| {name} | {usual['milliseconds']:.0f} | {kept['milliseconds']:.0f} | {statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} – {ratios[-1]:.2f}) | {usual['faults']:,.0f} → {kept['faults']:,.0f} | "
            f"{usual['MiB']:.0f} → {kept['MiB']:.0f} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({**machine(), "rounds": options.rounds, "works": found}, indent=2) + "\n")
