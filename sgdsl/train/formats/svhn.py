"""SVHN, cropped digits (Netzer et al., 2011, format 2): a folder of .mat files comes in, a Dataset goes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array, Dataset, held_out_share, make_dataset
from sgdsl.train.errors import DataError, data_error
from sgdsl.train.formats.mat import read_mat
from sgdsl.train.formats.origin import named_source

FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
REAL = (73_257, 26_032)  # rows of the two files
FULL_NUMBERS = ("digitStruct.mat", "train/digitStruct.mat", "test/digitStruct.mat", "train.tar.gz", "test.tar.gz")
SHARE = 0.2  # held out where there is no test file
WHERE = "train_32x32.mat and test_32x32.mat are at http://ufldl.stanford.edu/housenumbers/"


def svhn(root: str = "data/svhn") -> Dataset:
    """x [rows, 3, 32, 32] bytes, y the digit. Without a test file a fifth of each class is held out.
    Raises DataError: E0620, E0622, E0637."""
    folder = Path(root)
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise data_error(
            "E0620", f"`{folder}` {what}", hint=f"svhn reads {WHERE}; say where they are: root, or --data FOLDER"
        )
    if not (folder / FILES["train"]).exists():
        raise _without(folder)
    parts = [(_part(folder / name), f"{name}: `{{}}`") for name in FILES.values() if (folder / name).exists()]
    sizes = tuple(len(part["x"]) for part, _ in parts)
    test = held_out_share(parts[0][0]["y"], sizes[0], SHARE) if len(parts) == 1 else None
    source = named_source(folder, "SVHN, cropped digits" if sizes == REAL else f"house numbers of {folder}")
    return make_dataset(source + (", a fifth held out" if test is not None else ""), parts, test)


def _without(folder: Path) -> DataError:
    """No training file: the other format, or another folder."""
    other = next((name for name in FULL_NUMBERS if (folder / name).exists()), None)
    if other is not None:
        message = (
            f"`{folder / other}` is SVHN's format 1: whole numbers with boxes around digits, in pictures of any size"
        )
        return data_error("E0637", message, hint=f"format 2 has the digits cut out, 32 × 32: {WHERE}")
    seen = sorted(p.name for p in folder.iterdir())[:5]
    notes = [f"it holds {', '.join(seen) if seen else 'nothing'}"]
    return data_error("E0622", f"there is no `{FILES['train']}` in `{folder}`", hint=WHERE, notes=notes)


def _part(path: Path) -> dict[str, Array]:
    found = read_mat(path)
    for name in ("X", "y"):
        if name not in found:
            there = ", ".join(f"`{n}`" for n in found) or "no array of numbers"
            raise data_error(
                "E0637", f"`{path}` has no `{name}`; it holds {there}", hint=f"format 2 holds X and y: {WHERE}"
            )
    x, y = _images(found["X"], path), _digits(found["y"], path)
    if len(x) != len(y):
        raise data_error(
            "E0623", f"`{path}`: `y` has {len(y):,} rows, `X` has {len(x):,}", hint="the files are damaged or mixed"
        )
    return {"x": x, "y": y}


def _images(images: Array, path: Path) -> Array:
    """[32, 32, 3, rows] as [rows, 3, 32, 32]; MATLAB leaves a last side of 1 out."""
    whole = images[..., None] if images.ndim == 3 else images
    if whole.shape[:3] != (32, 32, 3) or whole.ndim != 4 or whole.dtype != np.uint8:
        message = f"`{path}`: `X` is {images.dtype} {list(images.shape)}, not uint8 [32, 32, 3, rows]"
        raise data_error("E0637", message, hint="rows come last: X.transpose(1, 2, 3, 0) of pictures [rows, 32, 32, 3]")
    return np.ascontiguousarray(np.transpose(whole, (3, 2, 0, 1)))


def _digits(labels: Array, path: Path) -> Array:
    """0 … 9; 10 means 0."""
    flat = labels.reshape(-1).astype(np.float64)
    wrong = np.flatnonzero((flat < 0) | (flat > 10) | (flat != np.rint(flat)))
    if len(wrong):
        message = f"`{path}`: `y`, row {wrong[0]}: {flat[wrong[0]]:g} is no digit: they go from 1 to 10, and 10 means 0"
        raise data_error("E0637", message, hint="labels of another data set, or a damaged file",
                         notes=[f"{len(wrong):,} rows hold such labels"])  # fmt: skip
    return flat.astype(np.int64) % 10
