"""The embedded digits, idx folders, and the orders that all splits come from; what is damaged is named."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from sgdsl.train.data import idx, mnist
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
