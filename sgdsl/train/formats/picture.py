"""Picture files of one size and mode: paths come in, bytes [rows, height, width] or [rows, 3, height, width] go out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.train.dataset import Array
from sgdsl.train.errors import DataError, data_error

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
WORDS = {"L": "grey", "1": "black and white", "RGB": "colours", "P": "a palette", "RGBA": "colours with transparency",
         "LA": "grey with transparency", "CMYK": "inks", "I;16": "16-bit grey", "I": "32-bit grey"}  # fmt: skip
SAME = "bring them to one size and mode first, such as `mogrify -resize 28x28! -colorspace Gray *.png`"
MOST = 10  # files that are named


def class_names(found: Iterable[str]) -> tuple[str, ...]:
    """Names of classes in order: by number where all are whole numbers, else by letter."""
    names = set(found)
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def read_pictures(paths: Sequence[Path | BytesIO], place: Callable[[int], str]) -> Array:
    """uint8 [rows, height, width], or [rows, 3, height, width]. `place`: what a message calls a row.
    Raises DataError: E0640 with every file that cannot be read or is not like the first, up to ten."""
    wrong: list[Diagnostic] = []
    whole: Array | None = None
    mode = ""
    for row, path in enumerate(paths):
        try:
            image, found = _read(path, place(row))
            if whole is None:
                whole, mode = np.empty((len(paths), *image.shape), np.uint8), found
            _like_the_first(image, found, whole, mode, place(row), place(0))
            whole[row] = image
        except DataError as error:
            wrong += error.diagnostics
        if len(wrong) == MOST:
            break
    if wrong:
        raise DataError(wrong)
    assert whole is not None, "no path"
    return whole


def _read(path: Path | BytesIO, place: str) -> tuple[Array, str]:
    """One picture, channels in front, and its mode. Raises DataError: E0640."""
    where = (
        f"{place}: this"
        if isinstance(path, BytesIO)
        else f"`{path}`"
        if str(path).endswith(place)
        else f"{place}: `{path}`"
    )
    try:
        with Image.open(path) as opened:
            mode = opened.mode
            if mode not in ("L", "1", "RGB", "P"):
                message = f"{where} holds {WORDS.get(mode, mode)}: grey and colours of 8 bits are read"
                raise data_error("E0640", message, hint='`mogrify -alpha off -depth 8 FILE`, or Image.convert("RGB")')
            image = np.asarray(opened.convert("RGB" if mode in ("P", "RGB") else "L"))
    except FileNotFoundError:
        raise data_error(
            "E0640", f"{place}: there is no file `{path}`", hint="names are relative to the file that lists them"
        ) from None
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).split("\n")[0]
        raise data_error(
            "E0640", f"{where} is no whole picture: {reason}", hint="get the file again, or leave it out"
        ) from None
    return (np.moveaxis(image, 2, 0) if image.ndim == 3 else image), mode


def _like_the_first(image: Array, found: str, whole: Array, mode: str, place: str, first: str) -> None:
    if image.shape == whole.shape[1:] and found == mode:
        return
    here, there = (f"{s[-1]} × {s[-2]}, {WORDS[m]}" for s, m in ((image.shape, found), (whole.shape[1:], mode)))
    raise data_error(
        "E0640", f"{place}: {here}; the first one is {there}", hint=SAME, notes=[f"the first one: {first}"]
    )
