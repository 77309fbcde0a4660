"""Idx files to ask about, which need no training part: a path comes in, its rows go out, or None where it is something else."""

from __future__ import annotations

from pathlib import Path

from sgdsl.train.dataset import Dataset, make_dataset
from sgdsl.train.idx import NAME, read_idx


def idx_alone(path: Path) -> Dataset | None:
    """An images file such as t10k-images-idx3-ubyte.gz, or a folder with such a file and no training images, as `x`; labels
    beside it as `y`. Raises DataError: E0620, E0621."""
    if path.is_file():
        images = path if _is(path, "images") else None
    elif path.is_dir():
        found = [p for p in sorted(path.iterdir()) if _is(p, "images")]
        images = found[0] if len(found) == 1 and "train-" not in found[0].name else None
    else:
        images = None
    match = NAME.fullmatch(images.name) if images is not None else None
    if images is None or match is None or match["prefix"].startswith("emnist"):  # EMNIST is turned: by the idx reader
        return None
    arrays = {"x": read_idx(images)}
    for labels in sorted(images.parent.iterdir()):
        other = NAME.fullmatch(labels.name)
        if other and (other["prefix"], other["part"], other["what"]) == (match["prefix"], match["part"], "labels"):
            arrays["y"] = read_idx(labels)
    return make_dataset(images.name, [(arrays, f"{images.name}: `{{}}`")])


def _is(path: Path, what: str) -> bool:
    match = NAME.fullmatch(path.name)
    return match is not None and match["what"] == what
