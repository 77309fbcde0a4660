"""The tables of settings: names, defaults and ranges of `objective { }`, `train { }` and the options of `data`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

Section = Literal["objective", "train", "data"]
Value = str | float | int | bool | tuple[tuple[str, float], ...]
Kind = Literal["word", "int", "float", "text", "path", "labels"]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """`words`: legal besides a number of the kind, or alone for the kind "word". low ≤ value ≤ high; `open_low`,
    `open_high`: the bound itself is not legal."""

    name: str
    kind: Kind
    default: Value
    help: str
    words: tuple[str, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the range."""
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    @property
    def range(self) -> str:
        """The legal values in words."""
        match self.kind:
            case "word":
                return _or(self.words)
            case "text" | "path":
                return 'a string, "…"'
            case "labels":
                return "a whole number of rows, a rate such as 0.1, or each(y = 100)"
            case "int" | "float":
                number = "a whole number" if self.kind == "int" else "a number"
                return _or((*self.words, number + self._bounds()))

    def _bounds(self) -> str:
        low = f" {'above' if self.open_low else 'from'} {self.low:,.12g}" if self.low != float("-inf") else ""
        high = f" {'below' if self.open_high else 'to'} {self.high:,.12g}" if self.high != float("inf") else ""
        return low + high


def _or(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


OBJECTIVE = (
    SettingRow("bound", "word", "snis", "the bound of a row", ("snis", "iw", "clamped")),
    SettingRow("marginal", "word", "lse", "how log q(labels | x) is estimated", ("lse", "jensen")),
    SettingRow("samples", "int", "auto", "draws S a row", ("auto",), low=1, high=10_000),
    SettingRow("alpha", "float", "auto", "extra weight α of log q(labels | x)", ("auto",), low=0),
    SettingRow("gamma", "float", 1.0, "weight γ of a labelled row", low=0, open_low=True),
    SettingRow("supervision_rate", "float", "auto", "share ρ of the labelled rows in the loss", (), 0, 1, True, True),
    SettingRow(
        "optimise",
        "int",
        1,
        "rewrites of the step: 0 none, 1 those that keep its numbers, 2 closed forms too",
        (),
        0,
        2,
    ),
    SettingRow("gradient", "word", "plain", "the gradient of q", ("plain", "dreg")),
)
TRAIN = (
    SettingRow("epochs", "int", 50, "passes over the training rows", low=1, high=1_000_000),
    SettingRow("batch", "int", 256, "rows of a step", low=1, high=10_000_000),
    SettingRow("labelled", "int", "auto", "labelled rows of a step", ("auto",), low=0, high=10_000_000),
    SettingRow("optimizer", "word", "adam", "the optimiser", ("adam", "adamw", "sgd")),
    SettingRow("lr", "float", 1e-3, "the learning rate", low=0, open_low=True),
    SettingRow("schedule", "word", "constant", "the learning rate over time", ("constant", "cosine", "linear")),
    SettingRow("warmup", "int", 0, "steps in which the learning rate rises from 0", low=0, high=10**9),
    SettingRow("decay", "float", 0.0, "share of the steps that fall to 1 % (schedule = linear)", low=0, high=1),
    SettingRow("weight_decay", "float", 0.0, "pull of the weights towards 0", low=0),
    SettingRow("precision", "word", "highest", "arithmetic of the networks", ("highest", "medium", "bf16")),
    SettingRow("clip", "float", "none", "largest norm of the gradient", ("none",), low=0, open_low=True),
    SettingRow("average", "float", 0.0, "decay of the averaged weights; 0: off", low=0, high=1, open_high=True),
    SettingRow("seed", "int", 0, "seed of weights, batches and draws", low=0, high=2**63 - 1),
    SettingRow("patience", "int", 0, "epochs without a better bound until the run stops; 0: off", low=0, high=10**6),
    SettingRow("validation", "float", 0.0, "share of the training rows held out, labels hidden", low=0, high=1, open_high=True),
    SettingRow("device", "word", "auto", "where to train", ("auto", "cpu", "cuda")),
)  # fmt: skip
DATA = (
    SettingRow("labels", "labels", 1.0, "known labels: rows, a rate, or each(y = 100)"),
    SettingRow("labels_per_class", "int", "auto", "known labels of each class", ("auto",), 1, 10**9),
    SettingRow("validation_labels", "int", 0, "labelled rows of the validation report", low=0, high=10**9),
    SettingRow("binarise", "word", "auto", "grey levels to 0 and 1", ("none", "threshold", "dynamic")),
    SettingRow("greys", "word", "auto", "what grey levels are: 0 to 1, or 0 to 255", ("unit", "bytes")),
    SettingRow("seed", "int", 0, "seed that chooses the labelled rows", low=0, high=2**63 - 1),
)
SECTIONS: dict[str, tuple[SettingRow, ...]] = {"objective": OBJECTIVE, "train": TRAIN, "data": DATA}
EXCLUSIVE: dict[str, tuple[tuple[str, str], ...]] = {
    "objective": (("gamma", "supervision_rate"),),
    "train": (),
    "data": (("labels", "labels_per_class"),),
}
HELD_OUT_WHEN_PATIENT = 0.1


class Written(Protocol):
    """A setting of a file: ir.Setting."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> Value: ...


def row_of(section: str, name: str) -> SettingRow | None:
    return next((r for r in SECTIONS[section] if r.name == name), None)


def resolve(written: Iterable[Written], section: Section) -> dict[str, Value]:
    """Every setting of a section: what is written, else its default (`validation` is 0.1 where patience is above 0)."""
    values = {row.name: row.default for row in SECTIONS[section]}
    values.update({s.name: s.value for s in written})
    if section == "train" and values["patience"] and not values["validation"]:
        values["validation"] = HELD_OUT_WHEN_PATIENT
    return values
