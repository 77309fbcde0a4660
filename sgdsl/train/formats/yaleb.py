"""Extended Yale B, cropped (Georghiades 2001, Lee 2005): a tree of PGM files comes in, a Dataset goes out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.train.dataset import Array, Dataset, Field, held_out_share
from sgdsl.train.errors import DataError, data_error
from sgdsl.train.formats.origin import named_source
from sgdsl.train.formats.pgm import read_pgm

PEOPLE = [n for n in range(1, 40) if n != 14]
HEIGHT, WIDTH = 192, 168
REAL = 2_414  # pictures of the real tree, without the damaged ones
SHARE = 0.2  # of each person's pictures
PERSON = re.compile(r"yaleB(\d\d)")
NAME = re.compile(r"yaleB(?P<who>\d\d)_P00A(?P<azimuth>[+-]\d{3})E(?P<elevation>[+-]\d\d)\.pgm")
OTHER = re.compile(r"\..*|.*_Ambient\.pgm|.*\.(info|LOG|bad|txt)")  # that stand in a person's folder too
MOST = 10  # damaged files that are named


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: who it is, 0 … 37, and the angles of the light in degrees."""

    path: Path
    who: int
    azimuth: int
    elevation: int

    @property
    def light(self) -> tuple[float, float, float]:
        """The unit vector towards the light: to the right of the picture, up, and to the camera. A positive azimuth is on the
        person's right, which is the picture's left."""
        a, e = np.deg2rad(self.azimuth), np.deg2rad(self.elevation)
        return (-np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e))


def yaleb(root: str = "data/CroppedYale", shrink: int = 2, within: float = 180.0) -> Dataset:
    """x [rows, 192/shrink, 168/shrink] bytes, means of shrink × shrink pixels; who, 0 … 37; light [rows, 3]. `within`: of
    lights at most so many degrees off the camera's axis. A fifth of each person's pictures is held out.
    Raises DataError: E0620, E0622, E0638."""
    if HEIGHT % shrink or WIDTH % shrink:
        raise data_error(
            "E0638", f"`shrink = {shrink}`: {HEIGHT} × {WIDTH} pixels do not divide by it", hint="1, 2, 3, 4, 6, 8"
        )
    top = _top(Path(root))
    folders = [f for f in sorted(top.iterdir()) if f.is_dir() and PERSON.fullmatch(f.name)]
    near = np.cos(np.deg2rad(within)) - 1e-9
    pictures = [p for folder in folders for p in _pictures(folder) if p.light[2] >= near]
    if not pictures:
        raise data_error(
            "E0622", f"`{top}` has no picture with a light within {within:g}°", hint="names: yaleB01_P00A+035E+40.pgm"
        )
    x, who = _read(pictures, shrink), np.array([p.who for p in pictures])
    where = tuple(str(p.path.relative_to(top)) for p in pictures)
    values = {"x": x, "who": who, "light": np.array([p.light for p in pictures])}
    fields = {name: Field(v, None, ((0, f"{top.name}: `{name}`"),), where) for name, v in values.items()}
    test = held_out_share(who, len(who), SHARE)
    train = np.setdiff1d(np.arange(len(who), dtype=np.int64), test)
    return Dataset(
        _source(top, pictures, len(folders), shrink), fields, train, test, _notes(folders), tuple(_missing(folders))
    )


def _top(root: Path) -> Path:
    """The folder with the people in it: `root`, or CroppedYale in it."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        hint = "yaleb reads the tree CroppedYale/yaleB01 … yaleB39; say where it is: root, or --data FOLDER"
        raise data_error("E0620", f"`{root}` {what}", hint=hint)
    for folder in (root, root / "CroppedYale"):
        if folder.is_dir() and any(PERSON.fullmatch(f.name) and f.is_dir() for f in folder.iterdir()):
            return folder
    seen = ", ".join(sorted(p.name for p in root.iterdir())[:5]) or "nothing"
    raise data_error("E0622", f"there is no folder `yaleB01` … `yaleB39` in `{root}`", notes=[f"it holds {seen}"],
                     hint="unpack CroppedYale.zip; `root` is the folder with a folder for each person")  # fmt: skip


def holds_faces(root: Path) -> bool:
    """Whether a person's folder is in it, or in CroppedYale in it."""
    return any(
        folder.is_dir() and PERSON.fullmatch(folder.name)
        for folder in (*root.glob("yaleB*"), *root.glob("CroppedYale/yaleB*"))
    )


