"""House numbers as their authors publish them: MAT-files of version 5, with rows last and 10 for 0; other files are refused."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsl.train.errors import DataError
from sgdsl.train.formats.mat import read_mat
from sgdsl.train.formats.svhn import svhn
from tests.train.small import codes

# scipy.io.savemat(file, {"X": x, "y": y}, do_compression=True) of scipy 1.17.1: x[0, 1, 2] = [10, 20, 30], y = 1, 10, 9
OF_SCIPY = base64.b64decode(
    b"TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFR1ZSBOb3YgMjQgMTY6NTc6MzcgMjAyNgAAAAAAAAAA"
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAWQAAAHic7c4hDoRAEEXBBgIBBEGs3iA4xB5l738S"
    b"mjAODWOqJi9tRvwlIn57xJB3zKa49NmabaWu1OT7523PT3sAANzMtQcAAACv+dQeAAAAvOZbewDwmAMNHgGZDwAAACoAAAB4nONjYGAwAGI2"
    b"IOYAYk4GCGCF8pmBmBGMGRkqgTQTUISRi5MBABjsAPs="
)
TYPES = {"u1": (2, 9), "f8": (9, 6), "i4": (5, 12)}  # how numbers lie, and what they are


def element(kind: int, body: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def matrix(name: str, array: np.ndarray, order: str = "<") -> bytes:
    """One miMATRIX element, byte by byte as the MAT-file format says."""
    lie, are = TYPES[array.dtype.str[1:]]
    flags = element(6, struct.pack(f"{order}II", are, 0), order)
    dims = element(5, struct.pack(f"{order}{array.ndim}i", *array.shape), order)
    short = element(1, name.encode(), order)
    if len(name) <= 4:  # MATLAB writes short names inside their tag
        halves = (1, len(name)) if order == "<" else (len(name), 1)
        short = struct.pack(f"{order}HH", *halves) + name.encode().ljust(4, b"\0")
    return element(
        14,
        flags + dims + short + element(lie, array.astype(array.dtype.newbyteorder(order)).tobytes("F"), order),
        order,
    )


def mat(arrays: dict[str, np.ndarray], order: str = "<", zipped: bool = False) -> bytes:
    head = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + struct.pack(f"{order}H", 0x0100)
    head += b"IM" if order == "<" else b"MI"
    parts = [matrix(name, array, order) for name, array in arrays.items()]
    if zipped:
        parts = [struct.pack(f"{order}II", 15, len(z)) + z for z in map(zlib.compress, parts)]
    return head + b"".join(parts)


def digits(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [rows, 32, 32, 3] and digits; the files have them turned, with 10 for 0."""
    return np.random.default_rng(seed).integers(0, 256, (rows, 32, 32, 3), dtype=np.uint8), np.arange(rows) % 10


