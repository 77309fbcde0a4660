"""Pages that stay with the process while it trains."""

from __future__ import annotations

import ctypes
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sgdsl.train.pages import SWITCH, kept_pages, wanted

CPU = torch.device("cpu")
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is another one")


def faults(times: int) -> int:
    """Pages that the kernel had to hand out for a buffer of 64 MiB, asked for and freed some times."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        buffer = libc.malloc(1 << 26)
        ctypes.memset(buffer, 1, 1 << 26)
        libc.free(buffer)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """MiB of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


@glibc
def test_pages_are_kept_inside_and_given_back_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the steps of a run from 16,384 page faults a buffer, and the caller's process from keeping them."""
    for name in ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD", SWITCH):
        monkeypatch.delenv(name, raising=False)
    call = "from tests.train.test_pages import keep; keep()"  # in a process of its own, whose heap has no holes
    subprocess.run([sys.executable, "-c", call], check=True, cwd=Path(__file__).parents[2])


def keep() -> None:
    """What the test above asks of a fresh process."""
    torch.set_num_threads(1)
    with kept_pages(CPU):
        faults(2)
        assert faults(4) < 1000
        inside = resident()
    assert resident() < inside - 48


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD", SWITCH):
        monkeypatch.delenv(name, raising=False)
    assert wanted(CPU) == (platform.libc_ver()[0] == "glibc")
    assert not wanted(torch.device("cuda"))
    monkeypatch.setenv(SWITCH, "0")
    assert not wanted(CPU)
    monkeypatch.delenv(SWITCH)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    assert not wanted(CPU)
