"""Models with loops on data: what a field of copies may be, which labels are granted, and runs from start to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.runtime import ask
from sgdsl.runtime.draws import Draws
from sgdsl.train.bind import Rules, Table, bind
from sgdsl.train.data import arrays
from sgdsl.train.dry_run import dry_run
from sgdsl.train.errors import DataError
from sgdsl.train.fit import fit
from sgdsl.train.labels import Wish, split
from sgdsl.train.patterns import find_patterns, pattern_rows
from sgdsl.train.prepare import build
from tests.train.small import Fit, codes, program, records

PLATE = """model plate "A class in every copy, and a code of the row."
latent w : real[2]
p(w) = Normal
for i in 1..4 {
    observed   x[i] : real[6]
    supervised y[i] : class(3)
    p(y[i] | w) = Categorical(mlp(8))
    p(x[i] | y[i], w) = Normal(mlp(16))
    q(y[i] | x[i]) = Categorical(mlp(16))
}
q(w | x, y) = Normal(mlp(16))
train { epochs = 15, batch = 32, lr = 1e-2 }
"""

COUNTED = """model counted "As many codes as k says, seen through their sum."
observed   x : real[4]
supervised k : count(0, 3)
let h = mlp(8)(x)
let m[0] = zeros(8)
p(k) = Categorical
q(k | h) = Categorical(mlp(8))
for i in 1..k {
    supervised y[i] : class(5)
    latent     z[i] : real[2]
    p(y[i]) = Categorical
    p(z[i]) = Normal
    let shown[i] = mlp(8)(y[i], z[i])
    let m[i] = gru(8)(h, m[i - 1])
    q(y[i] | m[i]) = Categorical(mlp(8))
    q(z[i] | m[i], y[i]) = Normal(mlp(8))
}
p(x | k, y, z) = Normal(mlp(8)(sum(shown[*])))
objective { samples = 2 }
train { epochs = 2, batch = 16, lr = 1e-2 }
"""

RAGGED = """model ragged "Sequences of different lengths."
given n : count(1, 8)
for t in 1..n {
    observed x[t] : real[3]
    latent   z[t] : real[2]
    p(z[t] | n) = Normal(mlp(4))
    p(x[t] | z[t]) = Normal(mlp(8))
    q(z[t] | x[t], n) = Normal(mlp(8))
}
train { epochs = 1, batch = 16, lr = 1e-2 }
"""

SEQUENCE = """model sequence "A state that moves, its kind known at some steps."
for t in 1..5 {
    observed   x[t] : real[3]
    supervised s[t] : class(2)
    latent     z[t] : real[2]
    p(x[t] | z[t], s[t]) = Normal(mlp(8))
    q(s[t] | x[t]) = Categorical(mlp(8)) by score
}
p(s[1]) = Categorical
p(z[1]) = Normal
let h = gru(8)(stack(x[*]))
q(z[1] | h) = Normal(mlp(8))
for t in 2..5 {
    p(s[t] | s[t - 1]) = Categorical(table)
    p(z[t] | z[t - 1]) = Normal(mlp(8))
    q(z[t] | z[t - 1], h) = Normal(mlp(8))
}
objective { samples = 2 }
train { epochs = 2, batch = 16, lr = 1e-2 }
"""


def plate_rows(rows: int = 100) -> dict[str, Any]:
    """Clusters that are easy to tell apart; 60 of 100 copies have a label."""
    random = np.random.default_rng(0)
    means = random.standard_normal((3, 6)) * 3
    y = random.integers(0, 3, (rows, 4))
    x = means[y] + 0.5 * random.standard_normal((rows, 4, 6))
    return {"x": x, "y": np.where(random.random((rows, 4)) < 0.6, y, -1)}


def counted_rows(rows: int = 60) -> dict[str, Any]:
    random = np.random.default_rng(0)
    k = np.arange(rows) % 4
    y = np.where(np.arange(3) < k[:, None], random.integers(0, 5, (rows, 3)), -1)
    hidden = np.arange(rows) % 3 == 2
    k[hidden], y[hidden] = -1, -1
    return {"x": random.standard_normal((rows, 4)), "k": k, "y": y}


def ragged_rows(rows: int = 40) -> dict[str, Any]:
    random = np.random.default_rng(0)
    n = np.arange(rows) % 8 + 1
    x = random.standard_normal((rows, 8, 3))
    x[np.arange(8) >= n[:, None]] = np.nan
    return {"n": n, "x": x}


def bound(text: str, data: Any) -> Table:
    made = program(text)
    model = build(made.text, made.model.name)
    return bind(arrays(data), model.NODES, Rules({}), model.RANGES)


@pytest.mark.parametrize(
    ("text", "data", "code", "says"),
    [
        (PLATE, {"x": np.zeros((5, 3, 6)), "y": np.zeros((5, 4), int)}, "E0625", "[rows, 3, 6], `x` in `for i in 1..4` needs [rows, 4, 6]"),  # noqa: E501
        (PLATE, {"x": np.zeros((5, 4, 5)), "y": np.zeros((5, 4), int)}, "E0625", "[5]"),
        (PLATE, {"x": np.zeros((5, 4, 6)), "y": np.zeros(5, int)}, "E0625", "`y` in `for i in 1..4` needs [rows, 4]"),
        (PLATE, {"x": np.zeros((5, 4, 6)), "y": np.full((5, 4), 3)}, "E0626", "row 0, i = 1: 3 is outside of `y`"),
        (PLATE, {"x": np.where(np.arange(120).reshape(5, 4, 6) == 30, np.nan, 0), "y": np.zeros((5, 4), int)}, "E0627", "row 1, i = 2"),  # noqa: E501
        (PLATE, {"x": np.zeros((5, 4, 6)), "y": np.zeros((5, 4), int), "y_known": np.ones((5, 3))}, "E0628", "mask of `y`"),
        (COUNTED, {"x": np.zeros((2, 4)), "k": [1, 2], "y": [[0, -1, -1], [0, 1, 2]]}, "E0641", "row 1, i = 3: a label of `y`, but `k` is 2"),  # noqa: E501
        (COUNTED, {"x": np.zeros((2, 4)), "k": [1, -1], "y": [[0, -1, -1], [0, -1, -1]]}, "E0641", "row 1, i = 1: a label of `y`, but `k` is not known"),  # noqa: E501
        (RAGGED, {"n": [2], "x": np.full((1, 8, 3), np.nan)}, "E0627", "row 0, t = 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_row_and_copy(text: str, data: Any, code: str, says: str) -> None:
    """Protects users from guessing which of the copies a message is about."""
    with pytest.raises(DataError) as error:
        bound(text, data)
    assert codes(error) == [code]
    assert says in str(error.value)


def test_a_mask_may_be_one_of_rows_or_of_copies() -> None:
    data = {"x": np.zeros((2, 4, 6)), "y": np.zeros((2, 4), int)}
    rows = bound(PLATE, {**data, "y_known": [True, False]}).columns["y"].known
    copies = bound(PLATE, {**data, "y_known": np.eye(2, 4, dtype=bool)}).columns["y"].known
    assert rows.tolist() == [[True] * 4, [False] * 4]
    assert copies.tolist() == np.eye(2, 4, dtype=bool).tolist()


def test_what_stands_beyond_the_end_changes_nothing() -> None:
    """Protects ragged rows: the bound, and log p, are the same to the bit whatever fills the rows up."""
    data = ragged_rows()
    other = {**data, "x": np.where(np.isnan(data["x"]), 7.0, data["x"])}
    found = []
    for rows in (data, other):
        made = program(RAGGED)
        torch.manual_seed(0)
        model = build(made.text, made.model.name)
        table = bind(arrays(rows), model.NODES, Rules({}), model.RANGES)
        values = {n: c.values[None] for n, c in table.columns.items()}
        found.append(ask.log_prob(model, values, {}, Draws(torch.Generator().manual_seed(1)), 5))
    assert found[0].isfinite().all()
    assert torch.equal(*found)


def test_labels_of_copies_are_granted_with_their_k() -> None:
    """A label of a copy whose k is hidden cannot be used; a row that has no copies counts as labelled."""
    table = bound(COUNTED, counted_rows())
    nodes = build(program(COUNTED).text, "counted").NODES
    made = split(table, nodes, np.arange(60), Wish({"k": 12, "y": 1.0}))
    assert made.granted["k"].sum() == 12
    assert not made.granted["y"][~made.granted["k"]].any()
    granted = made.granted["k"]
    assert made.granted["y"][granted].sum() == table.columns["k"].values.numpy()[granted].sum()
    together = split(table, nodes, np.arange(60), Wish(8))
    assert together.granted["k"].sum() == 8
    assert 0 in table.columns["k"].values.numpy()[together.granted["k"]]


def test_a_pattern_says_how_many_copies_are_known() -> None:
    granted = {"y": np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 1]], bool), "k": np.array([1, 0, 1, 1], bool)}
    found = find_patterns(["k", "y"], granted, np.arange(4))
    assert dict(found.rows) == {"k, y (2 copies)": 2, "none": 1, "k, y (1 copy)": 1}
    assert pattern_rows(found, granted, "k, y (2 copies)", np.arange(4)).tolist() == [0, 3]
    known = {name: torch.from_numpy(mask).flatten() for name, mask in granted.items()}
    rows = dict(zip(found.names, found.indicator(known, torch.zeros(4)).tolist(), strict=True))
    assert rows["k, y (2 copies)"] == [1, 0, 0, 1]
    assert rows["none"] == [0, 1, 0, 0]


def test_labels_of_copies_teach(fitted: Fit) -> None:
    """A class in every copy is learned: at most 10 % of the copies wrong, of 67 % by chance; 20 rows of 4 copies, of which those
    with a label count."""
    run = fitted(plate_rows(), "objective.samples=2", text=PLATE, test=plate_rows(20))
    score = run.evaluate(10).scores["y"]
    assert score.rows == int((plate_rows(20)["y"] >= 0).sum())
    assert score.value < 0.1
    belief = run.posterior(plate_rows(6))["y"]
    label = plate_rows(6)["y"]
    assert belief.shape == (6, 4, 3)
    assert np.allclose(belief.max(-1)[label >= 0], 1)
    assert (belief.argmax(-1)[label >= 0] == label[label >= 0]).all()


@pytest.mark.parametrize(("text", "data"), [(COUNTED, counted_rows), (RAGGED, ragged_rows)])
def test_a_run_goes_from_start_to_end(fitted: Fit, text: str, data: Any) -> None:
    """Bounds, weights, answers and draws are finite, and have a copy for each place."""
    run = fitted(data(), text=text, test=data(20))
    assert all(np.isfinite(v) for r in records(run) for v in r["terms"].values())
    assert np.isfinite(run.evaluate(10).bound)  # type: ignore[arg-type]
    held = {"n": 3} if text is RAGGED else {"k": 2, "y": [1, 2, 0]}
    drawn = run.sample(3, held)
    assert drawn["z"].shape[:2] == (3, 8 if text is RAGGED else 3)
    assert all(np.isfinite(v).all() for v in drawn.values())


def test_a_sequence_with_labels_at_some_steps_resumes_to_the_bit(fitted: Fit) -> None:
    random = np.random.default_rng(0)
    s = random.integers(-1, 2, (40, 5))
    data = {"x": random.standard_normal((40, 5, 3)) + 2 * s[..., None], "s": s}
    whole = fitted(data, text=SEQUENCE)
    half = fitted(data, "train.epochs=1", text=SEQUENCE)
    again = fit(program(SEQUENCE, "train.epochs=2"), data, resume=half.folder, quiet=True)
    mine, other = whole.module.state_dict(), again.module.state_dict()
    assert all(torch.equal(mine[n], other[n]) for n in mine)
    belief = whole.posterior({"x": data["x"][:4], "s": data["s"][:4]})
    assert belief["s"].shape == (4, 5, 2)
    assert belief["z"][0].shape == (4, 5, 2)
    assert np.isfinite(belief["z"][0]).all()


def test_memory_is_predicted_with_weights_a_copy() -> None:
    """Protects `--dry-run` of weights a copy, in two loops and beside an enumerated node: no size in a step may depend on values
    that are only pretended."""
    text = PLATE.replace("p(x[i] | y[i], w) = Normal(mlp(16))", "p(x[i] | y[i], w) = Normal(mlp(16)[i])")
    nested = """    for j in 1..2 {
        observed v[i, j] : real
        p(v[i, j] | y[i], w) = Normal(mlp(4)[i, j])
    }
}
q(w"""
    text = text.replace("}\nq(w", nested)
    random = np.random.default_rng(0)
    data = {
        "x": random.normal(size=(40, 4, 6)),
        "v": random.normal(size=(40, 4, 2)),
        "y": random.integers(-1, 3, (40, 4)),
    }
    assert "[i, j])" in text
    found = dry_run(program(text), data, data)
    assert found.memory.activations > 0
    assert found.memory.evaluation > 0
