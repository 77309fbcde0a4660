"""Made data: other programs and our readers read what is written, labels say what is shown, a seed gives the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from sgdsl.cli.data_make import KINDS
from sgdsl.train.dataset import Dataset
from sgdsl.train.errors import DataError
from sgdsl.train.formats.svhn import svhn
from sgdsl.train.formats.yaleb import yaleb
from sgdsl.train.makers.faces import LIGHTS, write_faces
from sgdsl.train.makers.glyphs import draw_glyphs
from sgdsl.train.makers.made import MAKERS
from sgdsl.train.multi_mnist import canvases, multi_mnist
from sgdsl.train.sources import look
from tests.train.small import codes

FEW = {"svhn-like": 60, "yale-like": 1, "multi-mnist": 30}
PEOPLE = 11  # the eleventh has damaged files


def files(folder: Path) -> dict[str, str]:
    """A hash of each file."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.blake2b(p.read_bytes()).hexdigest() for p in found}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_seed_gives_the_same_bytes_and_another_one_others(kind: str, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        MAKERS[kind].write(tmp_path / name, seed, FEW[kind])
    first, second, third = (files(tmp_path / name) for name in "abc")
    assert first == second
    assert first.keys() == third.keys()
    assert any(first[n] != third[n] for n in first if n.endswith((".mat", ".pgm", ".npz")))


def test_the_command_offers_what_can_be_made() -> None:
    assert list(KINDS) == list(MAKERS)


# --- house numbers --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("houses")
    MAKERS["svhn-like"].write(folder, 0, 1000)
    return folder


def test_scipy_and_our_reader_read_the_same_house_numbers(houses: Path) -> None:
    """Shapes, types and order as published; 10 stands for 0."""
    data = svhn(str(houses))
    assert data.source == "svhn-like, synthetic, seed 0"
    assert (len(data.train), len(data.test)) == (1000, 250)
    start = 0
    for part in ("train", "test"):
        other = loadmat(houses / f"{part}_32x32.mat")
        assert other["X"].shape[:3] == (32, 32, 3)
        assert other["X"].dtype == other["y"].dtype == np.uint8
        assert other["y"].shape == (other["X"].shape[3], 1)
        assert other["y"].min() == 1
        assert other["y"].max() == 10
        rows = slice(start, start + len(other["y"]))
        assert np.array_equal(data.fields["x"].values[rows], other["X"].transpose(3, 2, 0, 1))
        assert np.array_equal(data.fields["y"].values[rows], other["y"][:, 0] % 10)
        start += len(other["y"])


def test_the_digit_in_the_middle_is_the_label(houses: Path) -> None:
    """Told by correlation with the ten mean glyphs, of either sign. Labels that are shuffled would be told at the rate of
    the most frequent digit, under a fifth."""
    data = svhn(str(houses))
    x, y = data.fields["x"].values.mean(1), data.fields["y"].values
    glyphs = draw_glyphs(0).ink.mean(0)
    shown = np.array([np.asarray(Image.fromarray((255 * g).astype(np.uint8)).resize((36, 36))) for g in glyphs])
    shown = shown[:, 2:34, 2:34].reshape(10, -1).astype(np.float64)
    flat = x.reshape(len(x), -1)
    flat, shown = (a - a.mean(1, keepdims=True) for a in (flat, shown))
    shown /= np.linalg.norm(shown, axis=1, keepdims=True)
    told = np.abs(flat @ shown.T).argmax(1)
    assert (told == y).mean() > 0.4
    assert min((told[y == d] == d).mean() for d in range(10)) > 0.15


def test_training_and_held_out_house_numbers_differ(houses: Path) -> None:
    data = svhn(str(houses))
    rows = {r.tobytes() for r in data.fields["x"].values}
    assert len(rows) == data.rows


# --- faces ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    MAKERS["yale-like"].write(folder, 0, PEOPLE)
    return folder


@pytest.fixture(scope="module")
def faces(tree: Path) -> Dataset:
    return yaleb(str(tree), shrink=4)


