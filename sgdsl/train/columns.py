"""Columns that are the cells of one node: fields named x_0, x_1, … come in, one field x goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from sgdsl.train.dataset import Array, Field

NUMBER = re.compile(r"(?P<stem>.*?\D)(?P<open>[_.\[ ]?)(?P<number>\d+)\]?")


def stems(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Stems and the names that they count through, in order: x_0, x_1, x_2; pixel1, pixel2; v[0], v[1]. Two or more, each
    number from 0 or 1 once; a stem that is a name itself has none."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        if match := NUMBER.fullmatch(name):
            found.setdefault(match["stem"].rstrip("_.[ "), {}).setdefault(int(match["number"]), name)
    groups = {}
    for stem, members in found.items():
        order = sorted(members)
        if len(order) > 1 and order[0] in (0, 1) and order[-1] - order[0] + 1 == len(order) and stem not in names:
            groups[stem] = tuple(members[i] for i in order)
    return groups


def numbered(fields: Mapping[str, Field]) -> dict[str, tuple[str, ...]]:
    """The stems of the fields that are a number a row."""
    return stems([name for name, field in fields.items() if field.values.ndim == 1])


def column_names(fields: Mapping[str, Field], wanted: str) -> tuple[str, ...]:
    """The fields that a node bound to `wanted` reads."""
    return (wanted,) if wanted in fields else numbered(fields).get(wanted, ())


def field_of(fields: Mapping[str, Field], wanted: str) -> Field | None:
    """The field of that name, or the one that its numbered columns make; None where there is neither."""
    if wanted in fields:
        return fields[wanted]
    names = numbered(fields).get(wanted, ())
    return _joined([fields[name] for name in names], names) if names else None


def _joined(columns: list[Field], names: tuple[str, ...]) -> Field:
    """Scalars side by side, [rows, columns]; what is not known becomes NaN."""
    first = columns[0]
    values = np.stack([_with_nan(column) for column in columns], axis=1)
    between = f"{names[0]} … {names[-1]}"
    parts = tuple((start, name.replace(f"`{names[0]}`", f"`{between}`")) for start, name in first.parts)
    return Field(values, None, parts, first.where, names, first.classes, all(c.nan_only for c in columns))


def _with_nan(column: Field) -> Array:
    return column.values if column.known is None else np.where(column.known, column.values, np.nan)
