"""CPU time of the compiler against the number of nodes, for several shapes of models (benchmarks/shapes.py).

    python -m benchmarks.compile [--nodes 10 100 1000] [--rounds 5] [--json benchmarks/compile.json]

Compiling is everything from text to emitted text, without imports; beside it the notes that `sgdsl check` adds and the DOT
text of `sgdsl graph`. Shapes and sizes in turns, process CPU time, medians. The exponent b of time = a · nodes^b is fitted
from 100 nodes on: below, the constant part of a compilation shows.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.shapes import SHAPES
from sgdsl import driver
from sgdsl.backend.dot import dot
from sgdsl.base.source import Source

FITTED = 100  # nodes from which on the exponent is fitted
PARTS = ("compile", "notes", "graph")


def timed(call: Callable[[], object]) -> float:
    """Seconds of CPU time."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(text: str) -> dict[str, float]:
    """Seconds of each part for one model."""
    source = Source("shape.sgm", text)
    gc.collect()
    start = time.process_time()
    checked = driver.check(source)
    driver.emit(checked)
    return {
        "compile": time.process_time() - start,
        "notes": timed(lambda: driver.remarks(checked)),
        "graph": timed(lambda: dot(checked.model)),
    }


def exponent(nodes: Sequence[int], seconds: Sequence[float]) -> float | None:
    """The slope of log seconds against log nodes by least squares; None for fewer than two sizes."""
    points = [(math.log(n), math.log(max(s, 1e-9))) for n, s in zip(nodes, seconds, strict=True) if n >= FITTED]
    return statistics.linear_regression(*zip(*points, strict=True)).slope if len(points) > 1 else None


def measured(nodes: Sequence[int], rounds: int) -> Iterator[dict[str, dict[str, dict[str, object]]]]:
    """After each round, by shape and part: the median seconds of each size, their range, the exponent."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    measure(SHAPES["plate"](10))  # the parser is built once
    gc.freeze()
    for done in range(rounds):
        for name, shape in SHAPES.items():
            for n in nodes:
                found.setdefault((name, n), []).append(measure(shape(n)))
        print(f"round {done + 1} of {rounds}", file=sys.stderr)
        yield _table(nodes, found)


def _table(
    nodes: Sequence[int], found: dict[tuple[str, int], list[dict[str, float]]]
) -> dict[str, dict[str, dict[str, object]]]:
    table: dict[str, dict[str, dict[str, object]]] = {}
    for name in SHAPES:
        for part in PARTS:
            runs = {n: [r[part] for r in found[name, n]] for n in nodes}
            medians = {n: statistics.median(r) for n, r in runs.items()}
            table.setdefault(name, {})[part] = {
                "seconds": medians,
                "range": {n: [min(r), max(r)] for n, r in runs.items()},
                "exponent": exponent(nodes, list(medians.values())),
            }
    return table


def main(arguments: list[str]) -> None:
    """Prints a table; writes everything as data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compile")
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one thread"
    for done, found in enumerate(measured(given.nodes, given.rounds), 1):
        if given.json:
            data = {"machine": machine, "nodes": given.nodes, "rounds": done, "shapes": found}
            given.json.write_text(json.dumps(data, indent=1) + "\n")
    print(f"| shape | {' | '.join(f'{n:,} nodes' for n in given.nodes)} | exponent | notes | graph |")
    print("| --- |" + " --- |" * (len(given.nodes) + 3))
    for name, parts in found.items():
        whole, notes, graph = ([*p["seconds"].values()] for p in (parts[k] for k in PARTS))  # type: ignore[attr-defined]
        slope = parts["compile"]["exponent"]
        shown = "" if slope is None else f"{slope:.2f}"
        print(f"| {name} | {' | '.join(f'{s:.3f}' for s in whole)} | {shown} | {notes[-1]:.3f} | {graph[-1]:.3f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
