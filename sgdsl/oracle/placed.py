"""One row at the draws that a step took: recorded noise comes in; every node's value and log-probability at each sample and
each assignment of the row's enumerated unknown nodes go out, [S, A]."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle import exact
from sgdsl.oracle.grid import finite_values, product, q_order
from sgdsl.oracle.noise import Drawn, binary_logits, class_logits, one_hot
from sgdsl.oracle.program import Compiled

RELAXED = ("gumbel", "straight_through")


class Placed:
    """Values are [S · A or 1, …]. `drawn`: the row's own draws; nodes in `without` have no value here, and what reads them
    must not be asked for."""

    def __init__(
        self,
        compiled: Compiled,
        row: Mapping[str, Tensor],
        known: tuple[str, ...],
        drawn: Mapping[str, Drawn],
        samples: int,
        without: Collection[str] = (),
    ) -> None:
        model, chosen = compiled.ir, compiled.chosen
        self.compiled, self.reader, self.row, self.known, self.drawn = compiled, compiled.reader, row, known, drawn
        listed = [n for n in q_order(model) if chosen[n] == "enumerate" and n not in known]
        self.sizes = {n: model.node(n).type.cardinality or 0 for n in listed}
        table = product(list(self.sizes.values()))
        self.digits = {n: table[:, i] for i, n in enumerate(listed)}
        self.scopes = {n: [c for c in s if c in self.sizes] for n, s in exact.static_scopes(model, chosen).items()}
        self.samples, self.shape = samples, (samples, len(table))
        self.values = {n.name: row[n.name][None].double() for n in model.nodes if n.role in ("observed", "given")}
        self.soft: dict[str, Tensor] = {}
        for name in q_order(model):
            if name not in without:
                self._place(model.factor("q", name))

    @property
    def zeros(self) -> Tensor:
        return torch.zeros(self.shape, dtype=torch.float64)

    def log_prob(self, factor: ir.Factor) -> Tensor:
        """log p or log q of a node, [S, A]; of a Delta 0."""
        if factor.family == "Delta":
            return self.zeros
        found = self.reader.log_prob(factor, self.values, self.soft)
        if factor.node in self.compiled.closed:
            found = self._averaged(factor)
        return found.expand(math.prod(self.shape)).reshape(self.shape)

    def _averaged(self, factor: ir.Factor) -> Tensor:
        """log p or log q of a Normal node averaged over q: quadratic in each cell, so the mean of its values at loc ± scale."""
        q = self.reader.parameters(self.compiled.ir.factor("q", factor.node), self.values)
        loc, scale = torch.broadcast_tensors(q["loc"], q["scale"], self.values[factor.node])[:2]
        ends = ({**self.values, factor.node: value} for value in (loc + scale, loc - scale))
        high, low = (self.reader.log_prob(factor, values, self.soft) for values in ends)
        return (high + low) / 2

    def kind(self, name: str) -> str:
        """Of a node of q: known, enumerate or drawn."""
        return "known" if name in self.known else "enumerate" if name in self.sizes else "drawn"

    def once(self, name: str, log_q: Tensor) -> Tensor:
        """Σ over a node's draws of a sample, each once: [S, A] → [S]."""
        return log_q[:, exact.first_uses(self._copies(name))].sum(1)

    def _copies(self, name: str) -> Tensor:
        return exact.copies_of(self.scopes[name], self.sizes, self.digits)

    def _place(self, factor: ir.Factor) -> None:
        """The value of one node of q."""
        name, kind = factor.node, self.compiled.ir.node(factor.node).type
        relaxed = self.compiled.chosen[name] in RELAXED
        if name in self.known:
            label = self.row[name][None].double()
            self.values[name] = one_hot(label, kind.first, kind.values or 0) if relaxed and kind.one_hot else label
            if relaxed:
                self.soft[name] = self.values[name]
        elif name in self.sizes:
            self.values[name] = finite_values(kind)[self.digits[name]].repeat(self.samples, *[1] * len(kind.event))
        else:
            at = self.reader.parameters(factor, self.values)
            self.values[name] = at["value"] if factor.family == "Delta" else self._again(name, at)
            if relaxed:
                self.soft[name] = class_logits(at).softmax(-1) if kind.one_hot else binary_logits(at).sigmoid()
                self.soft[name] = self.soft[name].expand(self.values[name].shape)
            elif factor.family == "Categorical":
                self.values[name] = self.values[name] + kind.first

    def _again(self, name: str, at: Mapping[str, Tensor]) -> Tensor:
        """The recorded draw of each sample and assignment, made anew from these parameters; that of a scored node is a value
        without a path, whatever its family."""
        copies = self._copies(name).expand(self.shape[1])
        draw = self.drawn[name].map(lambda t: t[:, copies].flatten(0, 1))
        return (draw.value if self.compiled.chosen[name] == "score" else draw.again(at)).double()
