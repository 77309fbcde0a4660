"""Fields meet nodes: what is accepted and how it is read, and one diagnostic for each thing that is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.bind import Rules, bind
from sgdsl.train.data import arrays
from sgdsl.train.errors import DataError
from sgdsl.train.feed import read
from tests.train.small import codes


def node(
    support: str, role: str = "observed", sizes: tuple[int, ...] = (), shape: tuple[int, ...] = (), p: str = ""
) -> NodeInfo:
    event = shape + (sizes if support in ("simplex", "direction") else ())
    return NodeInfo(role, support, sizes, shape, event, p, "", "", (), ())


X = node("unit", shape=(1, 4, 4), p="bernoulli")
Y = node("class", "supervised", (3,))


def column(info: NodeInfo, values: Any, **rules: Any) -> Any:
    return bind(arrays({"v": values}), {"v": info}, Rules({}, **rules)).columns["v"]


def values(info: NodeInfo, data: Any, **rules: Any) -> list[Any]:
    made = column(info, data, **rules)
    found: list[Any] = read(made, torch.arange(len(made.values)), None).tolist()
    return found


@pytest.mark.parametrize(
    ("data", "form", "scale"),
    [
        (np.array([[0, 51], [255, 102]], np.uint8), "bytes", 255),
        (np.array([[0, 51], [255, 102]], np.int64), "bytes", 255),
        (np.array([[0.0, 51.0], [255.0, 102.0]]), "bytes", 255),
        (np.array([[0.0, 0.2], [1.0, 0.4]], np.float32), "bytes", 1),
        (np.array([[0.0, 0.2], [1.0, 0.4]]), "bytes", 1),
        (np.array([[0.0, 0.2001], [1.0, 0.4]]), "plain", 1),
    ],
)
def test_grey_levels_are_read_the_same_however_they_are_kept(data: Any, form: str, scale: int) -> None:
    """uint8, 0 … 255 or 0 … 1: decided from the whole field, and kept as bytes where nothing is lost."""
    made = column(node("unit", shape=(2,)), data)
    assert (made.form, made.scale) == (form, scale)
    assert np.allclose(values(node("unit", shape=(2,)), data), [[0, 0.2], [1, 0.4]], atol=2e-4)


def test_zeros_and_ones_are_not_bytes() -> None:
    made = column(node("unit", shape=(2,)), np.array([[0, 1], [1, 0]], np.uint8))
    assert (made.form, made.scale) == ("bits", 1)
    assert values(node("binary", shape=(2,)), np.array([[0, 255], [255, 0]], np.uint8)) == [[0, 1], [1, 0]]
    assert values(node("binary", shape=(2,)), np.array([[True, False]])) == [[1, 0]]


@pytest.mark.parametrize("family", ["dirichlet", "mixture_dirichlet"])
def test_shares_that_sum_to_one_are_moved_off_the_edge(family: str) -> None:
    """A Dirichlet's density where a share is 0 is 0 or infinite: it becomes 1e-4, and the sum stays 1."""
    found = np.array(values(node("simplex", sizes=(3,), p=family), np.array([[0, 0, 1], [0.2, 0.3, 0.5]])))
    assert np.allclose(found, [[1e-4, 1e-4, 1 - 2e-4], [0.2, 0.3, 0.5]], rtol=0, atol=1e-6)


def test_grey_levels_of_a_mass_are_levels() -> None:
    """A DiscretizedLogistic scores j / 255: bytes, and floats that are levels but for rounding, are kept as their bytes."""
    level = node("unit", shape=(2,), p="discretized_logistic")
    for data in ([[0, 255], [51, 102]], np.float32([[0, 1], [0.2, 0.4]]), np.array([[0, 1], [0.2000001, 0.4]])):
        made = column(level, np.array(data))
        assert made.form == "bytes"
        assert made.values.tolist() == [[0, 255], [51, 102]]


@pytest.mark.parametrize("family", ["beta", "mixture_beta"])
def test_shares_under_a_beta_are_moved_off_the_ends(family: str) -> None:
    """A Beta's density at 0 and 1 is 0 or infinite: bytes, bits and numbers end 1e-4 inside; other cells keep their value."""
    share = node("unit", shape=(2,), p=family)
    for data in ([[0, 255], [51, 102]], [[0, 1], [0.2, 0.4]], [[0, 1], [1, 1]]):
        found = np.array(values(share, np.array(data)))
        assert np.allclose(found[0], [1e-4, 1 - 1e-4], rtol=0, atol=1e-7)
    assert np.allclose(values(share, np.array([[0.0, 1.0], [0.2, 0.4]]))[1], [0.2, 0.4])


