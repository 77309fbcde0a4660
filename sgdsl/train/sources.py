"""Where rows come from: a `data` line, a path, or a caller's arrays come in; a Dataset and words to find it again go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sgdsl.catalog.datasets import DATASETS
from sgdsl.train import data as readers
from sgdsl.train.dataset import Dataset
from sgdsl.train.errors import data_error

Origin = dict[str, Any]


def open_data(data: object, test: object, name: str, options: Mapping[str, str]) -> tuple[Dataset, Origin]:
    """`data` None: the data set `name` of the file's line; a path: a .npz file or a folder of idx files; else arrays, with
    `test` held out. The origin is plain values: what `reopen` takes. Raises DataError: E0620–E0623, E0633, E0634."""
    if isinstance(data, Dataset):
        return data, {"kind": "arrays"}
    if data is None:
        return _named(name, options), {"kind": "named", "name": name, "options": _absolute(options)}
    if isinstance(data, str | Path):
        return _at(Path(data)), {"kind": "path", "path": str(Path(data).resolve())}
    return readers.arrays(data, test), {"kind": "arrays"}


def reopen(origin: Origin) -> Dataset:
    """The data of a run once more. Raises DataError: E0634 where they were arrays."""
    match origin:
        case {"kind": "named", "name": name, "options": options}:
            return _named(name, options)
        case {"kind": "path", "path": path}:
            return _at(Path(path))
        case _:
            hint = "give them again: Run.load(folder, data) or --data FILE.npz"
            raise data_error("E0634", "this run was trained on arrays, which are not kept", hint=hint)


def path_of(origin: Origin) -> str:
    """The file or folder a run was trained on. Raises DataError: E0634 where it was arrays."""
    if origin["kind"] != "path":
        hint = "give them again: data = …, or --data FILE.npz"
        raise data_error("E0634", "this run was trained on arrays, which are not kept", hint=hint)
    return str(origin["path"])


def _named(name: str, options: Mapping[str, str]) -> Dataset:
    if not name:
        hint = "add a line such as `data mnist(labels = 100)`, or give a file: --data FILE.npz"
        raise data_error("E0634", "the file has no `data` line, and no data was given", hint=hint)
    row = DATASETS[name]
    if row.target is None:
        hint = "until then: --data FILE.npz with an array for each node"
        raise data_error("E0633", f"the data set `{name}` is planned, not here yet: {row.help}", hint=hint)
    module, _, function = row.target.partition(":")
    reader: Callable[..., Dataset] = getattr(import_module(module), function)
    return reader(**options)


def _at(path: Path) -> Dataset:
    return readers.idx(str(path)) if path.is_dir() else readers.npz(str(path))


def _absolute(options: Mapping[str, str]) -> dict[str, str]:
    return {key: str(Path(value).resolve()) if value else value for key, value in options.items()}
