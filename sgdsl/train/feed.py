"""From stored columns to what a model reads: row numbers come in, values by node in the step's floating point go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.train.bind import Column, Table

LEVELS = 1 << 16


@dataclass(frozen=True, slots=True)
class Feed:
    """Columns on the device, with the labels that may be seen: `granted[node]` bool [all rows]."""

    table: Table
    granted: Mapping[str, Tensor]

    def rows(self, index: Tensor, noise: torch.Generator | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values [rows, *event] and masks [rows] of the rows `index`, for make_batch. `noise` None: grey levels stay as
        they are, the mean of what is drawn with it."""
        values = {name: read(column, index, noise) for name, column in self.table.columns.items()}
        return values, {name: mask.index_select(0, index) for name, mask in self.granted.items()}


def read(column: Column, index: Tensor, noise: torch.Generator | None) -> Tensor:
    """The values of some rows, [rows, *event]: float, or int64 for a class. Missing cells are NaN, or −1 for a class."""
    found = _read(column, index, noise)
    if column.present is None:
        return found
    missing = torch.full((), torch.nan if found.is_floating_point() else -1, dtype=found.dtype, device=found.device)
    return torch.where(column.present.index_select(0, index), found, missing)


def _read(column: Column, index: Tensor, noise: torch.Generator | None) -> Tensor:
    raw = column.values.index_select(0, index)
    if column.ink == "threshold":
        return (raw > (127 if column.form == "bytes" else 0.5)).to(torch.get_default_dtype())
    if column.ink == "dynamic" and noise is not None:
        return drawn_bytes(raw, noise) if column.form == "bytes" else drawn_levels(raw, noise)
    if column.form == "bytes":
        return raw.to(torch.get_default_dtype()).div_(255)
    return raw.to(torch.get_default_dtype()) if column.form == "bits" else raw


def drawn_bytes(raw: Tensor, noise: torch.Generator) -> Tensor:
    """1 with probability raw / 255 (to within 1/65,536), else 0: 16 random bits are compared with 257 · raw. Four cells share
    one 64-bit number, and the comparison writes floats at once: a fifth of the time of torch.bernoulli."""
    cells = raw.numel()
    bits = torch.empty(cells // 4 + 1, dtype=torch.int64, device=raw.device).random_(-(2**63), None, generator=noise)
    short = bits.view(torch.int16)[:cells].view(raw.shape)
    level = raw.to(torch.int16).mul_(257).sub_(LEVELS // 2)
    drawn = torch.empty(raw.shape, dtype=torch.get_default_dtype(), device=raw.device)
    return torch.lt(short, level, out=drawn)


def drawn_levels(raw: Tensor, noise: torch.Generator) -> Tensor:
    """1 with probability raw, else 0."""
    uniform = torch.empty_like(raw).uniform_(generator=noise)
    return (uniform < raw).to(torch.get_default_dtype())
