"""The arithmetic of a run's networks: a device and the wanted precision come in; whether bfloat16 is used goes out.

A processor without products of bfloat16 takes ten times as long for them as for those of float32 (docs/performance.md): there the
networks stay in float32, which is also the more precise, and a warning says so.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from sgdsl.train.diagnosis import Finding
from sgdsl.train.settings import Train


@functools.cache
def multiplies_bf16(kind: str) -> bool:
    """Whether a device of this kind has products of bfloat16; taken for granted of processors other than x86, and where torch
    is too old to tell."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu":
        return True
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return able.get("architecture") != "x86_64" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def in_bf16(settings: Train, device: torch.device) -> bool:
    """Whether the networks of a step are computed in bfloat16."""
    return settings.precision == "bf16" and multiplies_bf16(device.type)


def missed(settings: Train, device: torch.device) -> Iterator[Finding]:
    """W0644: bf16 is asked for and float32 is used."""
    if settings.precision == "bf16" and not in_bf16(settings, device):
        yield Finding(
            "W0644",
            "`precision = bf16`, but this device has no products of bfloat16: the networks are computed in float32",
            "emulated, a step takes about ten times as long",
            "precision = highest says the same here; another processor, or a GPU, has them",
        )
