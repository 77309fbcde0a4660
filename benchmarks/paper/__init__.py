"""The paper's experiments (Siddharth et al., 2017): a name, seeds and a budget come in; errors beside their baselines go out.

    python -m benchmarks paper --experiment mnist|svhn|faces|counts [--seeds 5] [--budget 600] [--mnist FOLDER]
    python -m benchmarks paper --pages

A cell is one number: experiment, labels, seed, method. Finished ones are kept in benchmarks/paper/NAME.json and skipped, unless
the model or the data have changed, or `--again` is said. Data are looked for in FOLDER/data (svhn, CroppedYale) and made where
there are none; --mnist names a folder of idx files, else the digits of the package are used. `--pages` writes the tables and
pictures of docs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe
from benchmarks.paper import judging, pages
from benchmarks.paper.cells import EXPERIMENTS, MODELS, RATE, Cell, Experiment, Kept, cells
from benchmarks.paper.training import Trained, by_labels_alone, compiled, started, whole
from sgdsl.train.makers.made import MAKERS
from sgdsl.train.prepare import Prepared

HERE = Path(__file__).parent
DIGIT = "runs/mnist"  # where models/loops/multi_mnist.sgm looks for the digit
DIGITS = ("data.labels=1.0",)


def main(words: list[str]) -> None:
    """Measures what is not there yet; or writes the pages."""
    options = _options(words)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if options.pages:
        pages.write(HERE, folder)
    for name in options.experiment:
        experiment = EXPERIMENTS[name]
        data = _data(experiment, folder, options.mnist)
        kept = Kept.read(options.json or HERE / f"{name}.json")
        with contextlib.chdir(folder):
            _measure(experiment, data, options, kept)


def _options(words: list[str]) -> Any:
    parser = argparse.ArgumentParser(
        "python -m benchmarks paper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment", action="append", choices=list(EXPERIMENTS), default=[])
    parser.add_argument("--seeds", type=int, default=5, help="of labels, weights and draws")
    parser.add_argument("--budget", type=float, default=600, help="seconds of CPU time that a cell is trained for")
    parser.add_argument("--again", action="store_true", help="measure also the cells that are there")
    parser.add_argument("--only", action="append", default=[], help="a method, by the start of its name")
    parser.add_argument("--labels", action="append", default=[], help="one amount of labels, as the tables name it")
    parser.add_argument("--mnist", default=os.environ.get("SGDSL_MNIST", ""), help="a folder of idx files")
    parser.add_argument("--folder", type=Path, default=Path("runs/paper"), help="where runs and made data go")
    parser.add_argument("--json", type=Path, help="where cells are kept, else benchmarks/paper/NAME.json")
    parser.add_argument("--pages", action="store_true", help="write docs/experiments.md and its pictures")
    options = parser.parse_args(words)
    if not options.experiment and not options.pages:
        parser.error("nothing to do: name an experiment, or --pages")
    options.mnist = str(Path(options.mnist).resolve()) if options.mnist else ""
    options.json = options.json and options.json.resolve()
    return options


def _data(experiment: Experiment, folder: Path, mnist: str) -> tuple[str, ...]:
    """Settings that say where the rows are; what is not there is made."""
    place = folder / "data"
    match experiment.name:
        case "mnist":
            return (f'data.root="{mnist}"',) if mnist else ()
        case "svhn":
            return (f'data.root="{_made("svhn-like", place / "svhn", place / "svhn")}"',)
        case "faces":
            return (f'data.root="{_made("yale-like", place, place / "CroppedYale")}"',)
        case _:
            return ()


def _made(kind: str, out: Path, there: Path) -> Path:
    maker = MAKERS[kind]
    if not (out / maker.first).exists():
        print(maker.write(out, 0, maker.size))
    return there


def _measure(experiment: Experiment, data: tuple[str, ...], options: Any, kept: Kept) -> None:
    if experiment.name == "counts" and not Path(DIGIT).exists():
        print(f"the digit: {options.budget:g} s")
        whole(MODELS / "mnist.sgm", DIGITS, options.budget, Path(DIGIT))
    first = next(iter(experiment.labels.values()))
    source = started(compiled(experiment.path, (*experiment.settings, *first, *data)))[-1].dataset.source
    for cell in cells(experiment, options.seeds, _name(source, options.mnist)):
        wanted = not options.only or cell.method.startswith(tuple(options.only))
        there = cell in kept.found and not options.again
        if there or not wanted or (options.labels and cell.labels not in options.labels):
            continue
        begun = time.process_time()
        found = _cell(experiment, cell, data, options.budget)
        kept.keep(cell, {**found, "cpu seconds": round(time.process_time() - begun, 1)}, describe())
        print(cell.experiment, cell.labels, cell.seed, cell.method, found, flush=True)


def _name(source: str, mnist: str) -> str:
    """The data's name without the folder of this machine."""
    return source.replace(f", {mnist}", "") if mnist else source


def _cell(experiment: Experiment, cell: Cell, data: tuple[str, ...], budget: float) -> dict[str, Any]:
    used = experiment.of(cell.method)
    settings = (
        *used.settings, *used.labels[cell.labels], *data, f"data.seed={cell.seed}", f"train.seed={cell.seed}",
    )  # fmt: skip
    if cell.method == "labels only":
        return _judged(experiment, by_labels_alone(used.path, settings, experiment.nodes, budget), budget)
    if cell.trained:
        rate = (f"objective.supervision_rate={cell.method.removeprefix(RATE)}",) if cell.method.startswith(RATE) else ()
        return _judged(experiment, whole(used.path, (*settings, *rate), budget, Path("runs") / cell.folder), budget)
    ready: Prepared = started(compiled(used.path, settings))[-1]
    return {
        **(judging.by_ink(ready) if cell.method == "ink" else judging.by_pixels(cell.method, ready, experiment.nodes))
    }


def _judged(experiment: Experiment, trained: Trained, budget: float) -> dict[str, Any]:
    scores = judging.by_model(trained.model, trained.ready, experiment.nodes, experiment.drawn)
    spent = {"epochs": trained.epochs, "steps": trained.steps, "budget": budget, "training": round(trained.seconds, 1)}
    return {**scores, **spent}