def test_the_tree_of_faces_is_read(tree: Path, faces: Dataset) -> None:
    """64 pictures a person but for four damaged ones of person 11, which .info lists; no file counts as missing."""
    assert faces.source.startswith("yale-like, synthetic, seed 0")
    assert np.bincount(faces.fields["who"].values).tolist() == [64] * 10 + [60]
    assert faces.notes[0] == "4 files ending in .bad left out"
    assert faces.warnings == ()
    assert np.allclose(np.linalg.norm(faces.fields["light"].values, axis=1), 1)
    own = tree / "CroppedYale" / "yaleB01"
    assert Image.open(own / "yaleB01_P00_Ambient.pgm").size == (640, 480)
    one = Image.open(own / "yaleB01_P00A+035E+40.pgm")
    assert (one.format, one.mode, one.size) == ("PPM", "L", (168, 192))
    assert len((own / "yaleB01_P00.info").read_text().split()) == 65
    assert len(set(LIGHTS)) == 64


def test_lights_shade_a_surface(faces: Dataset) -> None:
    """Light from a side is on that side, light from above is above."""
    x = faces.fields["x"].values.astype(np.float64)
    light = faces.fields["light"].values
    half = x.shape[2] // 2
    right, left = x[:, :, half:].sum((1, 2)), x[:, :, :half].sum((1, 2))
    aside = np.abs(light[:, 0]) > 0.4
    assert (np.sign(right - left) == np.sign(light[:, 0]))[aside].all()
    upper, lower = x[:, :24].mean((1, 2)), x[:, 24:].mean((1, 2))
    above, below = light[:, 1] > 0.6, light[:, 1] < -0.3
    assert (upper / lower)[above].mean() > 1.5 * (upper / lower)[below].mean()


def test_who_it_is_and_where_the_light_stands_can_be_recovered(faces: Dataset) -> None:
    """Pictures of one face span about three dimensions, one for each of the light's (Belhumeur and Kriegman, 1998): a person is
    told by the nearest of the spans of nine, fitted to training pictures with a light in front; the light by least squares."""
    front = faces.fields["light"].values[:, 2] > 0.5
    x, who, light = (faces.fields[n].values for n in ("x", "who", "light"))
    flat = x.reshape(len(x), -1) / 255.0
    train, test = (np.intersect1d(part, np.flatnonzero(front)) for part in (faces.train, faces.test))
    left = []
    for person in range(PEOPLE):
        basis = np.linalg.svd(flat[train[who[train] == person]], full_matrices=False)[2][:9]
        left.append(np.linalg.norm(flat[test] - flat[test] @ basis.T @ basis, axis=1))
    assert (np.argmin(left, 0) == who[test]).mean() > 0.95
    small = np.c_[flat.reshape(len(x), 6, 8, 3, 14)[..., 0].mean((2,)).reshape(len(x), -1), np.ones(len(x))]
    weights = np.linalg.lstsq(small[train], light[train], rcond=None)[0]
    told = small[test] @ weights
    cosine = (told * light[test]).sum(1) / np.linalg.norm(told, axis=1)
    assert np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).mean() < 12


def test_a_person_is_the_same_however_many_are_made(tree: Path, tmp_path: Path) -> None:
    write_faces(tmp_path, 0, 2)
    assert files(tmp_path / "yaleB02") == files(tree / "CroppedYale" / "yaleB02")


# --- canvases -------------------------------------------------------------------------------------------------


def test_canvases_of_a_file_are_those_of_their_seed(tmp_path: Path) -> None:
    """By name with `root`, by folder and by file; labels of copies know what counts them."""
    MAKERS["multi-mnist"].write(tmp_path, 5, 40)
    train, test = canvases(40, 5)
    for data in (multi_mnist(str(tmp_path)), look(str(tmp_path), {}), look(str(tmp_path / "multi_mnist.npz"), {})):
        assert data.source == "multi-MNIST, synthetic, of MNIST, first 10,000; seed 5"
        assert dict(data.counted) == {"y": "k", "at": "k"}
        for name in ("x", "k", "y", "at"):
            both = np.concatenate([getattr(train, name), getattr(test, name)])
            assert np.array_equal(data.fields[name].values, both, equal_nan=name == "at")
        assert len(data.train) == 40
        assert len(data.test) == 8


@pytest.mark.parametrize(
    ("arrays", "says"), [({}, "data make multi-mnist"), ({"x_train": 2, "x_test": 1}, "no `k_train`")]
)
def test_files_without_canvases_are_refused(tmp_path: Path, arrays: dict[str, int], says: str) -> None:
    if arrays:
        np.savez(tmp_path / "multi_mnist.npz", **{n: np.zeros((rows, 3)) for n, rows in arrays.items()})
    with pytest.raises(DataError) as error:
        multi_mnist(str(tmp_path))
    assert codes(error) == ["E0622"]
    assert says in " ".join(d.message + d.hint for d in error.value.diagnostics)
