"""Named arrays as data: .npz files and what a caller gives from Python; what they are called and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.train.data import arrays, npz
from sgdsl.train.errors import DataError
from tests.train.small import codes


def save(path: Path, **named: Any) -> str:
    np.savez(path, **named)
    return str(path)


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("image", "label")])
def test_npz_without_a_test_part_holds_out_a_fifth_of_each_class(tmp_path: Path, names: tuple[str, str]) -> None:
    y = np.repeat([0, 1], [10, 30])
    data = npz(save(tmp_path / "a.npz", **{names[0]: np.arange(40.0), names[1]: y}))
    assert np.bincount(y[data.test]).tolist() == [2, 6]
    assert data.source == "a.npz, a fifth held out"
    assert set(data.fields) == {"x", "y"}


@pytest.mark.parametrize("style", ["{}_{}", "{1}_{0}"])
def test_npz_with_the_four_keys_of_keras_keeps_its_test_part(tmp_path: Path, style: str) -> None:
    parts = {style.format(n, p): np.full(r, v) for n, p, r, v in
             (("x", "train", 6, 0.0), ("y", "train", 6, 1), ("x", "test", 3, 2.0), ("y", "test", 3, 3))}  # fmt: skip
    data = npz(save(tmp_path / "a.npz", **parts, extra=np.zeros(2)))
    assert data.test.tolist() == [6, 7, 8]
    assert data.fields["y"].values.tolist() == [1] * 6 + [3] * 3
    assert data.fields["y"].place(7) == f"a.npz: `{style.format('y', 'test')}`, row 1"
    assert data.notes == ("a.npz: not used: extra",)


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda p: None, "E0620", "No such file"),
        (lambda p: p.write_bytes(b"PK\x03\x04junk"), "E0620", "cannot read"),
        (lambda p: p.write_text("hello"), "E0620", "pickled objects, or is no .npz file"),
        (lambda p: np.savez(p, x=np.array([{}], object)), "E0620", "pickled"),
        (lambda p: np.savez(p), "E0635", "no data"),
        (lambda p: np.savez(p, x=np.zeros(4), y=np.zeros(5)), "E0623", "`y` has 5 rows, a.npz: `x` has 4"),
        (lambda p: np.savez(p, x=np.zeros(4), y=np.zeros(())), "E0623", "a value for each row"),
        (lambda p: np.savez(p, x=np.array(["a", "b"])), "E0629", "text, not numbers"),
        (lambda p: np.savez(p, x_train=np.zeros(4), x_test=np.zeros(2), y_test=np.zeros(2)), "E0623", "is missing"),
        (lambda p: np.savez(p, x_train=np.zeros((4, 3)), x_test=np.zeros((2, 5))), "E0623", "of shape [5]"),
        (lambda p: np.savez(p, x=np.zeros(4), x_known=np.full(4, 7)), "E0628", "is the mask of `x`"),
        (lambda p: np.savez(p, x=np.zeros((0, 3))), "E0635", "no training rows"),
    ],
)
def test_wrong_npz_files_are_named(tmp_path: Path, make: Any, code: str, says: str) -> None:
    path = tmp_path / "a.npz"
    make(path)
    with pytest.raises(DataError) as error:
        npz(str(path))
    assert codes(error) == [code]
    assert says in str(error.value)
    assert "a.npz" in str(error.value)


@dataclass
class Rows:
    x: Any
    y: Any


def test_mappings_objects_tensors_and_lists_are_data() -> None:
    x, y = np.arange(6.0), [0, 1, -1, 0, 1, -1]
    for data in ({"x": x, "y": y}, Rows(torch.from_numpy(x), y), SimpleNamespace(x=list(x), y=np.array(y))):
        made = arrays(data)
        assert made.fields["x"].values.tolist() == x.tolist()
        assert made.fields["y"].values.tolist() == y
        assert not len(made.test)


def test_a_mask_may_come_in_three_ways() -> None:
    y, known = np.array([0, 1, 0]), np.array([True, False, True])
    ways = ({"y": y, "y_known": known}, {"y": (y, known)}, {"y": (torch.from_numpy(y), torch.from_numpy(known))},
            {"y": np.ma.masked_array(y, ~known)})  # fmt: skip
    for data in ways:
        found = arrays(data).fields
        assert list(found) == ["y"]
        mask = found["y"].known
        assert mask is not None
        assert mask.tolist() == known.tolist()


def test_held_out_arrays_stand_after_the_others() -> None:
    data = arrays({"x": np.zeros(4)}, {"x": np.ones(2)})
    assert data.test.tolist() == [4, 5]
    assert data.fields["x"].place(5) == "your held-out `x`, row 1"


@pytest.mark.parametrize("data", [3, "x", {"x": [[1], [1, 2]]}, {"x": ["a"]}, {"x": [None]}, {}, [1, 2], Rows])
def test_what_is_no_data_is_refused(data: object) -> None:
    with pytest.raises(DataError):
        arrays(data)


def test_the_fingerprint_sees_every_value_and_the_split() -> None:
    """Resuming on other rows must be noticed."""
    base = {"x": np.zeros((4, 2)), "y": np.zeros(4)}
    changed = {"x": np.eye(4, 2), "y": np.zeros(4)}
    prints = {arrays(base).fingerprint, arrays(changed).fingerprint, arrays(base, base).fingerprint}
    prints.add(arrays({**base, "y_known": np.array([1, 1, 1, 0])}).fingerprint)
    assert len(prints) == 4
    assert arrays(base).fingerprint == arrays({k: v.copy() for k, v in base.items()}).fingerprint
