"""Models with loops made by hand: a flat model of one copy comes in, the typed model with its axes goes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import ir
from sgdsl.oracle.program import build, fill


def checked(text: str) -> driver.Checked:
    return driver.check(Source("loops.sgm", text))


def looped(flat: ir.Model, axes: Iterable[ir.Axis], within: Mapping[str, tuple[ir.Range, ...]]) -> ir.Model:
    """Every node and let of `within` over these ranges, with its factors."""
    nodes = tuple(replace(n, axes=within.get(n.name, ())) for n in flat.nodes)
    lets = tuple(replace(h, axes=within.get(h.name, ())) for h in flat.lets)
    p, q = (tuple(replace(f, place=within.get(f.node, ())) for f in side) for side in (flat.p, flat.q))
    return replace(flat, nodes=nodes, lets=lets, p=p, q=q, axes=tuple(axes))


def weights(text: str, size: float = 0.7) -> dict[str, Tensor]:
    """The weights of a flat model's emitted module, from a formula, float64."""
    compiled = build(driver.compile_source(Source("loops.sgm", text)), "snis")
    fill(compiled.module, size)
    return {n: t.detach().clone() for n, t in compiled.module.named_parameters()}


def values(model: ir.Model, seed: int) -> dict[str, Tensor]:
    """One row's value of every node of a flat model, [1, *event]."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for node in model.nodes:
        kind = node.type
        if kind.values is not None:
            found[node.name] = torch.randint(
                kind.first, kind.first + kind.values, (1, *kind.event), generator=generator
            )
        else:
            found[node.name] = torch.randn(1, *kind.event, generator=generator, dtype=torch.float64)
    return found
