"""What lowering hands to checking: every name of a file with what it stands for, constants folded, settings checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdsl.base.source import Source, Span
from sgdsl.frontend import syntax
from sgdsl.middle import ir

Constants = Mapping[str, float]


def ranges_of(head: syntax.Name, ranges: Mapping[str, ir.Range]) -> tuple[ir.Range, ...]:
    """The loops that a resolved head stands in."""
    return tuple(ranges[i.text] for i in head.index if isinstance(i, syntax.Name))


@dataclass(frozen=True, slots=True)
class Auto:
    """How factors of q are made. `network`: the one to use, its `text` as written; `place`: where in Draft.statements
    they go, at the line `q auto` or at the end; `span`: that line, None where there is none."""

    after: bool
    network: syntax.Expr | None
    text: str
    place: int
    span: Span | None


@dataclass(frozen=True, slots=True)
class Draft:
    """`lets` and `nets` stand in an order in which each reads only earlier ones; `reach`: the nodes that a let reads,
    through other lets too; `statements`: as in ir.Model; `made`: the factors of q among `factors` that the compiler made,
    by their text, and `lines`, all that it wrote through loops; `ranges`: of loops, by name; `file_lets`: the lets in the
    order of the file, those that are made before what reads them."""

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
    auto: Auto
    made: Mapping[str, ir.Made] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    uses: Mapping[str, ir.Use] = field(default_factory=dict)
    axes: tuple[ir.Axis, ...] = ()
    ranges: Mapping[str, ir.Range] = field(default_factory=dict)
    file_lets: tuple[str, ...] = ()

    @property
    def roles(self) -> dict[str, ir.Role]:
        """Every node's role, in the order of the file."""
        return {node.name: node.role for node in self.nodes.values()}

    def parents(self, side: ir.Side) -> dict[str, tuple[str, ...]]:
        """For each node with a factor on a side, the nodes that its factors name, directly or through lets."""
        found: dict[str, tuple[str, ...]] = {}
        for factor in self.factors:
            if factor.side == side:
                read = [n for g in factor.given for n in sorted(self.reach.get(g.text, (g.text,)))]
                found[factor.node.text] = tuple(dict.fromkeys((*found.get(factor.node.text, ()), *read)))
        return found
