"""The data of a run by node: what binding makes and everything after it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sgdsl.train.supports import Form

Ink = Literal["none", "threshold", "dynamic"]


@dataclass(frozen=True, slots=True)
class Column:
    """A node's data, in loops [rows, copies, …] instead of [rows] throughout. `values` [rows, *event] as stored (see
    supports.Stored); `known` [rows], where the data has a value; `ink`: how grey levels become 0 and 1; `scale`: 255 where
    the field's numbers were bytes; `present` [rows, *event]: which cells of a partial node are there."""

    values: Tensor
    known: Tensor
    form: Form
    ink: Ink = "none"
    scale: int = 1
    present: Tensor | None = None

    def to(self, device: torch.device) -> Column:
        present = None if self.present is None else self.present.to(device)
        return Column(self.values.to(device), self.known.to(device), self.form, self.ink, self.scale, present)


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of every node that has data, and what was decided about them. `counted`: nodes whose field is counted by
    another (see Dataset), with the node that reads the count, "" for none. `counts[y]`: the supervised k of the loops `1..k`
    that the node y is in."""

    columns: Mapping[str, Column]
    rows: int
    notes: tuple[str, ...] = ()
    counted: Mapping[str, str] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def to(self, device: torch.device) -> Table:
        return replace(self, columns={name: column.to(device) for name, column in self.columns.items()})
