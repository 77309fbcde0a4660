"""Settings as the trainer reads them: the rows of a checked model come in, typed values with every default filled in go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, cast

from sgdsl.catalog.datasets import DATASETS
from sgdsl.catalog.settings import Value, resolve
from sgdsl.driver import Program
from sgdsl.train.labels import Amount, Wish

TEXTS = {o.name for row in DATASETS.values() for o in row.options if o.kind in ("text", "path")}
Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "cosine", "linear"]
Precision = Literal["highest", "medium", "bf16"]


@dataclass(frozen=True, slots=True)
class Objective:
    """`alpha`, `supervision_rate` None: made from the numbers of rows (objective.md, section 1)."""

    bound: str
    marginal: str
    alpha: float | None
    gamma: float
    supervision_rate: float | None


@dataclass(frozen=True, slots=True)
class Train:
    """The section `train`; `labelled`, `clip` None: auto, off."""

    epochs: int
    batch: int
    labelled: int | None
    optimizer: Optimizer
    lr: float
    schedule: Schedule
    warmup: int
    decay: float
    weight_decay: float
    precision: Precision
    clip: float | None
    average: float
    seed: int
    patience: int
    validation: float
    device: str


@dataclass(frozen=True, slots=True)
class Data:
    """The line `data`: `name` "" where there is none; `options` are the data set's own; `names` binds nodes to fields."""

    name: str
    options: Mapping[str, Value]
    names: Mapping[str, str]
    labels: Amount
    labels_per_class: int | None
    validation_labels: int
    binarise: str
    greys: str
    seed: int


@dataclass(frozen=True, slots=True)
class Settings:
    objective: Objective
    train: Train
    data: Data

    @property
    def wish(self) -> Wish:
        """Which labels are granted, and which rows held out."""
        data = self.data
        return Wish(data.labels, data.labels_per_class, data.seed, self.train.validation, data.validation_labels)

    def wants(self, node: str) -> bool:
        """Whether labels of a supervised node are wanted at all."""
        labels = self.data.labels
        amount = labels.get(node, 1.0) if isinstance(labels, Mapping) else labels
        return bool(self.data.labels_per_class or amount)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def settings_of(program: Program, seed: int | None = None) -> Settings:
    """The settings of a file, with those of the command line already in it. `seed` replaces train.seed."""
    model = program.model
    objective = resolve(model.objective, "objective")
    train: dict[str, Value | None] = dict(resolve(model.train, "train"))
    written = model.data.options if model.data else ()
    data = resolve(written, "data")
    train |= {name: _none(train[name]) for name in ("labelled", "clip")}
    read = Train(**train)  # type: ignore[arg-type]
    labels = data["labels"]
    dataset = DATASETS.get(model.data.name) if model.data else None
    own = {s.name: s.value for s in written if dataset and s.name in (row.name for row in dataset.options)}
    return Settings(
        Objective(
            str(objective["bound"]),
            str(objective["marginal"]),
            _number(objective["alpha"]),
            float(cast(float, objective["gamma"])),
            _number(objective["supervision_rate"]),
        ),
        read if seed is None else replace(read, seed=seed),
        Data(
            model.data.name if model.data else "",
            own,
            dict(model.data.bind) if model.data else {},
            dict(labels) if isinstance(labels, tuple) else cast(Amount, labels),
            cast("int | None", _none(data["labels_per_class"])),
            cast(int, data["validation_labels"]),
            str(data["binarise"]),
            str(data["greys"]),
            cast(int, data["seed"]),
        ),
    )


def _none(value: Value | None) -> Value | None:
    return None if value in ("auto", "none") else value


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def overrides_of(program: Program, seed: int | None = None) -> tuple[str, ...]:
    """The settings that came from the command line, as it takes them: what the text of the file does not say."""
    model = program.model
    sections = {"objective": model.objective, "train": model.train, "data": model.data.options if model.data else ()}
    found = [
        f"{section}.{s.name}={_written(s.value, s.name)}"
        for section, settings in sections.items()
        for s in settings
        if s.span.start == s.span.end
    ]
    found += [f'data.{node}="{field}"' for node, field in (model.data.bind if model.data else ())]
    return tuple(found if seed is None else [*found, f"train.seed={seed}"])


def _written(value: Value, name: str) -> str:
    if isinstance(value, tuple):
        return f"each({', '.join(f'{node} = {_written(amount, node)}' for node, amount in value)})"
    return f'"{value}"' if isinstance(value, str) and name in TEXTS else str(value)
