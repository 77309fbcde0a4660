"""Files in published formats: arrays come in; MAT-files of version 5 and binary PGM files go out."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgdsl.train.formats.origin import SOURCE

Bytes = NDArray[np.uint8]
HEAD = b"MATLAB 5.0 MAT-file, made by sgdsl"
INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED, CLASS_UINT8 = 1, 2, 5, 6, 14, 15, 9


def write_mat(path: Path, arrays: Mapping[str, Bytes]) -> None:
    """Arrays of bytes, compressed, the first index fastest (MathWorks, MAT-File Format, level 5)."""
    parts = [HEAD.ljust(124), struct.pack("<H2s", 0x0100, b"IM")]
    for name, array in arrays.items():
        packed = zlib.compress(_matrix(name, array), 6)
        parts.append(struct.pack("<II", COMPRESSED, len(packed)) + packed)
    path.write_bytes(b"".join(parts))


def _matrix(name: str, array: Bytes) -> bytes:
    flags = _element(UINT32, struct.pack("<II", CLASS_UINT8, 0))
    sizes = _element(INT32, struct.pack(f"<{array.ndim}i", *array.shape))
    return _element(MATRIX, flags + sizes + _element(INT8, name.encode()) + _element(UINT8, array.tobytes("F")))


def _element(kind: int, body: bytes) -> bytes:
    """A tag and a body; MATLAB's short form for at most four bytes is optional."""
    return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def write_pgm(path: Path, image: Bytes) -> None:
    """A grey picture [height, width] (netpbm, P5)."""
    height, width = image.shape
    path.write_bytes(b"P5\n%d %d\n255\n" % (width, height) + image.tobytes())


def write_source(folder: Path, name: str, lines: str) -> None:
    """What reports call the files of a folder, and how they came about."""
    (folder / SOURCE).write_text(f"{name}\n\n{lines}\n", encoding="utf-8")
