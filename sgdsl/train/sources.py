"""Where rows come from: a `data` line, a path, or a caller's arrays come in; a Dataset and words to find it again go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from sgdsl.catalog.datasets import DATASETS
from sgdsl.catalog.settings import Value
from sgdsl.train.data import arrays
from sgdsl.train.dataset import Dataset
from sgdsl.train.errors import data_error
from sgdsl.train.recognise import recognise

Origin = dict[str, Any]


def open_data(data: object, test: object, name: str, options: Mapping[str, Value]) -> tuple[Dataset, Origin]:
    """`data` None: the data set `name` of the file's line; a path: a file or folder of any kind that is read, with the line's
    other options where it is of its kind; else arrays, with `test` held out. The origin is plain values: what `reopen`
    takes. Raises DataError: E0620–E0640."""
    if isinstance(data, Dataset):
        return data, {"kind": "arrays"}
    if data is None:
        return _named(name, options), {"kind": "named", "name": name, "options": _absolute(name, options)}
    if isinstance(data, str | Path):
        kind, where = recognise(Path(data))
        others = {key: value for key, value in options.items() if kind == name and key not in _paths(name)}
        return _named(kind, {**others, **where}), {"kind": "path", "path": str(Path(data).resolve()), "options": others}
    return arrays(data, test), {"kind": "arrays"}


def reopen(origin: Origin) -> Dataset:
    """The data of a run once more. Raises DataError: E0634 where they were arrays."""
    match origin:
        case {"kind": "named", "name": name, "options": options}:
            return _named(name, options)
        case {"kind": "path", "path": path, **rest}:
            kind, where = recognise(Path(path))
            return _named(kind, {**rest.get("options", {}), **where})
        case _:
            hint = "give them again: Run.load(folder, data) or --data FILE.npz"
            raise data_error("E0634", "this run was trained on arrays, which are not kept", hint=hint)


def path_of(origin: Origin) -> str:
    """The file or folder a run was trained on. Raises DataError: E0634 where it was arrays."""
    if origin["kind"] != "path":
        hint = "give them again: data = …, or --data FILE.npz"
        raise data_error("E0634", "this run was trained on arrays, which are not kept", hint=hint)
    return str(origin["path"])


def _named(name: str, options: Mapping[str, Value]) -> Dataset:
    if not name:
        hint = "add a line such as `data mnist(labels = 100)`, or give a file: --data FILE.npz"
        raise data_error("E0634", "the file has no `data` line, and no data was given", hint=hint)
    row = DATASETS[name]
    module, _, function = row.target.partition(":")
    try:
        reader: Callable[..., Dataset] = getattr(import_module(module), function)
        return reader(**options)
    except ModuleNotFoundError as error:
        raise data_error(
            "E0620", f"`{name}` is read with {error.name}, which is not installed", hint=row.install
        ) from None
    except OSError as error:
        message = f"cannot read `{error.filename or name}`: {error.strerror or error}"
        raise data_error("E0620", message, hint="are its permissions and the disk in order?") from None


def _paths(name: str) -> dict[str, str]:
    """The options of a data set that are paths, and their defaults."""
    return {row.name: str(row.default) for row in DATASETS[name].options if row.kind == "path"}


def _absolute(name: str, options: Mapping[str, Value]) -> dict[str, Value]:
    """Options that mean the same from another folder, defaults among them."""
    paths = {key: options.get(key, default) for key, default in _paths(name).items()}
    return {**options, **{key: str(Path(str(path)).resolve()) for key, path in paths.items() if path}}


def look(what: str, options: Mapping[str, str]) -> Dataset:
    """The data set of a path or of a name of the catalog; options as a shell writes them. Raises DataError."""
    path = Path(what)
    there = path.exists() or what not in DATASETS
    if there and not path.exists():
        near = get_close_matches(what, DATASETS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"data sets by name: {', '.join(DATASETS)}"
        raise data_error("E0620", f"there is no file, folder or data set `{what}`", hint=hint)
    kind, where = recognise(path) if there else (what, {})
    lacking = [name for name in DATASETS[kind].needs if name not in {**options, **where}]
    if lacking:
        hint = f"sgdsl data show {kind} {lacking[0]}=PATH, or the path alone"
        raise data_error("E0634", f"`{kind}` needs `{lacking[0]}`", hint=hint)
    return _named(kind, {**{name: _read(kind, name, text) for name, text in options.items()}, **where})


def _read(kind: str, name: str, text: str) -> Value:
    """One option of a data set from its text. Raises DataError: E0634."""
    row = next((r for r in DATASETS[kind].options if r.name == name), None)
    if row is None:
        known = ", ".join(r.name for r in DATASETS[kind].options) or "none"
        raise data_error("E0634", f"`{kind}` has no option `{name}`; it has: {known}")
    if row.kind not in ("int", "float"):
        return text
    try:
        value = int(text) if row.kind == "int" else float(text)
    except ValueError:
        value = float("nan")
    if not row.holds(value):
        raise data_error("E0634", f"`{name}` must be {row.range}, not {text}")
    return value
