"""CPU time of each command from a cold start, and of a run up to its first step beyond the imports.

    python -m benchmarks.start [--processes 11] [--model models/mnist.sgm] [--json benchmarks/start.json]

A process each, commands in turns, user and system time of the whole process. `run`: 60,000 × 784 rows in memory; from the
.sgm file to the end of the first step, everything that is imported on the way imported before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path

COMMANDS = {
    "python": ["-c", "pass"],
    "check": ["-m", "sgdsl", "check"],
    "graph": ["-m", "sgdsl", "graph"],
    "explain": ["-m", "sgdsl", "explain"],
    "show": ["-m", "sgdsl", "show"],
}
FIRST_STEP = """
import sys, tempfile, time
from pathlib import Path
import numpy as np
from sgdsl import driver
from sgdsl.train import fit as training

class Stepped(BaseException):
    pass

def tick(*_):
    raise Stepped

training.Recorder.tick = tick
dice = np.random.default_rng(0)
x, y = (dice.random((70_000, 784)) < 0.2).astype(np.uint8) * 255, dice.integers(0, 10, 70_000)
with tempfile.TemporaryDirectory() as folder:
    start = time.process_time()
    try:
        program = driver.compile_source(driver.read(sys.argv[1]))
        rows, held = {"x": x[:60_000], "y": y[:60_000]}, {"x": x[60_000:], "y": y[60_000:]}
        training.fit(program, rows, test=held, out=Path(folder) / "run", quiet=True)
    except Stepped:
        print(time.process_time() - start)
"""


def cold(command: list[str], model: str) -> float:
    """Seconds of CPU time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command, model], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_step(model: str) -> float:
    """Seconds of CPU time from the .sgm file to the end of the first step."""
    done = subprocess.run([sys.executable, "-c", FIRST_STEP, model], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main(arguments: list[str]) -> None:
    """Prints a table; writes everything as data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start")
    parser.add_argument("--processes", type=int, default=11)
    parser.add_argument("--model", default="models/mnist.sgm")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    found["run, to the first step"] = []
    for i in range(given.processes + 1):
        for name, command in COMMANDS.items():
            seconds = cold(command, given.model)
            found[name] += [seconds] if i else []  # the first one may compile bytecode
        seconds = first_step(given.model)
        found["run, to the first step"] += [seconds] if i else []
    print("| command | median, s | largest, s |\n| --- | --- | --- |")
    for name, times in found.items():
        print(f"| {name} | {statistics.median(times):.2f} | {max(times):.2f} |")
    if given.json:
        machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
        data = {"machine": machine, "model": given.model, "processes": given.processes, "seconds": found}
        given.json.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
