"""Rows of data before any model sees them: named arrays come in, fields with masks and a held-out part go out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.train.errors import data_error

Array = NDArray[Any]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
KNOWN = "_known"


@dataclass(frozen=True, slots=True)
class Field:
    """`values` [rows, …]; `known` [rows], or None: nothing says so; `parts`: where its rows come from, as (first row,
    name) in order, for messages. `where`: words for each row, such as its file or line; `columns`: the names of the cells of
    a row; `classes`: what the numbers 0, 1, … stand for; `nan_only`: no number marks what is missing, −1 is one like others."""

    values: Array
    known: Mask | None
    parts: tuple[tuple[int, str], ...]
    where: Sequence[str] = ()
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    nan_only: bool = False

    def place(self, row: int, cell: int = 0) -> str:
        """A row as its file counts it, from 0, or by its own words; `cell` of the flat row, where cells have names."""
        start, name = next(part for part in reversed(self.parts) if part[0] <= row)
        column = f", column `{self.columns[cell]}`" if cell < len(self.columns) else ""
        return f"{name}, {self.where[row] if self.where else f'row {row - start}'}{column}"

    @property
    def name(self) -> str:
        return self.parts[0][1]


@dataclass(frozen=True, slots=True)
class Dataset:
    """`source` is how reports name it. `train` and `test`: the rows of each part, [n] each. `warnings`: what looks wrong in
    the files. `counted`: fields whose copies another field counts, {"y": "k"}: their labels are granted only by name,
    each(y = …), and only in rows where the count is."""

    source: str
    fields: Mapping[str, Field]
    train: Index
    test: Index
    notes: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    counted: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.train) + len(self.test)

    @property
    def fingerprint(self) -> str:
        """A hash of all values and of the split: the same rows in the same order."""
        digest = hashlib.blake2b(digest_size=16)
        for name, field in sorted(self.fields.items()):
            digest.update(f"{name} {field.values.dtype.str} {field.values.shape}".encode())
            digest.update(np.ascontiguousarray(field.values).data)
            digest.update(b"" if field.known is None else field.known.tobytes())
        digest.update(self.test.tobytes())
        return digest.hexdigest()


def make_dataset(
    source: str,
    parts: Sequence[tuple[Mapping[str, Array], str]],
    held_out: Index | None = None,
    notes: Sequence[str] = (),
    counted: Mapping[str, str] | None = None,
) -> Dataset:
    """A data set of one part (training rows) or two (training and held-out rows), each named arrays and how messages name
    an array of it, `data.npz: {}`. A field `y_known` is the mask of `y`. `held_out`: rows of a single part.
    Raises DataError: E0623 (rows that do not match), E0628 (a mask that is none), E0629 (no numbers)."""
    lengths = [_rows(arrays, label) for arrays, label in parts]
    names = list(parts[0][0])
    for arrays, label in parts[1:]:
        if set(arrays) != set(names):
            odd = sorted(set(arrays) ^ set(names))[0]
            there = label if odd not in arrays else parts[0][1]
            raise data_error(
                "E0623", f"{there.format(odd)} is missing: training and held-out rows need the same fields"
            )
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    fields = {}
    for name in names:
        values = _joined([arrays[name] for arrays, _ in parts], [label.format(name) for _, label in parts])
        places = tuple((start, label.format(name)) for start, (_, label) in zip(starts, parts, strict=True))
        fields[name] = Field(values, None, places)
    if held_out is None:
        held_out = np.arange(lengths[0], sum(lengths), dtype=np.int64)
    train = np.setdiff1d(np.arange(sum(lengths), dtype=np.int64), held_out)
    if not len(train):
        raise data_error("E0635", f"{source}: there are no training rows")
    return Dataset(source, _with_masks(fields), train, held_out, tuple(notes), counted=counted or {})


def _rows(arrays: Mapping[str, Array], label: str) -> int:
    """The number of rows that all arrays of a part share."""
    if not arrays:
        raise data_error("E0635", f"{label.format('no field')}: there is no data in it")
    counts = {name: len(array) if array.ndim else -1 for name, array in arrays.items()}
    first, rows = next(iter(counts.items()))
    for name, count in counts.items():
        if count < 0:
            raise data_error("E0623", f"{label.format(name)} is a single number: a field has a value for each row")
        if count != rows:
            message = f"{label.format(name)} has {count:,} rows, {label.format(first)} has {rows:,}"
            raise data_error("E0623", message, hint="all fields have one value for each row, in the same order")
    return rows


def _joined(arrays: Sequence[Array], names: Sequence[str]) -> Array:
    """The parts of one field in one array of numbers."""
    for array, name in zip(arrays, names, strict=True):
        if array.dtype.kind not in "buif":
            message = f"{name} holds {_kind(array)}, not numbers"
            raise data_error("E0629", message, hint="give classes as whole numbers from 0, masks as true and false")
        if array.shape[1:] != arrays[0].shape[1:]:
            message = (
                f"{name} has rows of shape {list(array.shape[1:])}, {names[0]} of shape {list(arrays[0].shape[1:])}"
            )
            raise data_error("E0623", message)
    return arrays[0] if len(arrays) == 1 else np.concatenate(list(arrays))


def _kind(array: Array) -> str:
    kinds = {
        "U": "text",
        "S": "text",
        "T": "text",
        "O": "Python objects",
        "M": "dates",
        "m": "times",
        "c": "complex numbers",
    }
    return kinds.get(array.dtype.kind, str(array.dtype))


def _with_masks(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Fields whose mask is a field of its own, `y_known`, brought together with it."""
    masks = {name: name.removesuffix(KNOWN) for name in fields if name.endswith(KNOWN)}
    masks = {name: of for name, of in masks.items() if of in fields}
    whole = {name: field for name, field in fields.items() if name not in masks}
    for name, of in masks.items():
        mask = fields[name]
        whole_shape = whole[of].values.shape
        if mask.values.shape != whole_shape[: mask.values.ndim] or not np.isin(mask.values, (0, 1)).all():
            message = f"{mask.name} is the mask of `{of}`: one true or false for each row, or each copy of it in a loop"
            shape = list(mask.values.shape)
            raise data_error("E0628", message, hint=f"it has the shape {shape} and the type {mask.values.dtype}")
        field = whole[of]
        whole[of] = Field(field.values, mask.values.astype(bool), field.parts)
    return whole


# --- which rows -----------------------------------------------------------------------------------------------


def shuffled(count: int, *seeds: int) -> Index:
    """The numbers 0 … count − 1 in an order that depends on the seeds alone: the same on every machine and version."""
    keys = np.random.PCG64(np.random.SeedSequence(seeds)).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


def held_out_share(classes: Array | None, rows: int, share: float, seed: int = 0) -> Index:
    """A share of the rows, drawn from a fixed seed, the same share of each class to within one row."""
    order = shuffled(rows, seed)
    if classes is None:
        return np.sort(order[: round(rows * share)])
    strata = [order[classes[order] == c] for c in np.unique(classes)]
    exact = np.array([len(s) * share for s in strata])
    counts = np.floor(exact).astype(int)
    short = round(rows * share) - counts.sum()
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return np.sort(np.concatenate([s[:n] for s, n in zip(strata, counts, strict=True)]))
