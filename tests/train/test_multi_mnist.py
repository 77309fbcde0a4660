"""Canvases of several digits: what is on them is what is said of them, and their labels are granted as they should be."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.bind import Column, Rules, Table, bind
from sgdsl.train.data import mnist
from sgdsl.train.dataset import Dataset, held_out_share, make_dataset
from sgdsl.train.errors import DataError
from sgdsl.train.labels import Amount, Wish, split
from sgdsl.train.makers.canvases import Canvases, compose
from sgdsl.train.multi_mnist import COUNTED, canvases, counts_by_ink, fields, multi_mnist
from tests.train.small import codes


@pytest.fixture(scope="module")
def made() -> tuple[Canvases, Canvases]:
    return canvases(3000, 1)


@pytest.fixture(scope="module")
def whole() -> Dataset:
    return multi_mnist()


def info(role: str, support: str, sizes: tuple[int, ...], event: tuple[int, ...]) -> NodeInfo:
    return NodeInfo(role, support, sizes, event, event, "categorical", "categorical", "", (), ())


def test_no_digit_is_in_training_and_held_out_canvases(made: tuple[Canvases, Canvases]) -> None:
    """Each part is composed of the rows that `data mnist` has in that part."""
    digits = mnist()
    for part, rows in zip(made, (digits.train, digits.test), strict=True):
        assert set(part.source[part.source >= 0]) <= set(rows)
    assert len(made[0].x) == 3000
    assert len(made[1].x) == 600


def test_counts_are_even_and_classes_nearly(made: tuple[Canvases, Canvases]) -> None:
    """6,000 digits, each class with probability a tenth but for canvases that were begun again: within five deviations."""
    train = made[0]
    assert np.bincount(train.k).tolist() == [0, 1000, 1000, 1000]
    classes = np.bincount(train.y[train.y >= 0], minlength=10)
    assert np.abs(classes - 600).max() < 5 * np.sqrt(600 * 0.9)


def test_labels_are_those_of_the_pasted_digits_and_padding_is_last(made: tuple[Canvases, Canvases]) -> None:
    labels = mnist().fields["y"].values
    for part in made:
        there = np.arange(3) < part.k[:, None]
        assert np.array_equal(part.y >= 0, there)
        assert np.array_equal(part.source >= 0, there)
        assert np.array_equal(np.isfinite(part.at), np.repeat(there[..., None], 3, axis=2))
        assert np.array_equal(part.y[there], labels[part.source[there]])


def test_digits_lie_where_it_is_said_and_cover_little(made: tuple[Canvases, Canvases]) -> None:
    """Each canvas put together again from `at` and the source digits, shrunk by Pillow: to within three grey levels a digit, from
    weights rounded to 1/256; from left to right; two digits share little more than a twentieth of the larger one's ink."""
    part = made[1]
    images = mnist().fields["x"].values
    sides = 28 * np.exp(part.at[..., 0] / 4)
    middle = (np.tanh(part.at[..., 1:] / 2) + 1) * 25
    assert np.array_equal(np.unique(sides[np.isfinite(sides)].round()), np.arange(17, 29))
    for row, k in enumerate(part.k):
        assert (np.diff(middle[row, :k, 0]) > -1e-4).all()
        put = np.zeros((k, 50, 50), np.int64)
        for i in range(k):
            left, top = (round(float(m - sides[row, i] / 2)) for m in middle[row, i])
            side = round(float(sides[row, i]))
            shrunk = Image.fromarray(images[part.source[row, i]]).resize((side, side), Image.Resampling.BILINEAR)
            put[i, top : top + side, left : left + side] = np.asarray(shrunk)
        assert np.abs(np.minimum(put.sum(0), 255) - part.x[row, 0]).max() <= 3 * k
        for first, second in combinations(put, 2):
            assert np.minimum(first, second).sum() <= 0.06 * max(first.sum(), second.sum())


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    """Known bytes: canvases are the same on every machine."""
    digits = mnist()
    x, y = (digits.fields[name].values for name in ("x", "y"))
    first, second, third = (compose(x, y, digits.train, 50, seed, 0).x for seed in (0, 0, 1))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != third.tobytes()
    assert int(first.astype(np.int64).sum()) == INK


INK = 1756080


