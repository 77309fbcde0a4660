"""The idx format of the MNIST family: a folder comes in, its image and label arrays go out (design: data.md, Formats)."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from sgdsl.train.dataset import Array
from sgdsl.train.errors import DataError, data_error

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
CHUNK = 1 << 24
NAME = re.compile(r"(?P<prefix>.*?)(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(?P<gz>\.gz)?")
FOLDERS = (".", "raw", "MNIST/raw")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one folder: `found[part, what]`, part train or test, what images or labels; `prefix`: what stands
    before in their names, `emnist-letters-`."""

    folder: Path
    prefix: str
    found: dict[tuple[str, str], Path]


def read_idx(path: Path) -> Array:
    """The array of an idx file, plain or gzip (told by its content), in the machine's byte order.
    Raises DataError: E0620 (cannot be read), E0621 (not idx, or not of the length its header says)."""
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == GZIP
            file.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if zipped else cast(BinaryIO, file)
            return _array(stream, path)
    except (OSError, EOFError, zlib.error) as error:
        raise data_error("E0620", f"cannot read `{path}`: {getattr(error, 'strerror', None) or error}") from None


def _array(stream: BinaryIO, path: Path) -> Array:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        message = f"`{path}` is no idx file: it starts with {head.hex(' ') or 'nothing'}"
        raise data_error(
            "E0621", message, hint="idx starts with 00 00, a type (08 for bytes) and the number of dimensions"
        )
    raw = stream.read(4 * head[3])
    if len(raw) < 4 * head[3]:
        raise data_error("E0621", f"`{path}` ends inside its header")
    sizes = struct.unpack(f">{head[3]}I", raw)
    kind = np.dtype(TYPES[head[2]])
    expected = math.prod(sizes) * kind.itemsize
    body = _read(stream, expected + 1)
    if len(body) != expected:
        length = f"{len(body):,} bytes" if len(body) < expected else "more"
        message = f"`{path}` says {' × '.join(f'{s:,}' for s in sizes)}, {expected:,} bytes, but holds {length}"
        raise data_error("E0621", message, hint="the download is incomplete, or the file is damaged")
    return np.frombuffer(body, kind).astype(kind.newbyteorder("=")).reshape(sizes)


def _read(stream: BinaryIO, limit: int) -> bytes:
    """At most `limit` bytes, without trusting it: a header may claim any size."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := stream.read(min(CHUNK, limit))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def find_files(root: Path) -> Files:
    """The idx files in `root`, or in the place where torchvision puts them under it.
    Raises DataError: E0620 (no such folder), E0622 (no training files, or those of several data sets)."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise data_error("E0620", f"`{root}` {what}", hint="`root` is the folder of the idx files")
    for folder in (root / name for name in FOLDERS):
        if folder.is_dir() and (files := _files(folder)) is not None:
            return files
    seen = sorted(p.name for p in root.iterdir())[:5]
    raise data_error(
        "E0622",
        f"there is no `train-images-idx3-ubyte` in `{root}`",
        hint="names are train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…, also with .gz",
        notes=[f"it holds {', '.join(seen) if seen else 'nothing'}"],
    )


def holds_idx(root: Path) -> bool:
    """Whether there are training images where `find_files` looks."""
    return any((root / name).is_dir() and _files(root / name) is not None for name in FOLDERS)


def _files(folder: Path) -> Files | None:
    """The files of a folder, the unzipped of two that are the same; None where it has no training images."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(folder.iterdir(), key=lambda p: p.name.endswith(".gz")):
        if match := NAME.fullmatch(path.name):
            part = "train" if match["part"] == "train" else "test"
            found.setdefault(match["prefix"], {}).setdefault((part, match["what"]), path)
    found = {prefix: files for prefix, files in found.items() if ("train", "images") in files}
    if len(found) > 1:
        raise _several(folder, list(found))
    for prefix, files in found.items():
        return Files(folder, prefix, files)
    return None


def _several(folder: Path, prefixes: list[str]) -> DataError:
    names = ", ".join(f"`{prefix}train-images…`" for prefix in prefixes)
    return data_error("E0622", f"`{folder}` holds several data sets: {names}", hint="put each into a folder of its own")
