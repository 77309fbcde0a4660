"""What lowering hands to checking: every name of a file with what it stands for, constants folded, settings checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sgdsl.base.source import Source
from sgdsl.frontend import syntax
from sgdsl.middle import ir

Constants = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Draft:
    """`lets` and `nets` stand in an order in which each reads only earlier ones; `reach`: the nodes that a let reads,
    through other lets too; `statements`: as in ir.Model."""

    source: Source
    model: syntax.ModelLine
    consts: Constants
    nodes: Mapping[str, ir.Node]
    lets: Mapping[str, syntax.Let]
    nets: Mapping[str, syntax.Net]
    reach: Mapping[str, frozenset[str]]
    factors: tuple[syntax.Factor, ...]
    statements: tuple[tuple[str, str], ...]
    objective: tuple[ir.Setting, ...]
    train: tuple[ir.Setting, ...]
    data: ir.Data | None