def test_shrunk_digits_have_the_ink_of_their_area() -> None:
    """A white square stays white: interpolation weights sum to one exactly."""
    white = np.full((20, 28, 28), 255, np.uint8)
    part = compose(white, np.arange(20) % 10, np.arange(20), 30, 0, 0)
    one = part.k == 1
    sides = np.rint(28 * np.exp(part.at[one, 0, 0] / 4)).astype(np.int64)
    assert np.array_equal(part.x[one].sum((1, 2, 3), dtype=np.int64), 255 * sides**2)


def test_the_data_set_binds_to_a_counting_model(whole: Dataset) -> None:
    assert (len(whole.train), len(whole.test)) == (10_000, 2_000)
    assert "synthetic" in whole.source
    nodes = {"x": info("observed", "unit", (), (1, 50, 50)), "k": info("supervised", "range", (1, 3), ())}
    table = bind(whole, nodes, Rules({}))
    assert table.columns["x"].scale == 255
    rows = split(table, nodes, whole.train, Wish(0.1))
    assert int(rows.granted["k"].sum()) == 1000
    assert np.bincount(table.columns["k"].values[rows.granted["k"]]).tolist() == [0, 334, 333, 333]


def test_ink_alone_counts_seven_canvases_of_ten(whole: Dataset) -> None:
    """The baseline of a counting model: 1,000 labels, 2,000 held-out canvases; two deviations of the binomial are 2 %."""
    x, k = (whole.fields[name].values for name in ("x", "k"))
    rows = whole.train[:1000]
    found = counts_by_ink(x[rows], k[rows], x[whole.test])
    assert (found == k[whole.test]).mean() == pytest.approx(0.71, abs=0.02)


# --- labels a copy --------------------------------------------------------------------------------------------

NODES = {
    "k": info("supervised", "range", (1, 3), ()),
    "y": replace(info("supervised", "class", (10,), ()), loops=("i_1_k",)),
}


def copies(labels: Amount) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of 100 rows, and the granted labels of k [rows] and of y [rows, 3]."""
    k = np.arange(100) % 3 + 1
    there = np.arange(3) < k[:, None]
    columns = {
        "k": Column(torch.from_numpy(k), torch.ones(100, dtype=torch.bool), "plain"),
        "y": Column(torch.zeros(100, 3, dtype=torch.int64), torch.from_numpy(there), "plain"),
    }
    rows = split(Table(columns, 100, (), {"y": "k"}), NODES, np.arange(100), Wish(labels))
    return k, rows.granted["k"], rows.granted["y"]


def test_labels_of_copies_are_granted_only_when_asked_for_by_name() -> None:
    _, k, y = copies(0.3)
    assert k.sum() == 30
    assert y.shape == (100, 3)
    assert not y.any()


@pytest.mark.parametrize(("wish", "rows"), [(0.2, 20), (12, 12), (0.3, 30)])
def test_labels_of_copies_lie_in_rows_whose_count_is_known(wish: int | float, rows: int) -> None:
    """All copies that are there, and no other; a rate is one of all rows."""
    count, k, y = copies({"k": 0.3, "y": wish})
    assert k.sum() == 30
    assert y.any(1).sum() == rows
    assert k[y.any(1)].all()
    assert np.array_equal(y.sum(1)[y.any(1)], count[y.any(1)])


def test_more_labels_of_copies_than_of_their_count_are_refused() -> None:
    with pytest.raises(DataError) as error:
        copies({"k": 0.3, "y": 40})
    assert codes(error) == ["E0631"]
    assert "`k`, which counts them, has 30" in str(error.value)


def test_bound_labels_of_copies_know_their_count(made: tuple[Canvases, Canvases]) -> None:
    """Nodes of other names than their fields: `n` reads k, `c` reads y, here as a vector with all three digits there."""
    part = fields(made[1])
    full = np.flatnonzero(part["k"] == 3)
    data = make_dataset("some", [({name: a[full] for name, a in part.items()}, "{}")], counted=COUNTED)
    nodes = {"n": info("supervised", "range", (1, 3), ()), "c": info("supervised", "class", (10,), (3,))}
    assert dict(bind(data, nodes, Rules({"n": "k", "c": "y"})).counted) == {"c": "n"}


def test_held_out_digits_are_those_of_mnist() -> None:
    """The split that keeps digits apart is the one of `data mnist`."""
    labels = mnist().fields["y"].values
    assert np.array_equal(held_out_share(labels, len(labels), 0.2), mnist().test)
