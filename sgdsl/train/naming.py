"""What the numbers of finite nodes stand for: names from the training data and values come in; words, or numbers, go out."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.errors import run_error


def value_names(info: NodeInfo, names: Sequence[str]) -> tuple[str, ...]:
    """A word for each value of a finite node: its name, or else its number."""
    values = range(info.first, info.first + info.classes)
    return tuple(names[v] if 0 <= v < len(names) else str(v) for v in values)


def as_numbers(node: str, value: object, names: Sequence[str]) -> object:
    """Names as the numbers they stand for; numbers, and everything else, as they are. Raises RunError: E0665."""
    found = np.asarray(value) if isinstance(value, str | list | tuple | np.ndarray) else None
    if found is None or found.dtype.kind != "U":
        return value
    for word in found.flatten().tolist():
        if word not in names:
            near = get_close_matches(word, names, 1)
            hint = (
                f"did you mean `{near[0]}`?" if near else f"its values: {', '.join(names)}" if names else f"{node} = 0"
            )
            raise run_error(
                "E0665", f"`{node}` has no value `{word}`" + ("" if names else ": its values are numbers"), hint=hint
            )
    numbers = np.array([list(names).index(word) for word in found.flatten().tolist()]).reshape(found.shape)
    return numbers if found.shape else int(numbers)
