"""Numbers below the smallest normal one, 1e-38 in float32, count as 0 while a run trains: a device comes in; the processor is
set, and set back.

It computes with them by far slower. They are common in long sequences, where the gradients of early steps fade, and in Adam's
moments of a weight whose gradient has been 0 for long (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed_denormals(device: torch.device) -> Iterator[None]:
    """Inside, on a CPU that can, they are 0; afterwards as before. Nothing happens on another device."""
    if device.type != "cpu" or flushed() or not torch.set_flush_denormal(True):
        yield
        return
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def flushed() -> bool:
    """Whether they are 0 now, in this thread."""
    return float(torch.full((), torch.finfo(torch.float32).tiny) / 2) == 0
