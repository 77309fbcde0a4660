"""What a data set holds: rows come in; shapes, ranges, labels and what is known together go out, as tables and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from sgdsl.train.bind import Table as Columns
from sgdsl.train.columns import field_of, numbered
from sgdsl.train.dataset import Array, Dataset, Field, Mask

CLASSES = 64  # values of a label
SHOWN = 12  # of them in a line
PATTERNS = 16


@dataclass(frozen=True, slots=True)
class Facts:
    """One field. `known`: rows in which it has a value, `cells`: cells without one; `values`: rows of each class, empty where it
    is none."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None
    known: int
    cells: int
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Census:
    """`patterns`: how many rows have exactly these fields (or nodes) known, of those that are unknown in some row."""

    source: str
    train: int
    test: int
    fields: tuple[Facts, ...]
    patterns: Mapping[str, int]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def census(dataset: Dataset, columns: Columns | None = None) -> Census:
    """`columns`: of a model's nodes; then patterns are those of its nodes."""
    groups = numbered(dataset.fields)
    inside = {name for names in groups.values() for name in names}
    names = [*(n for n in dataset.fields if n not in inside), *groups]
    fields = {name: field_of(dataset.fields, name) for name in names}
    facts = tuple(_facts(name, field) for name, field in fields.items() if field is not None)
    if columns is None:
        known = {name: _known(field) for name, field in fields.items() if field is not None}
    else:
        known = {name: column.known.cpu().numpy() for name, column in columns.columns.items()}
    notes = dataset.notes if columns is None else columns.notes
    return Census(dataset.source, len(dataset.train), len(dataset.test), facts, patterns(known), notes)


def patterns(known: Mapping[str, Mask]) -> dict[str, int]:
    """Which are known together, most frequent first; those that are always known are left out."""
    gaps = {name: mask for name, mask in known.items() if not mask.all()}
    if not gaps:
        return {}
    rows, counts = np.unique(np.stack(list(gaps.values()), 1), axis=0, return_counts=True)
    named = [", ".join(n for n, k in zip(gaps, row, strict=True) if k) or "none" for row in rows]
    found = zip(named, map(int, counts), strict=True)
    return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _known(field: Field) -> Mask:
    """Rows with a value in some cell, [rows]."""
    there = ~_nan(field.values).reshape(len(field.values), -1).all(1)
    return np.asarray(there if field.known is None else there & field.known)


def _nan(values: Array) -> Mask:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)


def _facts(name: str, field: Field) -> Facts:
    known = _known(field)
    rows = field.values[known]
    missing = _nan(rows)
    there = rows[~missing]
    low, high = (float(there.min()), float(there.max())) if there.size else (None, None)
    shape = field.values.shape[1:]
    values = {} if shape else _values(there, field.classes)
    return Facts(name, shape, str(field.values.dtype), low, high, int(known.sum()), int(missing.sum()), values)


def _values(there: Array, classes: tuple[str, ...]) -> dict[str, int]:
    """Rows of each class: of names, or of at most 64 whole numbers that come back."""
    if not there.size or (there.dtype.kind == "f" and bool((there != np.rint(there)).any())):
        return {}
    counts = Counter(there.astype(np.int64).tolist())
    if not classes and (len(counts) > CLASSES or 2 * len(counts) > len(there)):
        return {}
    return {
        f"{classes[v]} = {v}" if classes else str(v): counts[v]
        for v in (range(len(classes)) if classes else sorted(counts))
    }


# --- as tables ------------------------------------------------------------------------------------------------


def tables(found: Census) -> list[Table]:
    """Fields; and, where some are unknown, what is known together."""
    rows = found.train + found.test
    title = f"{found.source}: {found.train:,} training rows, {found.test:,} held out"
    fields = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("field", "a row", "type", "from", "to", "known rows", "rows of each value"):
        fields.add_column(head, justify="right" if head in ("from", "to", "known rows") else "left")
    for f in found.fields:
        some = list(f.values.items())
        counts = ", ".join(f"{value}: {count:,}" for value, count in some[:SHOWN]) + (
            ", …" if len(some) > SHOWN else ""
        )
        gaps = f"{f.known:,}" + (f", {f.cells:,} cells empty" if f.cells else "")
        known = "all" if f.known == rows and not f.cells else gaps
        fields.add_row(f.name, _shape(f.shape), f.dtype, _number(f.low), _number(f.high), known, counts)
    if not found.patterns:
        return [fields]
    together = Table(box=box.SIMPLE_HEAD)
    together.add_column("known together")
    together.add_column("rows", justify="right")
    for pattern, count in list(found.patterns.items())[:PATTERNS]:
        together.add_row(pattern, f"{count:,}")
    if len(found.patterns) > PATTERNS:
        together.add_row(
            f"{len(found.patterns) - PATTERNS} other patterns", f"{sum(list(found.patterns.values())[PATTERNS:]):,}"
        )
    return [fields, together]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a number"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
