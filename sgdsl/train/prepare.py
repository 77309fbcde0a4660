"""Everything that stands before the first step: a program, settings and data come in; checked rows, their split and the
composition of a step go out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from sgdsl.driver import Program
from sgdsl.runtime.load import load
from sgdsl.runtime.queries import Queries
from sgdsl.train.arithmetic import missed
from sgdsl.train.bind import Rules, Table, bind
from sgdsl.train.columns import field_of
from sgdsl.train.composition import Composition, compose
from sgdsl.train.dataset import Dataset
from sgdsl.train.diagnosis import Finding
from sgdsl.train.errors import run_error
from sgdsl.train.labels import Split, split
from sgdsl.train.leaks import Rows, suspicious
from sgdsl.train.settings import Settings
from sgdsl.train.sources import Origin, open_data


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rows of a run. `table` is on the device; `warnings`: what looks wrong before the first step;
    `names` node → field, where they differ."""

    dataset: Dataset
    origin: Origin
    table: Table
    split: Split
    composition: Composition
    warnings: tuple[Finding, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told before the run."""
        labels = ", ".join(f"{int(mask.sum()):,} of `{node}`" for node, mask in self.split.granted.items())
        rows = f"{len(self.dataset.train):,} training rows, {len(self.dataset.test):,} held out"
        return (f"{self.dataset.source}: {rows}" + (f"; labels: {labels}" if labels else ""), *self.table.notes)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """What the numbers of a node stand for, where its data has names."""
        fields = {name: field_of(self.dataset.fields, self.names.get(name, name)) for name in self.table.columns}
        return {name: f.classes for name, f in fields.items() if f is not None and f.classes}

    def config(self) -> dict[str, Any]:
        """What config.json says about the rows."""
        return {
            "origin": self.origin,
            "source": self.dataset.source,
            "classes": self.classes,
            "scales": {name: column.scale for name, column in self.table.columns.items()},
            "rows": {
                "labelled": len(self.split.labelled),
                "unlabelled": len(self.split.unlabelled),
                "validation": len(self.split.validation),
                "held_out": len(self.dataset.test),
                "labels": {node: int(mask.sum()) for node, mask in self.split.granted.items()},
            },
            "step": asdict(self.composition),
        }


def build(text: str, name: str) -> Queries:
    """A fresh module of an emitted text, its weights from torch's global generator."""
    module = load(text, f"sgdsl_model_{name}_{zlib.crc32(text.encode()):08x}")
    model: Queries = module.Model()
    return model


def device_of(wanted: str) -> torch.device:
    """`auto`: a GPU where there is one. Raises RunError: E0667."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise run_error(
            "E0667", "`device = cuda`, but torch finds no GPU here", hint="device = auto takes what is there"
        )
    return torch.device("cuda", torch.cuda.current_device()) if there and wanted != "cpu" else torch.device("cpu")


def prepare(program: Program, model: Queries, settings: Settings, data: object, test: object) -> Prepared:
    """Opens the data, binds it to the nodes, grants labels. `model`: for its nodes. Raises DataError."""
    line = settings.data
    dataset, origin = open_data(data, test, line.name, line.options)
    optional = [n for n, info in model.NODES.items() if info.role == "supervised" and not settings.wants(n)]
    table = bind(dataset, model.NODES, Rules(line.names, line.binarise, None, optional, line.greys), model.RANGES)
    rows = split(table, model.NODES, dataset.train, settings.wish)
    made = compose(len(rows.labelled), len(rows.unlabelled), settings)
    device = device_of(settings.train.device)
    warnings = suspicious(Rows(dataset, table, model.NODES, rows, line.names, _told(program)))
    told = (*warnings, *missed(settings.train, device))
    return Prepared(dataset, origin, table.to(device), rows, made, told, line.names)


def _told(program: Program) -> bool:
    """Whether the file or the command line says how many labels are granted."""
    written = program.model.data.options if program.model.data else ()
    return any(setting.name in ("labels", "labels_per_class") for setting in written)
