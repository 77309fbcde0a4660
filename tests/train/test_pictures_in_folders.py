"""Folders of pictures, a subfolder a class, and .npy files: what is read, in which order, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgdsl.train.data import npy
from sgdsl.train.errors import DataError
from sgdsl.train.formats.folder import images
from sgdsl.train.sources import look, open_data
from tests.train.small import codes


def draw(path: Path, level: int = 0, mode: str = "L", size: tuple[int, int] = (6, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode in ("L", "1", "P", "I;16") else (level,) * len(mode)).save(path)


def test_classes_are_folders_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Pictures of `unlabelled` have no class; hidden files are none; an empty class keeps its number."""
    for i, name in enumerate(["cat/1.png", "cat/2.PNG", "dog/a.bmp", "unlabelled/u.png", "cat/.3.png"]):
        draw(tmp_path / name, i, "L") if name.split("/")[1][0] != "." else (tmp_path / name).write_bytes(b"junk")
    (tmp_path / "bird").mkdir()
    (tmp_path / "read.me").write_text("x")
    data = images(str(tmp_path))
    assert data.fields["x"].values.shape == (4, 5, 6)
    assert data.fields["x"].where == ("cat/1.png", "cat/2.PNG", "dog/a.bmp", "unlabelled/u.png")
    assert data.fields["y"].classes == ("bird", "cat", "dog")
    assert data.fields["y"].values.tolist() == [1, 1, 2, -1]
    known = data.fields["y"].known
    assert known is not None
    assert known.tolist() == [True, True, True, False]
    assert data.notes == (f"{tmp_path.name}: 1 other files were not read, such as read.me",)


def test_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "0"):
        draw(tmp_path / name / "a.png")
    assert images(str(tmp_path)).fields["y"].classes == ("0", "9", "10")


@pytest.mark.parametrize("unlabelled", ["unlabelled", "train/unlabeled"])
def test_train_and_test_are_parts(tmp_path: Path, unlabelled: str) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/b/2.png", f"{unlabelled}/3.png"):
        draw(tmp_path / name, mode="RGB")
    data = look(str(tmp_path), {})
    assert data.fields["x"].values.shape == (4, 3, 5, 6)
    assert [data.fields["x"].where[row] for row in data.test] == ["test/b/2.png"]
    assert sorted(data.fields["y"].values.tolist()) == [-1, 0, 1, 1]


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_modes_of_eight_bits_are_read(tmp_path: Path, mode: str) -> None:
    for i in range(2):
        draw(tmp_path / "a" / f"{i}.png", 1, mode)
    found = images(str(tmp_path)).fields["x"].values
    assert found.dtype == np.uint8
    assert found.shape == ((2, 3, 5, 6) if mode in ("RGB", "P") else (2, 5, 6))
    assert mode != "1" or found.max() == 255


Make = Callable[[Path], None]
WRONG: list[tuple[Make, str, str]] = [
    (
        lambda top: draw(top / "a" / "2.png", size=(7, 5)),
        "a/2.png: 7 × 5, grey; the first one is 6 × 5, grey",
        "mogrify",
    ),
    (
        lambda top: draw(top / "a" / "2.png", mode="RGB"),
        "a/2.png: 6 × 5, colours; the first one is 6 × 5, grey",
        "mogrify",
    ),
    (lambda top: draw(top / "a" / "2.png", mode="RGBA"), "holds colours with transparency", "-alpha off"),
    (lambda top: draw(top / "a" / "2.png", mode="I;16"), "holds 16-bit grey", "-depth 8"),
    (lambda top: draw(top / "2.png"), "2.png` lies beside the folders of the classes", "unlabelled"),
    (
        lambda top: (top / "a" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0"),
        "2.png` is no whole picture",
        "get the file again",
    ),
    (lambda top: (top / "a" / "2.jpg").write_bytes(b""), "2.jpg` is no whole picture", "get the file again"),
]


@pytest.mark.parametrize(("make", "says", "hint"), WRONG)
def test_mixed_or_damaged_pictures_are_named(tmp_path: Path, make: Make, says: str, hint: str) -> None:
    draw(tmp_path / "a" / "1.png")
    make(tmp_path)
    with pytest.raises(DataError) as error:
        images(str(tmp_path))
    assert codes(error) == ["E0640"]
    assert says in str(error.value)
    assert hint in error.value.diagnostics[0].hint


def test_a_class_of_held_out_pictures_alone_is_refused(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "test/c/2.png"):
        draw(tmp_path / name)
    with pytest.raises(DataError, match="no class `c` among the training pictures"):
        images(str(tmp_path))


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    for root, code in ((tmp_path, "E0622"), (tmp_path / "none", "E0620")):
        with pytest.raises(DataError) as error:
            images(str(root))
        assert codes(error) == [code]


def test_npy_files_are_fields(tmp_path: Path) -> None:
    """One a field, by the names of npz; parts by their names; a single file is one field."""
    np.save(tmp_path / "images.npy", np.zeros((10, 4, 4)))
    np.save(tmp_path / "labels.npy", np.arange(10) % 2)
    data, origin = open_data(str(tmp_path), None, "", {})
    assert set(data.fields) == {"x", "y"}
    assert (len(data.train), len(data.test)) == (8, 2)
    assert origin["kind"] == "path"
    assert set(npy(str(tmp_path / "images.npy")).fields) == {"x"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: np.save(p, np.array([{}], object), allow_pickle=True), "pickle"),
        (lambda p: p.write_bytes(b"\x93NUMPY\x01\x00"), "cannot read"),
        (lambda p: (np.save(p, np.zeros(9)), p.write_bytes(p.read_bytes()[:-8])), "cannot read"),
    ],
)
def test_damaged_npy_files_are_named(tmp_path: Path, make: Make, says: str) -> None:
    make(tmp_path / "x.npy")
    with pytest.raises(DataError) as error:
        npy(str(tmp_path))
    assert codes(error) == ["E0620"]
    assert says in str(error.value) + error.value.diagnostics[0].hint
    assert "x.npy" in str(error.value)
