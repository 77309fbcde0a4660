"""What is measured: an experiment's name and seeds come in; its cells, and what is kept of them, go out."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import counts

MODELS = Path(__file__).parents[2] / "models"
RATES = (0.02, 0.1, 0.3, 0.6, 0.9)
RATE = "rate "  # of a method's name: the model with another supervision rate


@dataclass(frozen=True, slots=True)
class Experiment:
    """`labels`: what is known, as settings of `data`; `methods` at each of them; `swept`: labels at which the supervision rate is
    swept; `settings`: of the model; `drawn`: grey levels are drawn when the model is judged, as they are in training; `others`:
    methods that train another model, with settings of its own."""

    name: str
    model: str
    labels: Mapping[str, tuple[str, ...]]
    methods: tuple[str, ...]
    nodes: tuple[str, ...]
    swept: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    drawn: bool = False
    others: Mapping[str, Experiment] = field(default_factory=dict)

    def of(self, method: str) -> Experiment:
        """The experiment with the model and the settings of a method."""
        return self.others.get(method, self)

    @property
    def path(self) -> Path:
        return MODELS / f"{self.model}.sgm"


def _rows(weight: int, *counts: int) -> dict[str, tuple[str, ...]]:
    """α times the labelled rows is the same at every count: q of a label is to learn from few as from many."""
    return {f"{n:,}": (f"data.labels={n}", f"objective.alpha={weight // n}") for n in counts}


FEWER = ("train.precision=bf16", "train.batch=128", "train.labelled=32")  # rows a step, of them labelled
PIXELS = ("model", "labels only", "SVM", "1-NN")
UNTRAINED = ("SVM", "1-NN", "ink")
MNIST = (100, 600, 1000, 3000)
DIGITS = Experiment("mnist", "digits", _rows(16_000, *MNIST), ("digits model",), ("y",))
COUNTING = tuple(f"{name}={value}" for name, value in counts.SETTINGS.items())
EXPERIMENTS = {
    e.name: e
    for e in (
        Experiment(
            "mnist", "mnist", _rows(200_000, *MNIST), ("digits model", *PIXELS), ("y",), ("100", "1,000"), FEWER,
            others={"digits model": DIGITS},
        ),
        Experiment("svhn", "svhn", _rows(400_000, 1000, 3000), PIXELS, ("y",), settings=FEWER),
        Experiment(
            "faces", "faces",
            {"6 a person": ("data.labels_per_class=6",), "all": ("data.labels_per_class=auto",)},
            PIXELS, ("who", "light"),
            settings=("train.precision=bf16", "train.batch=64", "train.labelled=32", "objective.samples=2"),
        ),
        Experiment(
            "counts", "loops/multi_mnist", {f"{r} %": (f"data.labels={r / 100}",) for r in (10, 50, 100)},
            ("model", "labels only", "ink"), ("k",), settings=COUNTING, drawn=True,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table, at one seed of the labels. `source`: the data, as reports name them; `model`: a hash of its text
    and settings. Two cells that are equal need not be measured twice."""

    experiment: str
    labels: str
    seed: int
    method: str
    source: str
    model: str = ""

    @property
    def trained(self) -> bool:
        return self.method not in UNTRAINED

    @property
    def folder(self) -> str:
        """Of its run."""
        words = (self.experiment, self.labels, str(self.seed), self.method)
        return "-".join(w.replace(",", "").replace(" ", "_").replace("%", "pc") for w in words)


def cells(experiment: Experiment, seeds: int, source: str) -> Iterator[Cell]:
    """A seed after another, so that a run that is cut short has whole tables; the cheap ones come first."""
    for seed in range(seeds):
        for method in reversed(experiment.methods):
            for labels in experiment.labels:
                yield _cell(experiment, labels, seed, method, source)
        for rate in RATES:
            for labels in experiment.swept:
                yield _cell(experiment, labels, seed, f"{RATE}{rate}", source)


def _cell(experiment: Experiment, labels: str, seed: int, method: str, source: str) -> Cell:
    used = experiment.of(method)
    text = used.path.read_text() + " ".join((*used.settings, *used.labels[labels]))
    trained = Cell(experiment.name, labels, seed, method, source, f"{zlib.crc32(text.encode()):08x}")
    return trained if trained.trained else Cell(experiment.name, labels, seed, method, source)


@dataclass(slots=True)
class Kept:
    """A file of finished cells, which is written anew after each, and the machines by their processors, which cells name."""

    path: Path
    machines: dict[str, dict[str, Any]]
    found: dict[Cell, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Kept:
        whole = json.loads(path.read_text()) if path.exists() else {"machines": {}, "cells": []}
        return cls(path, whole["machines"], {Cell(**row["cell"]): row["found"] for row in whole["cells"]})

    def keep(self, cell: Cell, found: dict[str, Any], machine: dict[str, Any]) -> None:
        """Replaces what an earlier measurement, another model or other data gave for the same number."""

        def place(c: Cell) -> tuple[object, ...]:
            return c.experiment, c.labels, c.seed, c.method

        self.machines[machine["processor"]] = machine
        named = {**found, "processor": machine["processor"]}
        self.found = {c: f for c, f in self.found.items() if place(c) != place(cell)} | {cell: named}
        rows = [{"cell": asdict(c), "found": f} for c, f in sorted(self.found.items(), key=lambda x: str(place(x[0])))]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = json.dumps({"machines": self.machines, "cells": rows}, indent=1, ensure_ascii=False) + "\n"
        beside = self.path.with_suffix(".part")
        beside.write_text(whole)
        beside.replace(self.path)
