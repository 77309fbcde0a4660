"""W0645: real values far from where a model begins, in the units of the model, and no false alarms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sgdsl.train import fit
from sgdsl.train.diagnosis import Finding
from sgdsl.train.run import Run
from tests.train.small import Fit

TEXT = """model readings
observed   T : real[3]
supervised s : real
given      c : real
latent     z : real[2]
{let}p(s)        = {s}
p(z)        = Normal
p(T | s, z, c) = {T}
q(s | {t})    = Normal(mlp(8))
q(z | {t}, s, c) = Normal(mlp(8))
data npz(file = "none", labels = 30)
train {{ epochs = 1, batch = 16 }}
"""
PLAIN = {"let": "", "t": "T", "s": "Normal", "T": "Normal(loc = mlp(8), scale = learned(3))"}
SCALED = PLAIN | {
    "let": "let u = (T - 20) / 8\n",
    "t": "u",
    "T": "Normal(loc = 20 + 8 * (mlp(8) >> linear(3)), scale = learned(3))",
}


def rows(mean: float = 0.0, deviation: float = 1.0, cell: int | None = None, s: float = 0.0) -> dict[str, Any]:
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 3))
    where = slice(None) if cell is None else cell
    values[:, where] = mean + deviation * values[:, where]
    return {"T": values, "s": s + random.normal(size=60), "c": random.normal(size=60)}


def warnings(run: Run) -> Sequence[Finding]:
    assert run.prepared is not None
    return run.prepared.warnings


def told(fitted: Fit, data: dict[str, Any], form: dict[str, str]) -> dict[str, str]:
    run = fitted(data, text=TEXT.format(**form))
    assert run.prepared is not None
    return {w.node: w.message for w in run.prepared.warnings if w.code == "W0645"}


@pytest.mark.parametrize(
    ("data", "form", "nodes"),
    [
        (rows(), PLAIN, []),
        (rows(3, 4), PLAIN, []),
        (rows(20, 8), PLAIN, ["T"]),
        (rows(20, 8), SCALED, []),
        (rows(0, 300), PLAIN, ["T"]),
        (rows(0, 1e-3), PLAIN, ["T"]),
        (rows(1.0, 0.0), PLAIN, []),
        (rows(0, 1e-3, cell=0), PLAIN, []),
        (rows(), SCALED, ["T"]),
        (rows(s=170), PLAIN, ["s"]),
        (rows(s=170), PLAIN | {"s": "Normal(170, 1)"}, ["T"]),  # its network reads s as it is
    ],
    ids=["unit", "near", "far", "scaled", "wide", "narrow", "constant", "edge", "scaled for nothing", "label", "read"],
)
def test_the_units_of_the_model_are_compared_with_those_of_the_data(
    fitted: Fit, data: dict[str, Any], form: dict[str, str], nodes: list[str]
) -> None:
    assert list(told(fitted, data, form)) == nodes


def test_the_worst_cell_is_named_with_its_numbers(fitted: Fit) -> None:
    found = told(fitted, rows(1000, 50, cell=1), PLAIN)["T"]
    assert found.startswith("`T` is far from where the model begins: T[1] is 1003.79 ± 41")
    assert "more" not in found
    assert "and 2 more of its cells" in told(fitted, rows(1000, 50), PLAIN)["T"]


@pytest.mark.parametrize(("mean", "deviation"), [(101325, 20), (2018.5, 1.1), (-40, 6), (0.0025, 0.00066), (0.0, 590)])
@pytest.mark.parametrize("node", ["T", "s"])
def test_what_it_says_to_write_ends_it(fitted: Fit, node: str, mean: float, deviation: float) -> None:
    """The hint, pasted as it stands, of a vector and of a number: the mean to a tenth of the deviation, and no other minus."""
    data = rows()
    data[node] = mean + deviation * data[node]
    text = TEXT.format(**PLAIN).replace("p(s)        = Normal", "p(s | c)    = Normal(mlp(8))")
    (found,) = (w for w in warnings(fitted(data, text=text)) if w.code == "W0645" and w.node == node)
    let, factor = re.findall("`(.*?)`", found.hint)
    head = {"T": "p(T | s, z, c)", "s": "p(s | c)"}[node]
    cured = re.sub(f"({re.escape(head)} *= ).*", rf"\1Normal({factor})", text)
    cured = cured.replace("p(z)  ", f"{let}\np(z)  ", 1)
    assert [w for w in warnings(fitted(data, text=cured)) if w.code == "W0645" and w.node == node] == []


def test_one_learned_number_is_a_number_of_a_node_of_one_cell(fitted: Fit) -> None:
    """`learned(1)` of a scalar node is `learned`, as `linear(1)` behind `sum` is a number."""
    text = TEXT.format(**PLAIN).replace(
        "p(s)        = Normal", "p(s)        = Normal(loc = learned(1), scale = learned(1))"
    )
    assert "W0645" in [w.code for w in warnings(fitted(rows(s=170), text=text))]


def test_a_column_that_never_varies_is_divided_by_nothing(fitted: Fit) -> None:
    (found,) = (w for w in warnings(fitted(rows(50, 0.0, cell=1), text=TEXT.format(**PLAIN))) if w.code == "W0645")
    assert found.hint.startswith("it never varies: leave it out")
    assert "/ 0" not in found.hint


def test_missing_cells_and_unknown_labels_do_not_count(fitted: Fit) -> None:
    """What is not there must not make a value far."""
    data = rows()
    data["T"][::2, 0] = np.nan
    for first, labels in ((30, "30"), (0, "0.0")):
        data["s"][first:] = np.nan
        text = TEXT.format(**PLAIN).replace("real[3]", "real[3] partial").replace("= 30", f"= {labels}")
        run = fitted(data, text=text)
        assert run.prepared is not None
        assert "W0645" not in [w.code for w in run.prepared.warnings]


def test_looking_leaves_the_weights_and_draws_of_a_run_alone(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is the same to the bit with and without it, statistics of batch norm among it."""
    text = TEXT.format(**PLAIN).replace(
        "p(s)        = Normal", "p(s | c) = Normal(loc = mlp(8, norm = batch), scale = 1)"
    )
    with_it = fitted(rows(), text=text).module.state_dict()
    monkeypatch.setattr(fit, "unscaled", lambda *_: ())
    without = fitted(rows(), text=text).module.state_dict()
    assert all(bool((with_it[n] == v).all()) for n, v in without.items())