def published(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    x, y = digits(rows, seed)
    return {"X": x.transpose(1, 2, 3, 0), "y": np.where(y == 0, 10, y).astype(np.uint8)[:, None]}


def write(folder: Path, train: int = 30, test: int = 10) -> Path:
    for part, rows in (("train", train), ("test", test)):
        (folder / f"{part}_32x32.mat").write_bytes(mat(published(rows, seed=rows), zipped=part == "train"))
    return folder


def test_the_two_files_as_published(tmp_path: Path) -> None:
    """Rows come first, channels second, 10 is 0 (cast before the modulo: a byte would do, an int8 would not)."""
    data = svhn(str(write(tmp_path)))
    x, y = digits(30, 30)
    assert np.array_equal(data.fields["x"].values[:30], x.transpose(0, 3, 1, 2))
    assert data.fields["y"].values[:30].tolist() == y.tolist()
    assert data.test.tolist() == list(range(30, 40))
    assert data.fields["y"].place(31) == "test_32x32.mat: `y`, row 1"
    assert data.source.startswith("house numbers of ")  # never SVHN for what is not


def test_a_folder_that_says_what_made_it_is_called_so(tmp_path: Path) -> None:
    (write(tmp_path) / "SOURCE.txt").write_text("svhn-like, synthetic\nseed 0\n")
    assert svhn(str(tmp_path)).source == "svhn-like, synthetic"


def test_without_a_test_file_a_fifth_of_each_class_is_held_out(tmp_path: Path) -> None:
    (write(tmp_path, train=50) / "test_32x32.mat").unlink()
    data = svhn(str(tmp_path))
    assert np.bincount(data.fields["y"].values[data.test]).tolist() == [1] * 10


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_way_of_writing_is_read(tmp_path: Path, order: str, zipped: bool) -> None:
    """Both byte orders, compressed or not, names inside their tags or behind them."""
    arrays = {"X": published(3)["X"], "labels": np.array([[1.5, -2.0]]), "n": np.array([[7]], np.int32)}
    (tmp_path / "a.mat").write_bytes(mat(arrays, order, zipped))
    found = read_mat(tmp_path / "a.mat")
    assert list(found) == ["X", "labels", "n"]
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_a_file_of_scipy(tmp_path: Path) -> None:
    """Bytes that another program wrote."""
    (tmp_path / "train_32x32.mat").write_bytes(OF_SCIPY)
    data = svhn(str(tmp_path))
    assert data.fields["y"].values.tolist() == [1, 0, 9]
    assert data.fields["x"].values[:, 2, 0, 1].tolist() == [10, 20, 30]
    assert int(data.fields["x"].values.astype(int).sum()) == 60


@pytest.mark.parametrize("zipped", [False, True])
def test_scipy_and_this_reader_agree(tmp_path: Path, zipped: bool) -> None:
    """What scipy writes of each kind is read alike; text and complex numbers are left out, not misread."""
    scipy_io = pytest.importorskip("scipy.io")
    random = np.random.default_rng(0)
    arrays = {f"a{d}": (100 * random.normal(size=(3, 1, 4))).astype(d) for d in ("u1", "i2", "u4", "f4", "f8", "i8")}
    scipy_io.savemat(tmp_path / "a.mat", {**arrays, "t": "text", "c": np.array([1j])}, do_compression=zipped)
    found = read_mat(tmp_path / "a.mat")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def only(**arrays: Any) -> bytes:
    return mat({**published(4), **arrays})


WHOLE = mat(published(4), zipped=True)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no MAT-file of version 5: it starts with nothing"),
        (b"<!DOCTYPE html>".ljust(200), "starts with 3c 21 44 4f"),
        (b"\x89HDF\r\n\x1a\n".ljust(600), "version 7.3, which is HDF5"),
        (b"MATLAB 7.3 MAT-file".ljust(600), "version 7.3"),
        (WHOLE[:-9], "is damaged: an element of"),
        (WHOLE[:200] + bytes([WHOLE[200] ^ 255]) + WHOLE[201:], "is damaged"),
        (mat(published(4))[:-8], "is damaged: an element of"),
        (WHOLE[:128], "has no `X`; it holds no array of numbers"),
        (mat({"X": published(4)["X"]}), "has no `y`; it holds `X`"),
        (only(X=np.zeros((4, 32, 32, 3), np.uint8)), "`X` is uint8 [4, 32, 32, 3], not uint8 [32, 32, 3, rows]"),
        (only(X=np.zeros((32, 32, 3, 4))), "`X` is float64"),
        (only(y=np.array([[1], [10], [11], [12]], np.uint8)), "`y`, row 2: 11 is no digit"),
        (only(y=np.array([[1.5], [1], [1], [1]])), "`y`, row 0: 1.5 is no digit"),
    ],
)
def test_damaged_files_and_other_formats_are_named(tmp_path: Path, raw: bytes, says: str) -> None:
    """Truncated, corrupted, of another version or another data set: the file, the reason and a way out, no traceback."""
    (tmp_path / "train_32x32.mat").write_bytes(raw)
    with pytest.raises(DataError) as error:
        svhn(str(tmp_path))
    assert codes(error) == ["E0637"]
    assert says in str(error.value)
    assert "train_32x32.mat" in str(error.value)
    assert error.value.diagnostics[0].hint


def test_rows_that_do_not_match_are_named(tmp_path: Path) -> None:
    (tmp_path / "train_32x32.mat").write_bytes(only(y=np.ones((3, 1), np.uint8)))
    with pytest.raises(DataError, match="`y` has 3 rows") as error:
        svhn(str(tmp_path))
    assert codes(error) == ["E0623"]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("train/digitStruct.mat", "E0637", "format 1"),
        ("train.tar.gz", "E0637", "format 1"),
        ("test_32x32.mat", "E0622", "no `train_32x32.mat`"),
        ("", "E0622", "it holds nothing"),
    ],
)
def test_other_folders_are_refused_with_the_reason(tmp_path: Path, name: str, code: str, says: str) -> None:
    if name:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError) as error:
        svhn(str(tmp_path))
    assert codes(error) == [code]
    assert says in str(error.value) + "".join(error.value.diagnostics[0].notes)


def test_no_folder_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist") as error:
        svhn(str(tmp_path / "none"))
    assert "ufldl.stanford.edu" in error.value.diagnostics[0].hint
