"""Warnings before the first step: rows on both sides, a label inside an input, no or every label; and no false alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.train.bind import Rules, bind
from sgdsl.train.data import arrays, mnist
from sgdsl.train.diagnosis import Finding
from sgdsl.train.labels import Wish, split
from sgdsl.train.leaks import Rows, suspicious
from sgdsl.train.prepare import build
from tests.train.small import TINY, Fit, clusters, program

WIDE = """model wide
observed   x : real[5]
supervised y : class(3)
supervised s : real
latent     z : real[2]
p(y)           = Categorical
p(s)           = Normal
p(z)           = Normal
p(x | y, s, z) = Normal(mlp(8))
q(y | x)       = Categorical(mlp(8))
q(s | x)       = Normal(mlp(8))
q(z | x, y, s) = Normal(mlp(8))
"""


def found(data: Any, test: Any = None, text: str = WIDE, labels: float = 0.5, told: bool = False) -> list[Finding]:
    """The warnings about some arrays."""
    compiled = driver.compile_source(Source("wide.sgm", text))
    nodes = build(compiled.text, compiled.model.name).NODES
    dataset = arrays(data, test)
    table = bind(dataset, nodes, Rules({}))
    return list(suspicious(Rows(dataset, table, nodes, split(table, nodes, dataset.train, Wish(labels)), {}, told)))


def rows(count: int = 60, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {"x": random.normal(size=(count, 5)), "y": np.arange(count) % 3, "s": random.normal(size=count)}


def test_clean_rows_give_no_warning() -> None:
    assert found(rows(), rows(20, 1)) == []


def test_rows_on_both_sides_are_counted_and_one_is_named() -> None:
    data, test = rows(), rows(20, 1)
    test["x"][[4, 7]] = data["x"][[30, 31]]
    (warning,) = found(data, test)
    assert warning.code == "W0641"
    assert warning.message == "2 of 20 held-out rows are also among the training rows"
    assert warning.evidence == "your held-out `x`, row 4 is your `x`, row 30"


def test_few_bits_meet_by_chance() -> None:
    """Eight bits have 256 values: the same row on both sides says nothing."""
    data = clusters(90)
    assert not [w for w in found(data, data, TINY) if w.code == "W0641"]


@pytest.mark.parametrize(
    ("column", "label"),
    [
        (lambda d: d["y"], "y"),  # a copy
        (lambda d: 7.5 - 2 * np.array([1, 0, 2])[d["y"]], "y"),  # other numbers for the same classes
        (lambda d: (d["y"] == 1) * 2.0, "y"),  # a cell of one-hot
        (lambda d: -3 * d["s"] + 1, "s"),  # in other units
    ],
)
def test_a_label_inside_an_input_is_named_with_its_cell(column: Any, label: str) -> None:
    data = rows()
    data["x"][:, 3] = column(data)
    (warning,) = found(data)
    assert (warning.code, warning.node) == ("W0642", label)
    assert warning.message.startswith(f"`{label}` can be read off `x`: cell 3 tells it in all 60 rows")


@pytest.mark.parametrize(
    "column", [lambda d: d["y"] + 0.01 * d["s"], lambda d: d["y"] // 2 + d["x"][:, 0], lambda d: d["s"] ** 2]
)
def test_what_only_hints_at_a_label_is_no_leak(column: Any) -> None:
    """A model is for such inputs."""
    data = rows()
    data["x"][:, 3] = column(data)
    assert found(data) == []


def test_no_label_and_every_label_are_said_unless_they_were_asked_for() -> None:
    data = rows()
    data["s"][:] = np.nan
    messages = {w.node: w.message for w in found({**data, "y": data["y"]}, labels=1.0) if w.code == "W0643"}
    assert messages == {
        "y": "all 60 training rows have their label of `y`",
        "s": "none of 60 training rows has a label of `s`",
    }
    assert found(data, labels=1.0, told=True) == []


def test_the_digits_of_the_package_are_clean() -> None:
    """The quick start must not begin with a warning."""
    compiled = program(Path("models/digits.sgm").read_text() if Path("models/digits.sgm").exists() else TINY)
    nodes = build(compiled.text, compiled.model.name).NODES
    data = mnist()
    table = bind(data, nodes, Rules({}))
    assert suspicious(Rows(data, table, nodes, split(table, nodes, data.train, Wish(100)), {}, True)) == ()


def test_they_are_printed_first_kept_and_not_repeated(fitted: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first epoch on standard error; in the diagnosis, for programs."""
    data = clusters(90)
    run = fitted(data, quiet=False)
    said = capsys.readouterr().err
    assert said.index("W0643") < said.index("epoch 1/2")
    assert run.prepared is not None
    assert [w.code for w in run.prepared.warnings] == ["W0643"]
    assert run.diagnosis.warnings[0] == run.prepared.warnings[0]
