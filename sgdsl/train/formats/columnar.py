"""Tables of typed columns: .parquet files or folders that Hugging Face `datasets` saved come in, a Dataset goes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from sgdsl.train.dataset import Array, Dataset, Field, held_out_share
from sgdsl.train.errors import data_error
from sgdsl.train.formats.columnar_files import files_by_part
from sgdsl.train.formats.origin import named_source
from sgdsl.train.formats.picture import class_names, read_pictures
from sgdsl.train.formats.tabular import check_columns, strata

ALIASES = {"image": "x", "img": "x", "images": "x", "label": "y", "labels": "y"}
SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """The files of one part, as one table. `path`: what messages call it."""

    path: Path
    rows: Any


def parquet(root: str) -> Dataset:
    """A field for each column of a .parquet file, or of the files of a folder, whose names or subfolders say train and test; a
    folder of `save_to_disk` likewise. Numbers, lists of them of one length, names of classes, and pictures as Hugging Face
    keeps them; `image` is x and `label` is y, −1 unknown. Without a part `test` a fifth of the rows is held out.
    Raises DataError: E0620, E0622, E0623, E0635, E0639, E0640."""
    top = Path(root)
    parts = _parts(top)
    check_columns(parts[0].path, parts[0].rows.column_names, parts[-1].path, parts[-1].rows.column_names)
    whole = pa.concat_tables([part.rows for part in parts], promote_options="default")
    if not len(whole):
        raise data_error("E0635", f"{top.name}: there are no rows")
    fields, notes = _fields(whole, parts)
    source = named_source(top if top.is_dir() else top.parent, top.name)
    if len(parts) == 2:
        held_out = np.arange(len(parts[0].rows), len(whole), dtype=np.int64)
    else:
        held_out, source = held_out_share(strata(fields), len(whole), SHARE), f"{source}, a fifth held out"
    train = np.setdiff1d(np.arange(len(whole), dtype=np.int64), held_out)
    if not len(train):
        raise data_error("E0635", f"{top.name}: there are no training rows")
    return Dataset(source, fields, train, held_out, notes)


# --- files ----------------------------------------------------------------------------------------------------


def _parts(top: Path) -> list[Part]:
    """Training rows, then held-out ones where there are. Raises DataError: E0620, E0622."""
    named = files_by_part(top)
    if not any(named.values()):
        what = "holds no .parquet file" if top.is_dir() else "does not exist"
        raise data_error("E0622" if top.is_dir() else "E0620", f"`{top}` {what}")
    train = named["train"] or named[""]
    chosen = [train, named["test"]] if train and named["test"] else [train or named["test"]]
    return [Part(found[0] if len(found) == 1 else top, pa.concat_tables(map(_read, found))) for found in chosen]


def _read(file: Path) -> Any:
    """One file's rows, with what it says of itself. Raises DataError: E0620."""
    try:
        if file.suffix == ".arrow":
            with pa.memory_map(str(file)) as opened:
                return pa.ipc.open_stream(opened).read_all()
        return pa.parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise data_error("E0620", f"cannot read `{file}`: {str(error).splitlines()[0]}") from None


# --- columns --------------------------------------------------------------------------------------------------


def _fields(whole: Any, parts: Sequence[Part]) -> tuple[dict[str, Field], tuple[str, ...]]:
    """Every column that is numbers, names or pictures, and notes on the others."""
    starts = np.cumsum([0, *(len(part.rows) for part in parts)])
    said = _said(whole)
    fields, idle = {}, []
    for name in whole.column_names:
        places = tuple((int(s), f"{p.path.name}: `{name}`") for s, p in zip(starts, parts, strict=False))
        found = _values(whole[name], said.get(name, ()), places)
        if found is None:
            idle.append(f"{name} ({whole[name].type})")
            continue
        target = ALIASES.get(name, name)
        fields[target if target == name or target not in whole.column_names else name] = found
    return fields, (f"not read: {', '.join(idle)}",) if idle else ()


def _said(whole: Any) -> dict[str, tuple[str, ...]]:
    """The names of the classes of a column, where Hugging Face `datasets` wrote them into the file."""
    try:
        features = json.loads((whole.schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: tuple(f["names"]) for name, f in features.items() if isinstance(f, dict) and "names" in f}


def _values(column: Any, said: tuple[str, ...], places: tuple[tuple[int, str], ...]) -> Field | None:
    """A field of one column, None for what is neither numbers, names nor pictures. Raises DataError: E0639, E0640."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind is not column.type:
        column = column.cast(kind)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = _numbers(column)
        unlabelled = values == -1 if said else np.zeros(len(values), bool)
        return Field(values, ~unlabelled if unlabelled.any() else None, places, (), (), said)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        names = class_names(v for v in column.unique().to_pylist() if v is not None)
        index: dict[str | None, float] = {name: float(i) for i, name in enumerate(names)}
        return Field(np.array([index.get(v, np.nan) for v in column.to_pylist()]), None, places, (), (), names)
    if _is_picture(kind):
        return Field(_pictures(column, places), None, places)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(column, places)
    return None


def _numbers(column: Any) -> Array:
    """[rows]; NaN where nothing is known, and then floats."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values: Array = column.to_numpy()
    return values


def _lists(column: Any, places: tuple[tuple[int, str], ...]) -> Field | None:
    """Lists of one shape side by side, [rows, …]. Raises DataError: E0639 for a row of another shape."""
    try:
        rows = [np.array(row, np.float64) if row is not None else None for row in column.to_pylist()]
    except (ValueError, TypeError):
        return None
    shapes = {row.shape for row in rows if row is not None}
    shape = next((row.shape for row in rows if row is not None), None)
    if shape is None:
        return None
    if len(shapes) > 1:
        at = next(i for i, row in enumerate(rows) if row is not None and row.shape != shape)
        odd = rows[at]
        assert odd is not None
        place = Field(np.zeros(len(rows)), None, places).place(at)
        message = f"{place}: a list of shape {list(odd.shape)}; the first one is {list(shape)}"
        raise data_error("E0639", message, hint="all rows of a field have one shape")
    return Field(np.stack([np.full(shape, np.nan) if row is None else row for row in rows]), None, places)


def _is_picture(kind: Any) -> bool:
    """Bytes, or a struct of bytes and a path."""
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _pictures(column: Any, places: tuple[tuple[int, str], ...]) -> Array:
    """The pictures of a column. Raises DataError: E0639 where one is missing, E0640."""
    field = Field(np.zeros(len(column)), None, places)
    found = []
    for row, cell in enumerate(column.to_pylist()):
        data = cell["bytes"] if isinstance(cell, dict) else cell
        if data is None:
            hint = (
                "pictures lie in the file itself: `Dataset.cast_column(…, Image())` and `save_to_disk` put them there"
            )
            raise data_error("E0639", f"{field.place(row)}: the picture is missing", hint=hint)
        found.append(BytesIO(data))
    return read_pictures(found, field.place)
