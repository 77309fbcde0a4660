"""What a path holds: a file or folder comes in, the data set of the catalog that reads it goes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sgdsl.train.errors import data_error
from sgdsl.train.formats.columnar_files import holds_tables
from sgdsl.train.formats.folder import holds_pictures
from sgdsl.train.formats.svhn import FILES, FULL_NUMBERS
from sgdsl.train.formats.yaleb import holds_faces
from sgdsl.train.idx import holds_idx
from sgdsl.train.multi_mnist import FILE

ENDINGS = {".npz": "npz", ".npy": "npy", ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".mat": "svhn",
           ".parquet": "parquet"}  # fmt: skip
FOLDERS: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("idx", holds_idx),
    ("svhn", lambda top: any((top / name).exists() for name in (*FILES.values(), *FULL_NUMBERS))),
    ("yaleb", holds_faces),
    ("multi_mnist", lambda top: (top / FILE).exists()),
    ("npy", lambda top: any(top.glob("*.npy"))),
    ("parquet", holds_tables),
    ("images", holds_pictures),
)
KNOWN = (
    "idx files, SVHN's .mat files, the tree CroppedYale, multi_mnist.npz, .npy or .parquet files, or a folder of pictures for "
    "each class"
)


def recognise(path: Path) -> tuple[str, dict[str, str]]:
    """The name of the data set and the option that says where it is. Raises DataError: E0622."""
    if path.is_dir():
        name = next((name for name, holds in FOLDERS if holds(path)), "")
        if name:
            return name, {"root": str(path)}
        seen = ", ".join(sorted(p.name for p in path.iterdir())[:5]) or "nothing"
        raise data_error(
            "E0622",
            f"`{path}` holds no data of a known kind",
            hint=f"a folder holds {KNOWN}",
            notes=[f"it holds {seen}"],
        )
    name = "multi_mnist" if path.name == FILE else ENDINGS.get(path.suffix.lower(), "npz")
    where = {"svhn": path.parent, "multi_mnist": path.parent}.get(name, path)
    return name, {"root" if name in ("npy", "svhn", "multi_mnist", "parquet") else "file": str(where)}
