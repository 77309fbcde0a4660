"""Tables of text, a column a field: a csv file comes in, a Dataset whose columns have gaps of their own goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sgdsl.train.columns import stems
from sgdsl.train.dataset import Array, Dataset, Field, held_out_share
from sgdsl.train.errors import data_error
from sgdsl.train.formats.delimited import Cells, read_cells
from sgdsl.train.formats.origin import named_source
from sgdsl.train.formats.picture import class_names, read_pictures
from sgdsl.train.formats.tabular import check_columns, strata

MISSING = "NA, N/A, n/a, #N/A, NaN, nan, null, NULL, ?"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|Infinity)")
COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
TRUTH = {"true": 1.0, "false": 0.0}
FILES, PARTS = "filename", "split"  # columns with a meaning
SHARE = 0.2
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One column of all files. `cells` [rows], "" where nothing is known; `numbers` [rows], where all cells are plain ones."""

    name: str
    cells: Sequence[str]
    tables: Sequence[Cells]
    numbers: Array | None

    def place(self, row: int) -> str:
        for table in self.tables:
            if row < len(table.rows):
                return table.place(row, table.names.index(self.name))
            row -= len(table.rows)
        raise AssertionError("a row beyond the last")


def table(file: str, test: str = "", missing: str = MISSING) -> Dataset:
    """A field for each column of `file`, held-out rows from `test`, from a column `split` of train and test, or a fifth of the
    rows. Numbers, or names of classes in alphabetical order; a column `filename` holds pictures, the field x. Missing: an
    empty cell, or a word of `missing`. Raises DataError: E0620, E0623, E0635, E0639, E0640."""
    tables = [read_cells(Path(name)) for name in (file, test) if name]
    check_columns(tables[0].path, tables[0].names, tables[-1].path, tables[-1].names)
    columns = {c.name: c for c in _columns(tables, [w.strip() for w in missing.split(",")])}
    rows = sum(len(t.rows) for t in tables)
    if not rows:
        raise data_error("E0635", f"{tables[0].path.name}: there are no rows below the names of the columns")
    held_out = _held_out(columns, tables, rows)
    lines = tuple(f"line {line}" for t in tables for line in t.lines)
    notes = _notes(columns, tables)
    fields: dict[str, Field] = {}
    alike = {name: group for group in stems(list(columns)).values() for name in group}
    for name, column in columns.items():
        if name == PARTS and held_out is not None and not test:
            continue
        parts = _parts(name, tables)
        if name == FILES:
            target = "x" if "x" not in columns else FILES
            fields[target] = Field(_pictures(column, tables), None, parts, lines)
            continue
        values, classes = _values(column, [columns[n] for n in alike.get(name, (name,))])
        fields[name] = Field(values, None, parts, lines, (), classes, nan_only=True)
    source = named_source(tables[0].path.parent, tables[0].path.name)
    if held_out is None:
        held_out, source = held_out_share(strata(fields), rows, SHARE), f"{source}, a fifth held out"
    train = np.setdiff1d(np.arange(rows, dtype=np.int64), held_out)
    if not len(train):
        raise data_error("E0635", f"{tables[0].path.name}: there are no training rows")
    return Dataset(source, fields, train, held_out, notes)


def _columns(tables: Sequence[Cells], words: Sequence[str]) -> list[Column]:
    """Every column that has a name, what is missing as empty cells."""
    found, unknown = [], frozenset(words)
    for name in tables[0].names:
        if name:
            places = [t.names.index(name) for t in tables]
            cells = [row[at] for t, at in zip(tables, places, strict=True) for row in t.rows]
            numbers = _plain(cells) if unknown.isdisjoint(cells) else None
            known = cells if numbers is not None else ["" if cell in unknown else cell for cell in cells]
            found.append(Column(name, known, tables, numbers))
    return found


def _plain(cells: Sequence[str]) -> Array | None:
    """The quick way for what most columns are: finite numbers with points, none missing; None for others."""
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        return None
    return values if bool(np.isfinite(values).all()) and not any("_" in cell for cell in cells) else None


def _parts(name: str, tables: Sequence[Cells]) -> tuple[tuple[int, str], ...]:
    starts = np.cumsum([0, *(len(t.rows) for t in tables)])
    return tuple((int(start), f"{t.path.name}: `{name}`") for start, t in zip(starts, tables, strict=False))


def _held_out(columns: Mapping[str, Column], tables: Sequence[Cells], rows: int) -> Array | None:
    """The rows of the second file, or those that the column `split` calls test; None: nothing says which."""
    if len(tables) == 2:
        return np.arange(len(tables[0].rows), rows, dtype=np.int64)
    split = columns.get(PARTS)
    if split is None or not {"train", "test"} >= set(split.cells) or "test" not in split.cells:
        return None
    return np.flatnonzero(np.array(split.cells) == "test").astype(np.int64)


