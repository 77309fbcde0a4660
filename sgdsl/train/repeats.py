"""Values that are asked with, and answers: one for all draws, or a draw each, come in; arrays go out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def repeated(value: object, n: int, shape: tuple[int, ...]) -> object:
    """One value for all draws, or one a draw."""
    found = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    if found.dtype.kind not in "buif":
        return np.broadcast_to(found, (n, *found.shape))  # bind says what is wrong
    if found.shape == shape or found.ndim == 0:
        return np.broadcast_to(found, (n, *shape))
    return found if len(found) == n else np.broadcast_to(found[None], (n, *found.shape))


def joined(parts: list[Any]) -> Any:
    """The answers of some rows at a time, as one."""
    if isinstance(parts[0], tuple):
        return tuple(joined([part[i] for part in parts]) for i in range(len(parts[0])))
    return torch.cat(parts).cpu().numpy()
