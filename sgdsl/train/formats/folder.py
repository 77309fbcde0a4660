"""A folder of pictures with a subfolder for each class: the folder comes in, a Dataset goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Dataset, Field, held_out_share
from sgdsl.train.errors import data_error
from sgdsl.train.formats.origin import SOURCE, named_source
from sgdsl.train.formats.picture import ENDINGS, class_names, read_pictures

UNLABELLED = ("unlabelled", "unlabeled")
TRAIN, TEST = "train", "test"
SHARE = 0.2  # of each class, where there is no folder `test`


@dataclass(frozen=True, slots=True)
class Picture:
    """`label` "": of no class."""

    path: Path
    label: str


def images(root: str) -> Dataset:
    """x, bytes [rows, height, width] or [rows, 3, height, width]; y, classes in the order of their names, unknown for what
    lies in `unlabelled`. Folders `train` and `test` are parts; without them a fifth of each class is held out.
    Raises DataError: E0620, E0622, E0640."""
    top = Path(root)
    if not top.is_dir():
        what = "is no folder" if top.exists() else "does not exist"
        raise data_error("E0620", f"`{top}` {what}", hint="pictures lie in FOLDER/CLASS/*.png")
    parted = (top / TRAIN).is_dir()
    train = _pictures(top / TRAIN if parted else top)
    train += [p for name in UNLABELLED for p in _files(top / name, "")] if parted else []
    test = _pictures(top / TEST) if parted and (top / TEST).is_dir() else []
    if not train:
        raise data_error("E0622", f"there is no picture in `{top / TRAIN if parted else top}`",
                         hint=f"pictures lie in FOLDER/CLASS/ or FOLDER/train/CLASS/: {', '.join(ENDINGS)}")  # fmt: skip
    pictures = [*train, *test]
    where = tuple(str(p.path.relative_to(top)) for p in pictures)
    names = class_names(f.name for f in _classes(top / TRAIN if parted else top))
    fields = {
        "x": Field(
            read_pictures([p.path for p in pictures], where.__getitem__), None, ((0, f"{top.name}: `x`"),), where
        )
    }
    labels = _labels(pictures, names)
    if names:
        known = labels >= 0
        fields["y"] = Field(labels, None if known.all() else known, ((0, f"{top.name}: `y`"),), where, (), names)
    held_out = np.arange(len(train), len(pictures)) if test else held_out_share(labels, len(labels), SHARE)
    rows = np.setdiff1d(np.arange(len(pictures), dtype=np.int64), held_out)
    source = named_source(top, f"pictures of {top}") + ("" if test else ", a fifth held out")
    return Dataset(source, fields, rows, held_out.astype(np.int64), _notes(top, pictures))


def holds_pictures(top: Path) -> bool:
    """Whether `images` reads this folder."""
    inside = top / TRAIN if (top / TRAIN).is_dir() else top
    return any(_files(folder, "") for folder in (inside, *_folders(inside)))


def _folders(top: Path) -> list[Path]:
    return sorted(f for f in top.iterdir() if f.is_dir() and not f.name.startswith("."))


def _classes(top: Path) -> list[Path]:
    return [f for f in _folders(top) if f.name not in UNLABELLED]


def _files(folder: Path, label: str) -> list[Picture]:
    """The pictures of one folder, in the order of their names."""
    if not folder.is_dir():
        return []
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    return [Picture(path, label) for path in found]


def _pictures(top: Path) -> list[Picture]:
    """All pictures of a part. Raises DataError: E0640 for one that lies beside the folders of the classes."""
    loose = _files(top, "")
    if loose and _classes(top):
        message = f"`{loose[0].path}` lies beside the folders of the classes: it has no class"
        notes = [f"{len(loose):,} pictures lie there"] if len(loose) > 1 else []
        raise data_error("E0640", message, hint="move it into a class, or into a folder `unlabelled`", notes=notes)
    inside = [p for f in _folders(top) for p in _files(f, "" if f.name in UNLABELLED else f.name)]
    return loose + inside


def _labels(pictures: Sequence[Picture], names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Class numbers [rows], −1 for none. Raises DataError: E0640 for a class of held-out pictures alone."""
    index = {name: i for i, name in enumerate(names)} | {"": -1}
    stranger = next((p for p in pictures if p.label not in index), None)
    if stranger is not None:
        message = f"`{stranger.path}`: there is no class `{stranger.label}` among the training pictures"
        raise data_error("E0640", message, hint="folders of train and test have the same names")
    return np.array([index[p.label] for p in pictures], np.int64)


def _notes(top: Path, pictures: Sequence[Picture]) -> tuple[str, ...]:
    """What lies there and is not read."""
    read = {p.path for p in pictures}
    idle = [
        p for p in top.rglob("*") if p.is_file() and p not in read and not p.name.startswith(".") and p.name != SOURCE
    ]
    return (f"{top.name}: {len(idle):,} other files were not read, such as {idle[0].relative_to(top)}",) if idle else ()
