"""What tables have in common, of text or typed: names of columns and fields come in, what they share goes out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from sgdsl.train.dataset import Array, Field
from sgdsl.train.errors import data_error


def check_columns(first: Path, names: Collection[str], other: Path, others: Collection[str]) -> None:
    """That training and held-out rows have the same columns. Raises DataError: E0623."""
    if odd := sorted(set(names) ^ set(others)):
        lacks = first if odd[0] in others else other
        message = f"{lacks.name}: the column `{odd[0]}` is missing: training and held-out rows need the same columns"
        raise data_error("E0623", message)


def strata(fields: Mapping[str, Field]) -> Array | None:
    """The classes of `y`, where it is one column of few; rows without are a class of their own."""
    field = fields.get("y")
    if field is None or field.values.ndim != 1:
        return None
    values = np.nan_to_num(field.values.astype(np.float64), nan=-1.0)
    return values if len(np.unique(values)) <= np.sqrt(len(values)) + 1 else None
