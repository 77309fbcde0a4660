"""What the numbers of finite nodes stand for: names from the training data and values come in; words, or numbers, go out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.errors import run_error


def class_names(config: Mapping[str, Any], node: str) -> tuple[str, ...]:
    """The names of a node's classes by number, as config.json has them; empty where the training data name none."""
    return tuple(config.get("classes", {}).get(node, ()))


def value_names(info: NodeInfo, names: Sequence[str]) -> tuple[str, ...]:
    """A word for each value of a finite node: its name, or else its number."""
    values = range(info.first, info.first + info.classes)
    return tuple(names[v] if 0 <= v < len(names) else str(v) for v in values)


def as_numbers(node: str, value: object, names: Sequence[str]) -> object:
    """Words as the numbers they stand for: the number of that name, or a number that is written out; anything but words as it
    is. Where all names are written like numbers a word is a name. Raises RunError: E0665."""
    try:
        found = np.asarray(value) if isinstance(value, str | list | tuple | np.ndarray) else None
    except ValueError:
        raise run_error("E0665", f"`{node}`: the lists of {value!r} differ in length") from None
    if found is None or not found.size or not isinstance(found.flat[0], str):
        return value
    numbers = np.array([_number(node, str(word), names) for word in found.flatten().tolist()]).reshape(found.shape)
    return numbers if found.shape else numbers.item()


def _number(node: str, word: str, names: Sequence[str]) -> float:
    if word in names:
        return list(names).index(word)
    written = _read(word)
    if written is not None and not (names and all(_read(name) is not None for name in names)):
        return written
    near = get_close_matches(word, names, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"its values: {', '.join(names)}" if names else f"{node} = 0"
    raise run_error(
        "E0665", f"`{node}` has no value `{word}`" + ("" if names else ": its values are numbers"), hint=hint
    )


def _read(word: str) -> float | None:
    """A finite number as it is written in JSON: whole ones stay whole."""
    try:
        number = json.loads(word)
    except ValueError:
        return None
    return (
        number if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) else None
    )
