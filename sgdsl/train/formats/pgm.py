"""Grey pictures of the PGM format, P5: a path comes in, its bytes [height, width] go out (netpbm, pgm)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array
from sgdsl.train.errors import data_error

GAP = rb"(?:\s|#[^\n]*\n)+"
HEAD = re.compile(rb"P5" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,5})\s")
TEXT = "it was copied as text (0a became 0d 0a): copy it again in binary mode"
AGAIN = "get the file again; or give it a name that ends in .bad, which leaves it out"


def read_pgm(path: Path) -> Array:
    """uint8 [height, width]. The body must be exactly as long as its head says: readers that do not look open a file
    that lost or won bytes with its rows shifted. Raises DataError: E0620, E0638."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise data_error("E0620", f"cannot read `{path}`: {error.strerror or error}") from None
    head = HEAD.match(raw)
    if head is None:
        start = raw[:8].hex(" ") or "nothing"
        message = f"`{path}` is no binary PGM (P5): it starts with {start}"
        hint = "P2 is written in digits; `pnmtopnm` makes it binary" if raw[:2] == b"P2" else AGAIN
        raise data_error("E0638", message, hint=hint)
    width, height, most = (int(n) for n in head.groups())
    if not 0 < most < 256 or not width or not height:
        raise data_error(
            "E0638", f"`{path}`: {width} × {height} grey levels up to {most}", hint="levels go up to 255, a byte each"
        )
    body = raw[head.end() :]
    if len(body) != width * height:
        message = f"`{path}` is damaged: {width} × {height} are {width * height:,} bytes, but it holds {len(body):,}"
        textual = len(body) > width * height and b"\n" not in body.replace(b"\r\n", b"")
        raise data_error("E0638", message, hint=TEXT if textual else AGAIN)
    return np.frombuffer(body, np.uint8).reshape(height, width)
