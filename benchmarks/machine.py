"""Describes where the benchmark ran: nothing comes in, a record goes out."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_tile")
PACKAGES = ("torch", "numpy", "jax", "jaxlib", "numpyro", "pyro-ppl", "pixyz")


def describe() -> dict[str, object]:
    """The processor, its flags that matter to matrix products, packages, and the load when the benchmark starts."""
    return {
        "processor": _processor(),
        "flags": [f for f in FLAGS if f in _flags()],
        "cores": os.cpu_count(),
        "threads": 1,
        "python": platform.python_version(),
        "packages": {p: v for p in PACKAGES if (v := _version(p))},
        "load at the start": round(os.getloadavg()[0], 2),
    }


def _cpuinfo(field: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    return _cpuinfo("flags").split()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
