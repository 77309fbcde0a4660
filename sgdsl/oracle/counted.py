"""Loops written out for every number of copies: values and weights come in, each outcome read by the model of its own number
of copies goes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.middle.unrolled import Unrolled, unrolled
from sgdsl.oracle.interpret import Reader
from sgdsl.oracle.shared import shared

Counts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WrittenOut:
    """A model's loops written out. `names`: the count nodes of loops `1..k`; `flats`: by the values of these; `full`: the
    one with most copies, in which whoever reads a reduction over copies has the count among its parents."""

    names: tuple[str, ...]
    flats: Mapping[Counts, Unrolled]
    full: ir.Model

    @property
    def most(self) -> Unrolled:
        """With all copies."""
        return self.flats[max(self.flats)]

    def reader(self, state: Mapping[str, Tensor]) -> Reader:
        readers = {k: Reader(flat.model, shared(flat, state)) for k, flat in self.flats.items()}
        most = readers[max(readers)]
        return CountedReader(most.model, most.state, self.names, readers) if self.names else most

    def exists(self, node: str, counts: Mapping[str, int]) -> bool:
        """Whether a copy does with these values of the counts."""
        return node in self.flats[tuple(counts[n] for n in self.names)].copies


def written_out(model: ir.Model) -> WrittenOut:
    """For every value of the count nodes."""
    names = tuple(dict.fromkeys(a.count for a in model.axes if a.count is not None))
    kinds = [model.node(n).type for n in names]
    every = product(*(range(k.first, k.first + (k.values or 0)) for k in kinds))
    flats = {counts: unrolled(model, dict(zip(names, counts, strict=True))) for counts in every}
    return WrittenOut(names, flats, _with_counts(model, flats[max(flats)].model))


def _with_counts(model: ir.Model, most: ir.Model) -> ir.Model:
    """Adds counts as parents where reductions, of which they say the copies, are read."""
    counted: dict[str, str] = {}
    for let in model.lets:
        if isinstance(let.value, ir.Over):
            source = model.valued(let.value.source.name)
            if (count := model.axis(source.axes[-1].axis).count) is not None:
                counted[let.name] = count
    reads = {h.name: _names(h.value) for h in most.lets}

    def counts(names: tuple[str, ...]) -> tuple[str, ...]:
        seen, todo = set[str](), list(names)
        while todo:
            if (name := todo.pop()) not in seen:
                seen.add(name)
                todo += reads.get(name, ())
        return tuple(dict.fromkeys(k for n, k in counted.items() if any(_is_copy(s, n) for s in seen)))

    p, q = (
        tuple(replace(f, given=tuple(dict.fromkeys((*f.given, *counts(f.given))))) for f in factors)
        for factors in (most.p, most.q)
    )
    return replace(most, p=p, q=q)


def _is_copy(name: str, let: str) -> bool:
    return name == let or name.startswith(f"{let}[")


def _names(expr: object) -> tuple[str, ...]:
    """Names in an expression, found by walking its frozen fields."""
    if isinstance(expr, ir.Ref):
        return (expr.name,)
    if isinstance(expr, tuple):
        return tuple(n for e in expr for n in _names(e))
    inner = [getattr(expr, k) for k in ("args", "items", "network", "inputs") if hasattr(expr, k)]
    return tuple(n for e in inner if not callable(e) for n in _names(e))


@dataclass(frozen=True, slots=True)
class CountedReader(Reader):
    """Factors are those of the full model; each outcome is read by the model with as many copies as it says."""

    counts: tuple[str, ...]
    readers: Mapping[Counts, Reader]

    def log_prob(
        self, factor: ir.Factor, values: Mapping[str, Tensor], soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Of a copy that does not exist the same on both sides, and of a finite one uniform, so that it cancels."""
        soft = soft or {}
        kind = self.model.node(factor.node).type
        nothing = -math.log(kind.cardinality) if kind.cardinality else 0.0

        def one(reader: Reader | None, at: Mapping[str, Tensor], relaxed: Mapping[str, Tensor]) -> Tensor:
            if reader is None:
                return torch.full((1,), nothing, dtype=torch.float64)
            return reader.log_prob(_own(reader, factor), at, relaxed)

        return self._each(factor, values, soft, one)

    def parameters(self, factor: ir.Factor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of a copy that does not exist as though it did."""
        most = self.readers[max(self.readers)]
        found: dict[str, Tensor] = {}
        for name in most.parameters(_own(most, factor), values):

            def one(reader: Reader | None, at: Mapping[str, Tensor], _: Mapping[str, Tensor], n: str = name) -> Tensor:
                chosen = reader or most
                return chosen.parameters(_own(chosen, factor), at)[n]

            found[name] = self._each(factor, values, {}, one)
        return found

    def _each(
        self,
        factor: ir.Factor,
        values: Mapping[str, Tensor],
        soft: Mapping[str, Tensor],
        one: Callable[[Reader | None, Mapping[str, Tensor], Mapping[str, Tensor]], Tensor],
    ) -> Tensor:
        """`one` of the reader of each number of copies, None where the factor's copy does not exist, at the outcomes that have
        that number."""
        if not set(self.counts) <= values.keys():  # drawn before the counts: they change nothing yet
            return one(self.readers[max(self.readers)], values, soft)
        columns = torch.broadcast_tensors(*(values[n].long() for n in self.counts))
        found: list[tuple[Tensor, Tensor]] = []
        for counts, reader in self.readers.items():
            at = torch.stack([c == k for c, k in zip(columns, counts, strict=True)]).all(0).nonzero()[:, 0]
            if len(at):
                cut = [{n: v[at] if len(v) > 1 else v for n, v in d.items()} for d in (values, soft)]
                if len(columns[0]) == 1:
                    cut = [dict(values), dict(soft)]
                there = any(n.name == factor.node for n in reader.model.nodes)
                found.append((at, one(reader if there else None, cut[0], cut[1])))
        if len(found) == 1:
            return found[0][1]
        parts = [part.expand(len(at), *part.shape[1:]) for at, part in found]
        order = torch.cat([at for at, _ in found]).argsort()
        return torch.cat(parts)[order]


def _own(reader: Reader, factor: ir.Factor) -> ir.Factor:
    return reader.model.factor(factor.side, factor.node)
