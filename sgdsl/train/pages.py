"""Pages of memory stay with the process while it trains: a device comes in; glibc's allocator is set, and set back.

A step frees buffers and asks for the same again. glibc maps each of over 32 MiB afresh and unmaps it when it is freed, and the
kernel clears its pages one by one: a fifth of a step with many draws (docs/performance.md).
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SWITCH = "SGDSL_KEEP_PAGES"
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # of malloc.h
KEPT = ((MMAP_MAX, 0), (TRIM_THRESHOLD, 2**31 - 1))
# glibc's own values, the thresholds as they end when they follow the sizes that are freed: that is off once they were set
USUAL = ((MMAP_MAX, 65_536), (MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 64 << 20))


@contextmanager
def kept_pages(device: torch.device) -> Iterator[None]:
    """Inside, what is freed is kept for the next one who asks; afterwards it goes back to the system. Nothing happens on
    another device, on another C library, or where the environment has SGDSL_KEEP_PAGES=0 or settings of malloc."""
    if not wanted(device):
        yield
        return
    libc = ctypes.CDLL(None)
    for setting in KEPT:
        libc.mallopt(*setting)
    try:
        yield
    finally:
        for setting in USUAL:
            libc.mallopt(*setting)
        libc.malloc_trim(0)


def wanted(device: torch.device) -> bool:
    """Whether it is ours to decide how this process gets its memory."""
    glibc = device.type == "cpu" and platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
    told = (
        any(n.startswith("MALLOC_") or "glibc.malloc" in v for n, v in os.environ.items()) or "LD_PRELOAD" in os.environ
    )
    return glibc and not told and os.environ.get(SWITCH) != "0"
