"""MATLAB's MAT-file of version 5: a path comes in, its numeric arrays by name go out (MathWorks, MAT-File Format, level 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array
from sgdsl.train.errors import DataError, data_error

HEADER = 128
MATRIX, COMPRESSED = 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}  # how numbers lie
MEANT = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}  # what they are
COMPLEX = 0x0800
HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class _File:
    """`order`: < or >, of all numbers."""

    path: Path
    data: memoryview
    order: str


def read_mat(path: Path) -> dict[str, Array]:
    """Numeric arrays as they are in MATLAB, the first index fastest in memory; others are left out.
    Raises DataError: E0620 (cannot be read), E0637 (another format, or damaged)."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise data_error("E0620", f"cannot read `{path}`: {error.strerror or error}") from None
    file = _opened(path, raw)
    try:
        return dict(_arrays(file, file.data[HEADER:]))
    except (struct.error, ValueError, zlib.error) as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, reason: str) -> DataError:
    return data_error("E0637", f"`{path}` is damaged: {reason}", hint="get the file again, and compare its size")


def _opened(path: Path, raw: bytes) -> _File:
    if HDF5 in (raw[:8], raw[512:520]) or raw.startswith(b"MATLAB 7.3"):
        message = f"`{path}` is MATLAB's version 7.3, which is HDF5: only version 5 is read"
        raise data_error(
            "E0637", message, hint='in MATLAB: save("new.mat", "X", "y", "-v7"); in Python: scipy.io.savemat'
        )
    order = {b"IM": "<", b"MI": ">"}.get(raw[126:128])
    if order is None or struct.unpack(f"{order}H", raw[124:126])[0] != 0x0100:
        start = raw[:4].hex(" ") or "nothing"
        message = f"`{path}` is no MAT-file of version 5: it starts with {start}"
        raise data_error(
            "E0637", message, hint="a page of a server that was saved instead of the file looks like this too"
        )
    return _File(path, memoryview(raw), order)


def _elements(file: _File, data: memoryview, padded: bool = True) -> Iterator[tuple[int, memoryview]]:
    """The data elements in order: their type and bytes. Raises ValueError where one ends too early."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{file.order}II", data, at)
        start = at + 8
        if kind >> 16:  # a small element: its size and up to four bytes inside the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if start + size > len(data):
            raise ValueError(f"an element of {size:,} bytes has {len(data) - start:,}")
        yield kind, data[start : start + size]
        at = at + 8 if start == at + 4 else start + size + (-size % 8 if padded else 0)


def _arrays(file: _File, data: memoryview) -> Iterator[tuple[str, Array]]:
    for kind, body in _elements(file, data, padded=False):
        if kind == COMPRESSED:
            yield from _arrays(file, memoryview(_unzipped(body)))
        elif kind == MATRIX and (found := _array(file, body)) is not None:
            yield found


def _unzipped(body: memoryview) -> bytes:
    stream = zlib.decompressobj()
    data = stream.decompress(body)
    if not stream.eof:
        raise ValueError("its compressed part ends too early")
    return data


def _array(file: _File, body: memoryview) -> tuple[str, Array] | None:
    """A matrix by name; None for what holds no real numbers. Raises ValueError."""
    parts = _elements(file, body)
    flags, sizes, name = (next(parts, None) for _ in range(3))
    if flags is None or sizes is None or name is None:
        raise ValueError("a matrix without its head")
    word = int(struct.unpack_from(f"{file.order}I", flags[1])[0])
    meant = word & 0xFF
    if meant not in MEANT or word & COMPLEX:
        return None
    shape = tuple(int(n) for n in np.frombuffer(sizes[1], f"{file.order}i4"))
    numbers = next(parts, None)
    if numbers is None or numbers[0] not in STORED:
        raise ValueError("a matrix without its numbers")
    flat = np.frombuffer(numbers[1], f"{file.order}{STORED[numbers[0]]}")
    if min(shape, default=0) < 0 or flat.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{flat.size:,} numbers for {' × '.join(map(str, shape))}")
    values = flat.astype(MEANT[meant], copy=False).reshape(shape, order="F")
    return bytes(name[1]).decode("latin-1").rstrip("\0"), values