def _pictures(folder: Path) -> Iterator[Picture]:
    """A person's pictures in the order of their names. Raises DataError: E0638 for a name that says something else."""
    number = int(folder.name[-2:])
    if number not in PEOPLE:
        raise data_error("E0638", f"`{folder}`: there is no person {number}; they go from 1 to 39, without 14")
    for path in sorted(folder.iterdir()):
        found = NAME.fullmatch(path.name)
        if found is None:
            if path.suffix == ".pgm" and not OTHER.fullmatch(path.name):
                hint = "rename it, or give it a name that ends in .bad, which leaves it out"
                message = f"`{path}`: its name does not say who it is and where the light stands"
                raise data_error("E0638", message, hint=hint, notes=["names are like yaleB01_P00A+035E+40.pgm"])
            continue
        if int(found["who"]) != number:
            message = f"`{path}` is called person {int(found['who'])}, in the folder of person {number}"
            raise data_error("E0638", message, hint="move it into its own folder, or rename it")
        yield Picture(path, PEOPLE.index(number), int(found["azimuth"]), int(found["elevation"]))


def _read(pictures: Sequence[Picture], shrink: int) -> Array:
    """[rows, height, width]. Raises DataError with every damaged file, up to ten."""
    x = np.zeros((len(pictures), HEIGHT // shrink, WIDTH // shrink), np.uint8)
    wrong: list[Diagnostic] = []
    for row, picture in enumerate(pictures):
        try:
            x[row] = _shrunk(_face(picture.path), shrink)
        except DataError as error:
            wrong += error.diagnostics
        if len(wrong) == MOST:
            break
    if wrong:
        raise DataError(wrong)
    return x


def _face(path: Path) -> Array:
    image = read_pgm(path)
    if image.shape != (HEIGHT, WIDTH):
        height, width = image.shape
        hint = (
            "640 × 480 are the uncropped faces: the tree is called CroppedYale" if (width, height) == (640, 480) else ""
        )
        raise data_error("E0638", f"`{path}` has {width} × {height} pixels, not {WIDTH} × {HEIGHT}", hint=hint)
    return image


def _shrunk(image: Array, by: int) -> Array:
    """The means of squares of pixels, rounded."""
    blocks = image.reshape(HEIGHT // by, by, WIDTH // by, by)
    means: Array = np.rint(blocks.mean((1, 3))).astype(np.uint8)
    return means


# --- what is told ---------------------------------------------------------------------------------------------


def _source(top: Path, pictures: Sequence[Picture], people: int, shrink: int) -> str:
    real = people == len(PEOPLE) and len(pictures) == REAL
    name = named_source(top, named_source(top.parent, "Extended Yale B, cropped" if real else f"faces of {top}"))
    return name + (f", {shrink} × {shrink} pixels averaged" if shrink > 1 else "") + ", a fifth held out"


def _notes(folders: Sequence[Path]) -> tuple[str, ...]:
    bad = sum(p.suffix == ".bad" for folder in folders for p in folder.iterdir())
    notes = [f"{bad} file{'s' if bad > 1 else ''} ending in .bad left out"] if bad else []
    if len(folders) < len(PEOPLE):
        notes.append(f"{len(folders)} of {len(PEOPLE)} people are there; `who` counts them as if all were")
    return tuple(notes)


def _missing(folders: Sequence[Path]) -> Iterator[Diagnostic]:
    """W0640: files that a person's .info lists and that are not there, not even as .bad."""
    lost = [
        folder / name
        for folder in folders
        for info in sorted(folder.glob("yaleB*.info"))
        for name in info.read_text(encoding="latin-1").split()
        if NAME.fullmatch(name) and not (folder / name).exists() and not (folder / f"{name}.bad").exists()
    ]
    if lost:
        shown = ", ".join(str(Path(p.parent.name) / p.name) for p in lost[:3]) + (", …" if len(lost) > 3 else "")
        message = f"{len(lost):,} file{'s are' if len(lost) > 1 else ' is'} missing: {shown}"
        hint = "unpack the archive again; or take their lines out of the .info file where they should not be there"
        yield Diagnostic(
            "W0640", message, None, "", (), ("the .info file of their folder lists them",), hint, "warning"
        )