def test_a_dark_image_is_read_as_the_training_data_was() -> None:
    """A question about an image whose bytes are all 0 and 1 must not take 1 for white."""
    dark = np.ones((1, 4, 4), np.uint8)
    assert values(X, dark, binarise="none", scales={"v": 255})[0][0][0][0] == pytest.approx(1 / 255)


@pytest.mark.parametrize("shape", [(5, 4, 4), (5, 1, 4, 4), (5, 16), (5, 4, 4, 1)])
def test_sides_of_one_and_flat_rows_fit(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(0).random(80)
    assert np.allclose(np.array(values(X, data.reshape(shape))).ravel(), data, atol=1e-6)


def test_channels_are_moved_in_front_and_that_is_said() -> None:
    data = np.random.default_rng(0).random((5, 4, 6, 3))
    table = bind(arrays({"v": data}), {"v": node("unit", shape=(3, 4, 6))}, Rules({}))
    assert np.allclose(table.columns["v"].values.numpy(), np.moveaxis(data, 3, 1))
    assert any("channels moved in front" in note for note in table.notes)


def test_fields_are_bound_by_name() -> None:
    dataset = arrays({"image": np.zeros((4, 4, 4)), "label": [0, 1, 2, 0]})
    table = bind(dataset, {"x": X, "y": Y}, Rules({"x": "image", "y": "label"}))
    assert table.columns["y"].values.tolist() == [0, 1, 2, 0]


def test_binarise_is_automatic_for_grey_bernoulli_images_alone() -> None:
    grey = np.random.default_rng(0).random((5, 4, 4))
    flat = node("unit", shape=(16,), p="bernoulli")
    assert column(X, grey).ink == "dynamic"
    assert column(flat, grey).ink == "dynamic"
    assert column(flat, grey.reshape(5, 16)).ink == "none"
    assert column(X, grey, binarise="none").ink == "none"
    assert column(X, grey.round()).ink == "none"
    assert column(node("unit", shape=(1, 4, 4), p="normal"), grey).ink == "none"
    assert column(flat, grey.reshape(5, 16), binarise="threshold").ink == "threshold"
    assert values(node("unit", shape=(2,), p="bernoulli"), [[0.4, 0.6]], binarise="threshold") == [[0, 1]]


@pytest.mark.parametrize(
    ("info", "data", "known"),
    [
        (Y, [0, -1, 2], [1, 0, 1]),
        (Y, [0.0, np.nan, 2.0], [1, 0, 1]),
        (node("real", "supervised"), [-1.0, np.nan, 2.0], [1, 0, 1]),
        (node("binary", "supervised", shape=(2,)), [[0, 1], [-1, -1], [1, 1]], [1, 0, 1]),
        (node("count", "supervised"), [0, 7, -1], [1, 1, 0]),
        (node("range", "supervised", (-2, 1)), [-1.0, np.nan, 1.0], [1, 0, 1]),
    ],
)
def test_unknown_labels_are_nan_or_minus_one_where_that_is_no_value(
    info: NodeInfo, data: Any, known: list[int]
) -> None:
    assert column(info, data).known.tolist() == [bool(k) for k in known]


def test_what_stands_under_a_mask_is_not_looked_at() -> None:
    made = column(Y, (np.array([0, 99, 2]), np.array([True, False, True])))
    assert made.known.tolist() == [True, False, True]
    assert made.values.tolist() == [0, 0, 2]


WRONG: list[tuple[NodeInfo, Any, str, str]] = [
    (Y, [0, 11, 2], "E0626", "row 1: 11 is outside of `v`, class(3): whole numbers 0 … 2"),
    (Y, [1, 2, 3], "E0626", "row 2: 3"),
    (Y, [0, 1.5, 2], "E0626", "row 1: 1.5"),
    (Y, [0, -2, 2], "E0626", "row 1: -2"),
    (node("class", sizes=(3,)), [0, -1, 2], "E0626", "row 1: -1"),
    (node("binary"), [0, 1, 0.5], "E0626", "row 2: 0.5 is outside of `v`, binary: 0 or 1"),
    (node("unit", shape=(2,)), [[0, 1.2]], "E0626", "row 0: 1.2"),
    (node("unit", shape=(2,)), [[0, 300]], "E0626", "row 0: 300"),
    (node("unit", shape=(2,)), [[0, -0.1]], "E0626", "row 0: -0.1"),
    (node("positive"), [1.0, 0.0], "E0626", "row 1: 0"),
    (node("real"), [1.0, np.inf], "E0626", "row 1: inf"),
    (node("real"), [1.0, 1e300], "E0626", "row 1: 1e+300"),
    (node("count"), [1, -1], "E0626", "row 1: -1"),
    (node("count"), [1, 2.5], "E0626", "row 1: 2.5"),
    (node("range", sizes=(1, 3)), [1, 4], "E0626", "count(1, 3): whole numbers 1 … 3"),
    (node("simplex", sizes=(2,)), [[0.5, 0.5], [0.5, 0.6]], "E0626", "row 1: its vector"),
    (node("angle"), [0, 3.5], "E0626", "row 1: 3.5"),
    (node("unit", p="discretized_logistic"), [0, 0.5], "E0626", "row 1: 0.5 is outside of `v`, unit: grey levels"),
    (node("direction", sizes=(2,)), [[1, 0], [1, 1]], "E0626", "row 1"),
    (node("real"), [1.0, np.nan], "E0627", "row 1: a value is missing, but `v` is observed"),
    (node("real", "given"), [np.nan, 1.0], "E0627", "row 0: a value is missing, but `v` is given"),
    (node("real"), (np.ones(2), np.array([True, False])), "E0627", "row 1"),
    (node("real", "supervised"), (np.array([1, np.nan]), np.array([True, True])), "E0628", "row 1"),
    (node("binary", "supervised", shape=(2,)), [[0, 1], [-1, 1]], "E0628", "row 1: `v` is known in some of its cells"),
    (X, np.zeros((3, 5, 5)), "E0625", "rows of shape [5, 5], `v` is unit[1, 4, 4]"),
    (Y, np.eye(3)[[0, 1]], "E0625", "rows of shape [3], `v` is class(3), of shape []"),
]


@pytest.mark.parametrize(("info", "data", "code", "says"), WRONG)
def test_what_is_wrong_is_named_by_field_and_row(info: NodeInfo, data: Any, code: str, says: str) -> None:
    with pytest.raises(DataError) as error:
        column(info, data)
    assert codes(error) == [code]
    assert says in str(error.value)
    assert "your `v`" in str(error.value)


def test_hints_say_what_to_do() -> None:
    def hint(info: NodeInfo, data: Any) -> str:
        with pytest.raises(DataError) as error:
            column(info, data)
        return error.value.diagnostics[0].hint

    assert "subtract 1" in hint(Y, [1, 2, 3])
    assert "binarise" in hint(node("binary"), [0, 0.5])
    assert "argmax" in hint(Y, np.eye(3))
    assert "to 300" in hint(node("unit"), [0, 300])


def test_missing_fields_are_named_all_at_once() -> None:
    """Two nodes without a field are two diagnostics of one error; the near name is offered."""
    with pytest.raises(DataError) as error:
        bind(arrays({"image": np.zeros((2, 4, 4)), "z": [1, 2]}), {"images": X, "y": Y}, Rules({}))
    assert codes(error) == ["E0624", "E0624"]
    first, second = error.value.diagnostics
    assert "no field `images` for the observed node `images`" in first.message
    assert "did you mean `image`?" in first.hint
    assert "fields: `image`, `z`" in second.message


def test_a_supervised_node_without_wanted_labels_needs_no_field() -> None:
    table = bind(arrays({"x": np.zeros((2, 4, 4))}), {"x": X, "y": Y}, Rules({}, optional=("y",)))
    assert list(table.columns) == ["x"]


def test_idle_fields_are_told() -> None:
    latent = node("real", "latent")
    table = bind(arrays({"v": np.zeros((2, 4, 4)), "z": [0, 0], "w": [0, 0]}), {"v": X, "z": latent}, Rules({}))
    assert "`z`, `w`: in the data, but no node reads them" in table.notes


def test_binarise_without_a_bernoulli_node_is_refused() -> None:
    with pytest.raises(DataError) as error:
        column(node("real"), [1.0], binarise="dynamic")
    assert codes(error) == ["E0630"]