# --- one column -----------------------------------------------------------------------------------------------


def _values(column: Column, alike: Sequence[Column]) -> tuple[Array, tuple[str, ...]]:
    """Numbers [rows], NaN where nothing is known; and the names that they stand for, the same for columns `alike`.
    Raises DataError: E0639."""
    if column.numbers is not None:
        return _whole(column.numbers), ()
    kinds = [_kind(cell) for cell in column.cells]
    known = [k for k in kinds if k]
    numbers = sum(k != "text" for k in known)
    if known and 2 * numbers <= len(known):
        if numbers:
            raise _mixed(column, kinds, "text")
        names = class_names({cell for c in alike for cell in c.cells if cell and _kind(cell) == "text"})
        index = {name: float(i) for i, name in enumerate(names)}
        return np.array([index[cell] if cell else np.nan for cell in column.cells]), names
    if numbers < len(known):
        raise _mixed(column, kinds, "number")
    if "comma" in known and "point" in known:
        raise _mixed(column, kinds, "point" if known.count("point") >= known.count("comma") else "comma")
    values = np.array([_number(cell) for cell in column.cells], np.float64)
    return _whole(values), ()


def _whole(values: Array) -> Array:
    """As whole numbers where all are."""
    whole = bool((values == np.rint(values)).all()) and bool((np.abs(values) < 2**53).all())
    return values.astype(np.int64) if whole else values


def _kind(cell: str) -> str:
    """How a cell is written: point, comma, whole, truth or text; "" where it is missing."""
    if not cell:
        return ""
    if NUMBER.fullmatch(cell):
        return "whole" if cell.lstrip("+-").isdigit() else "point"
    if COMMA.fullmatch(cell):
        return "comma"
    return "truth" if cell.lower() in TRUTH else "text"


def _number(cell: str) -> float:
    return np.nan if not cell else TRUTH[cell.lower()] if cell.lower() in TRUTH else float(cell.replace(",", "."))


def _mixed(column: Column, kinds: Sequence[str], usual: str) -> Exception:
    """A cell that is written otherwise than most of its column."""

    def odd(kind: str) -> bool:
        return bool(kind) and (
            (kind == "text") == (usual == "number") if usual in ("number", "text") else kind not in (usual, "whole")
        )

    row = next(i for i, kind in enumerate(kinds) if odd(kind))
    count = sum(map(odd, kinds))
    what = {"number": "is no number", "text": "is a number, the others are names", "point": "has a decimal comma, the others a "
            "point", "comma": "has a decimal point, the others a comma"}[usual]  # fmt: skip
    message = f"{column.place(row)}: `{column.cells[row][:40]}` {what}"
    hint = "an unknown value is an empty cell" if usual == "number" else "write the whole column in one way"
    texts = (c for c, k in zip(column.cells, kinds, strict=True) if k == "text")
    word = next((c[:40] for c in texts if not any(map(str.isdigit, c))), "")
    if word:
        hint += f'; where `{word}` says unknown: data csv(…, missing = "{word}")'
    notes = [f"{count:,} cells of the column are like this"] if count > 1 else []
    return data_error("E0639", message, hint=hint, notes=notes)


def _pictures(column: Column, tables: Sequence[Cells]) -> Array:
    """The pictures that a column names, relative to its file. Raises DataError: E0639, E0640."""
    paths, row = [], 0
    for t in tables:
        for _ in t.rows:
            if not column.cells[row]:
                raise data_error(
                    "E0639", f"{column.place(row)}: a file name is missing", hint="every row needs its picture"
                )
            paths.append(t.path.parent / column.cells[row])
            row += 1
    return read_pictures(paths, column.place)


# --- what is told ---------------------------------------------------------------------------------------------


def _notes(columns: Mapping[str, Column], tables: Sequence[Cells]) -> tuple[str, ...]:
    first = tables[0]
    notes = []
    if "" in first.names:
        notes.append(f"{first.path.name}: a column without a name was left out")
    odd = {name: c for name, c in columns.items() if c.numbers is None}
    commas = [name for name, c in odd.items() if any(_kind(cell) == "comma" for cell in c.cells)]
    if commas:
        notes.append(
            f"{first.path.name}: decimal commas in {', '.join(commas[:SHOWN])}{', …' if len(commas) > SHOWN else ''}"
        )
    for name, column in odd.items():
        where = first.names.index(name)
        raw = [row[where] for t in tables for row in t.rows]
        eaten = sorted({cell for cell, kept in zip(raw, column.cells, strict=False) if cell and not kept})
        if eaten and any(_kind(cell) == "text" for cell in column.cells):
            count = sum(cell in eaten for cell in raw)
            cells = f"{count:,} cells say" if count > 1 else "a cell says"
            told = f'{cells} {", ".join(eaten)}, read as unknown; where that is a class: missing = "?"'
            notes.append(f"{first.path.name}, column `{name}`: {told}")
    return tuple(notes)
