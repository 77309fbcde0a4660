"""The data sets that a .sgm file can name, and arrays of a caller: paths or arrays come in, a Dataset goes out."""

from __future__ import annotations

import dataclasses
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sgdsl.train.dataset import Array, Dataset, held_out_share, make_dataset
from sgdsl.train.errors import DataError, data_error
from sgdsl.train.formats.npy import read_folder, read_npy
from sgdsl.train.formats.origin import named_source
from sgdsl.train.idx import Files, find_files, read_idx

DIGITS = Path(__file__).with_name("digits.npz")
HELD_OUT = 0.2
UNREADABLE = (OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)
SPLIT = re.compile(r"(?:(?P<first>train|test|val)_(?P<a>\w+))|(?:(?P<b>\w+)_(?P<last>train|test|val))")
ALIASES = {"images": "x", "image": "x", "labels": "y", "label": "y"}


def mnist(root: str = "") -> Dataset:
    """The digits that the package ships, 8,000 to train on and 2,000 held out; with `root`, the idx files of a folder."""
    if root:
        return _idx(Path(root), "MNIST")
    with np.load(DIGITS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    test = held_out_share(arrays["y"], len(arrays["y"]), HELD_OUT)
    return make_dataset("MNIST, first 10,000", [(arrays, "digits.npz: `{}`")], test)


def idx(root: str) -> Dataset:
    """A folder of idx or idx.gz files; without files of a test part, the last sixth of the rows is held out."""
    return _idx(Path(root), "idx files")


def npz(file: str) -> Dataset:
    """The arrays of a .npz file: x and y, images and labels, or x_train, y_train, x_test, y_test; without a test part, a
    fifth of each class is held out from a fixed seed. Raises DataError: E0620, E0622."""
    path = Path(file)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise data_error(
                    "E0622", f"`{path}` is one array without a name", hint="call it x.npy, or np.savez(file, x = …)"
                )
            arrays = {name: archive[name] for name in archive.files}
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        if "pickle" in reason:
            raise _pickled(path) from None
        raise data_error("E0620", f"cannot read `{path}`: {reason}") from None
    return _split(arrays, named_source(path.parent, path.name))


def npy(root: str) -> Dataset:
    """The .npy files of a folder, or one such file: named and split as in `npz`. Raises DataError: E0620, E0622."""
    path = Path(root)
    arrays = read_folder(path) if path.is_dir() else {path.stem: read_npy(path)}
    return _split(arrays, named_source(path if path.is_dir() else path.parent, path.name))


def _pickled(path: Path) -> DataError:
    hint = "pickled objects are never read: they can run code"
    return data_error("E0620", f"cannot read `{path}`: it holds pickled objects, or is no .npz file", hint=hint)


def arrays(data: object, test: object = None) -> Dataset:
    """Arrays of a caller: a mapping, a data frame, or an object with attributes. A value is anything numpy reads, a torch
    tensor, a masked array, or a pair (values, known). `test`: held-out rows in the same form; without it there are none."""
    label = "your `{}`"
    parts = [(_arrays(data, "data"), label)]
    if test is not None:
        parts.append((_arrays(test, "test"), "your held-out `{}`"))
    return make_dataset("arrays of the caller", parts)


# --- idx ------------------------------------------------------------------------------------------------------


def _idx(root: Path, name: str) -> Dataset:
    files = find_files(root)
    parts = [_idx_part(files, "train")]
    source, held_out = f"{name}, {root}", None
    if ("test", "images") in files.found:
        parts.append(_idx_part(files, "test"))
    else:
        rows = len(parts[0][0]["x"])
        held_out = np.arange(rows - rows // 6, rows, dtype=np.int64)
        source += f", last {rows // 6:,} of the training file held out"
    notes = ["EMNIST stores its images transposed: they were turned"] if files.prefix.startswith("emnist") else []
    return make_dataset(source, parts, held_out, notes)


def _idx_part(files: Files, part: str) -> tuple[dict[str, Array], str]:
    """Images as `x`, labels (if there are) as `y`; EMNIST's images turned and its letters counted from 0."""
    images = read_idx(files.found[part, "images"])
    found = {"x": images.swapaxes(1, 2) if files.prefix.startswith("emnist") and images.ndim == 3 else images}
    if (part, "labels") in files.found:
        labels = read_idx(files.found[part, "labels"])
        found["y"] = labels.astype(np.int64) - 1 if files.prefix.startswith("emnist-letters") else labels
    return found, f"{files.found[part, 'images'].name.split('-images')[0]}: `{{}}`"


# --- npz ------------------------------------------------------------------------------------------------------


def _split(arrays: Mapping[str, Array], name: str) -> Dataset:
    """Named arrays as training and held-out parts, where their names say so: x_train and x_test, or train_x and test_x."""
    parts: dict[str, dict[str, Array]] = {"train": {}, "test": {}, "val": {}}
    labels = {"train": "{}", "test": "{}"}
    for key, match in ((key, SPLIT.fullmatch(key)) for key in arrays):
        if match:
            part = match["first"] or match["last"]
            parts[part][match["a"] or match["b"]] = arrays[key]
            labels[part] = f"{part}_{{}}" if match["first"] else f"{{}}_{part}"
    named = sum(len(part) for part in parts.values())
    if not parts["train"] or (named < len(arrays) and not parts["train"].keys() & parts["test"].keys()):
        return _one_part(arrays, name)
    given = {part: {_alias(key, found): array for key, array in found.items()} for part, found in parts.items()}
    used = [(given[part], f"{name}: `{labels[part]}`") for part in ("train", "test") if given[part]]
    idle = [key for key in arrays if not (m := SPLIT.fullmatch(key)) or "val" in (m["first"], m["last"])]
    notes = [f"{name}: not used: {', '.join(idle)}"] if idle else []
    return make_dataset(name, used, None, notes)


def _one_part(arrays: Mapping[str, Array], name: str) -> Dataset:
    """All rows in one part: a fifth of each class is held out."""
    whole = {_alias(key, arrays): array for key, array in arrays.items()}
    rows = _length(whole)
    test = held_out_share(_classes(whole), rows, HELD_OUT) if rows else np.arange(0)
    return make_dataset(f"{name}, a fifth held out", [(whole, f"{name}: `{{}}`")], test)


def _alias(key: str, among: Mapping[str, Array]) -> str:
    """`images` is x and `labels` is y where these are not there themselves."""
    name = ALIASES.get(key, key)
    return key if name in among else name


def _classes(arrays: Mapping[str, Array]) -> Array | None:
    """The labels to split by: `y`, where it is one whole number a row."""
    labels = arrays.get("y")
    usable = labels is not None and labels.ndim == 1 and labels.dtype.kind in "bui" and len(labels) == _length(arrays)
    return labels if usable else None


def _length(arrays: Mapping[str, Array]) -> int:
    return next((len(a) for a in arrays.values() if a.ndim), 0)


# --- arrays of a caller ---------------------------------------------------------------------------------------


def _arrays(data: object, what: str) -> dict[str, Array]:
    """Every field of a mapping or an object, masks as fields of their own."""
    found: dict[str, Array] = {}
    for name, value in _items(data, what):
        values, mask = _masked(value)
        try:
            found[name] = np.asarray(values)
        except (ValueError, TypeError, RuntimeError) as error:
            raise data_error("E0629", f"your `{name}` is no array: {str(error).splitlines()[0]}") from None
        if mask is not None:
            found[f"{name}_known"] = np.asarray(mask)
    return found


def _items(data: object, what: str) -> list[tuple[str, Any]]:
    if hasattr(data, "keys") and hasattr(data, "__getitem__"):
        return [(str(name), data[name]) for name in data.keys()]  # noqa: SIM118 (a data frame iterates over columns too)
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return [(f.name, getattr(data, f.name)) for f in dataclasses.fields(data)]
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return list(zip(data._fields, data, strict=True))
    if hasattr(data, "__dict__") and not isinstance(data, type):
        public = [(name, value) for name, value in vars(data).items() if not name.startswith("_")]
        if public:
            return public
    message = f"`{what}` is a {type(data).__name__}: neither a mapping of arrays nor an object with arrays"
    raise data_error("E0629", message, hint="write {'x': images, 'y': labels}")


def _masked(value: Any) -> tuple[Any, Any]:
    """A value and its mask of known rows, if it has one; where a row is masked in some cells only, these become NaN."""
    if isinstance(value, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(value)
        rows = hidden.reshape(len(value), -1) if value.ndim else hidden.reshape(1, -1)
        if value.dtype.kind in "buif" and (rows.any(1) != rows.all(1)).any():
            return np.where(hidden, np.nan, value.filled(0)), None
        return value.filled(0), ~rows.any(1) if value.ndim else None
    if isinstance(value, tuple) and len(value) == 2 and _is_mask(value[1]):
        return _plain(value[0]), _plain(value[1])
    return _plain(value), None


def _is_mask(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _plain(value: Any) -> Any:
    """A torch tensor as numpy; anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
