"""Data sets of the published formats for a machine without them: a folder, a seed and a size come in, files go out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sgdsl.train.formats.svhn import FILES
from sgdsl.train.formats.yaleb import PEOPLE
from sgdsl.train.makers.faces import write_faces
from sgdsl.train.makers.files import Bytes, write_mat, write_source
from sgdsl.train.makers.glyphs import Glyphs, draw_glyphs
from sgdsl.train.makers.house_numbers import house_numbers
from sgdsl.train.multi_mnist import FILE, canvases, fields, source_of

TEST_SHARE = 4  # svhn-like: a held-out row for every four
FACES = "CroppedYale"


@dataclass(frozen=True, slots=True)
class Maker:
    """`size`: how many of `what` where nothing is said, from 1 to `most`; `first`: the file that must not be there yet."""

    help: str
    what: str
    size: int
    most: int
    first: str
    write: Callable[[Path, int, int], str]


def _svhn_like(folder: Path, seed: int, rows: int) -> str:
    glyphs = draw_glyphs(seed)
    folder.mkdir(parents=True, exist_ok=True)
    held_out = max(rows // TEST_SHARE, 1)
    for part, (name, size) in enumerate(zip(FILES.values(), (rows, held_out), strict=True)):
        write_mat(folder / name, _published(size, seed, part, glyphs))
    name = f"svhn-like, synthetic, seed {seed}"
    write_source(folder, name, "Made by `sgdsl data make svhn-like`: no picture is of a house.")
    return f"{folder}: {name}: {rows:,} + {held_out:,} digits"


def _published(rows: int, seed: int, part: int, glyphs: Glyphs) -> dict[str, Bytes]:
    """X [32, 32, 3, rows] and y [rows, 1] with 10 for 0."""
    x, y = house_numbers(rows, seed, part, glyphs)
    return {"X": x.transpose(1, 2, 3, 0), "y": np.where(y == 0, 10, y).astype(np.uint8)[:, None]}


def _yale_like(folder: Path, seed: int, people: int) -> str:
    top = folder / FACES
    pictures = write_faces(top, seed, people)
    name = f"yale-like, synthetic, seed {seed}"
    write_source(top, name, "Made by `sgdsl data make yale-like`: the people do not exist.")
    return f"{top}: {name}: {pictures:,} pictures of {people} people"


def _multi_mnist(folder: Path, seed: int, rows: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    parts = dict(zip(("train", "test"), canvases(rows, seed), strict=True))
    arrays = {f"{field}_{part}": a for part, made in parts.items() for field, a in fields(made).items()}
    np.savez_compressed(folder / FILE, allow_pickle=False, **arrays)
    name = source_of(seed)
    write_source(folder, name, "Made by `sgdsl data make multi-mnist`.")
    return f"{folder / FILE}: {name}: {rows:,} + {len(parts['test'].x):,} canvases"


MAKERS = {
    "svhn-like": Maker("house numbers: train_32x32.mat and test_32x32.mat", "training rows", 20_000, 1_000_000,
                       FILES["train"], _svhn_like),
    "yale-like": Maker("faces under 64 lamps: the tree CroppedYale", "people", len(PEOPLE), len(PEOPLE), FACES, _yale_like),
    "multi-mnist": Maker("one to three embedded digits on a canvas: multi_mnist.npz", "training rows", 10_000, 1_000_000,
                         FILE, _multi_mnist),
}  # fmt: skip
