"""From stored columns to what a model reads: row numbers come in, values by node in the step's floating point go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.train.bind import Column, Table


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
    """1 with probability raw / 255 (to within 1/65,536), else 0, of raw [rows, *event] uint8: one random byte a cell is compared
    with raw. Where they are equal, in one of 256, a second one decides, for which all rows share the bytes of one: two rows
    meet on a shared byte in one of 65,536. A fifteenth of the time of torch.bernoulli."""
    drawn = torch.empty(raw.shape, dtype=torch.get_default_dtype(), device=raw.device)
    first, second = _bytes(raw, noise), _bytes(raw[:1], noise)
    ink = torch.lt(first, raw) | (torch.eq(first, raw) & torch.lt(second, raw))
    return drawn.copy_(ink.view(torch.uint8))  # from bool the copy takes five times as long


def _bytes(like: Tensor, noise: torch.Generator) -> Tensor:
    """Random bytes in the shape of `like`; eight share one 64-bit number."""
    cells = like.numel()
    bits = torch.empty(-(-cells // 8), dtype=torch.int64, device=like.device).random_(-(2**63), None, generator=noise)
    return bits.view(torch.uint8)[:cells].view(like.shape)


def drawn_levels(raw: Tensor, noise: torch.Generator) -> Tensor:
    """1 with probability raw, else 0."""
    uniform = torch.empty_like(raw).uniform_(generator=noise)
    return (uniform < raw).to(torch.get_default_dtype())
