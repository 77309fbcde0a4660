"""Readers of files and arrays: what they accept, what they call it, and what they refuse."""

from __future__ import annotations

import gzip
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.train.data import arrays, idx, mnist, npz
from sgdsl.train.dataset import held_out_share, shuffled
from sgdsl.train.errors import DataError
from tests.train.small import codes


def idx_bytes(array: np.ndarray, kind: int = 0x08) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, ending: str = "", rows: int = 12, test: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """The four files of a small MNIST; returns all images and labels in order."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (rows + test, 5, 5), dtype=np.uint8)
    y = (np.arange(rows + test) % 10).astype(np.uint8)
    for part, piece in (("train", slice(0, rows)), ("t10k", slice(rows, None))):
        for what, array, dims in (("images", x, 3), ("labels", y, 1)):
            raw = idx_bytes(array[piece])
            raw = gzip.compress(raw, mtime=0) if ending else raw
            (folder / f"{part}-{what}-idx{dims}-ubyte{ending}").write_bytes(raw)
    return x, y


def test_the_embedded_digits_are_ten_thousand_in_a_fixed_split() -> None:
    """The quick start's data: its size, its classes, and the very rows that are held out, on every machine."""
    data = mnist()
    y = data.fields["y"].values
    assert data.source == "MNIST, first 10,000"
    assert data.fields["x"].values.shape == (10_000, 28, 28)
    assert data.fields["x"].values.dtype == np.uint8
    assert np.bincount(y).tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert (len(data.train), len(data.test)) == (8000, 2000)
    assert not set(data.train) & set(data.test)
    assert np.bincount(y[data.test]).tolist() == [200, 225, 198, 206, 196, 173, 203, 214, 189, 196]
    assert hashlib.sha256(data.test.astype("<i8").tobytes()).hexdigest()[:16] == DIGITS_SPLIT


DIGITS_SPLIT = "8fc61af3d43ab9a3"


def test_shuffled_is_the_same_on_every_machine() -> None:
    """Splits, labels and batches all come from this order; numpy promises the raw stream of PCG64, not `permutation`."""
    assert shuffled(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert sorted(shuffled(100, 3, 4).tolist()) == list(range(100))
    assert shuffled(100, 3, 4).tolist() != shuffled(100, 4, 3).tolist()


def test_a_share_takes_the_same_part_of_each_class() -> None:
    classes = np.repeat([0, 1, 2], [10, 25, 65])
    held = held_out_share(classes, 100, 0.2)
    assert np.bincount(classes[held]).tolist() == [2, 5, 13]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("place", [".", "MNIST/raw"])
def test_idx_folders_of_torchvision_work_as_they_are(tmp_path: Path, ending: str, place: str) -> None:
    x, y = write_mnist(tmp_path / place, ending)
    data = idx(str(tmp_path))
    assert np.array_equal(data.fields["x"].values, x)
    assert np.array_equal(data.fields["y"].values, y)
    assert data.train.tolist() == list(range(12))
    assert data.test.tolist() == [12, 13, 14, 15]
    assert data.fields["y"].place(13) == "t10k: `y`, row 1"


def test_gzip_is_told_by_content_and_the_unzipped_twin_wins(tmp_path: Path) -> None:
    """torchvision leaves both; a .gz name on a plain file, or the reverse, is read all the same."""
    x, _ = write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"junk")
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    assert np.array_equal(idx(str(tmp_path)).fields["x"].values, x)


def test_without_test_files_the_last_sixth_is_held_out(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    for path in tmp_path.glob("t10k*"):
        path.unlink()
    data = idx(str(tmp_path))
    assert data.test.tolist() == [10, 11]
    assert "last 2 of the training file held out" in data.source


def test_every_idx_type_is_read_in_the_order_of_the_machine(tmp_path: Path) -> None:
    for kind, name in ((0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")):
        array = np.array([[1, -2], [3, 4]]).astype(name)
        (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(array, kind))
        found = idx(str(tmp_path)).fields["x"].values
        assert found.dtype.isnative
        assert np.array_equal(found, array)


def test_emnist_is_turned_and_its_letters_count_from_zero(tmp_path: Path) -> None:
    x, y = write_mnist(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(f"emnist-letters-{path.name}".replace("t10k", "test")))
    data = idx(str(tmp_path))
    assert np.array_equal(data.fields["x"].values, x.swapaxes(1, 2))
    assert np.array_equal(data.fields["y"].values, y.astype(int) - 1)


GOOD = idx_bytes(np.zeros((3, 2, 2), np.uint8))


@pytest.mark.parametrize(
    ("raw", "code", "says"),
    [
        (b"", "E0621", "starts with nothing"),
        (b"\x89PNG\r\n", "E0621", "89 50 4e 47"),
        (b"\0\0\x07\x01" + GOOD[4:], "E0621", "no idx file"),
        (GOOD[:10], "E0621", "ends inside its header"),
        (GOOD[:-1], "E0621", "12 bytes, but holds 11 bytes"),
        (GOOD + b"\0", "E0621", "but holds more"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "E0621", "holds 0 bytes"),
        (gzip.compress(GOOD, mtime=0)[:-9], "E0620", "cannot read"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, raw: bytes, code: str, says: str) -> None:
    """Magic and exact length: a file cut short, or one that claims 10^38 bytes, is told before anything is allocated."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(raw)
    with pytest.raises(DataError) as error:
        idx(str(tmp_path))
    assert codes(error) == [code]
    assert says in str(error.value)
    assert "train-images-idx3-ubyte" in str(error.value)


def test_folders_without_files_or_with_two_sets_are_named(tmp_path: Path) -> None:
    for root, code in ((tmp_path / "none", "E0620"), (tmp_path, "E0622")):
        with pytest.raises(DataError) as error:
            idx(str(root))
        assert codes(error) == [code]
    for name in ("a-train-images-idx3-ubyte", "b-train-images-idx3-ubyte"):
        (tmp_path / name).write_bytes(GOOD)
    with pytest.raises(DataError, match="several data sets"):
        idx(str(tmp_path))


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
