"""What every emitted model can do off the hot path: values by name come in, draws along q or p and log-probabilities go out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from sgdsl.runtime.batch import Batch, NodeInfo, present_cells
from sgdsl.runtime.chains import Reading
from sgdsl.runtime.copied import Carried, Copied, entries
from sgdsl.runtime.densities import DENSITIES
from sgdsl.runtime.densities_moments import MIXTURE, Moments, moments
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.experts import among, mixture_log_prob
from sgdsl.runtime.grouping import Grouping
from sgdsl.runtime.levels import Copies
from sgdsl.runtime.masks import over_present
from sgdsl.runtime.networks import unknown, where_known
from sgdsl.runtime.placed import Drawn as Drawn
from sgdsl.runtime.placed import Parameters as Parameters
from sgdsl.runtime.placed import Turn as Turn
from sgdsl.runtime.placed import Values as Values
from sgdsl.runtime.places import Over, View

FLAT = Batch({}, {}, {}, 0, torch.float32)  # of a model without loops


class Queries(nn.Module):
    """The base of an emitted model: ancestral draws and densities on mappings by node name."""

    LEVELS: ClassVar[tuple[tuple[str, ...], ...]]
    NODES: ClassVar[Mapping[str, NodeInfo]]
    ORDER_P: ClassVar[tuple[str, ...]]
    ORDER_Q: ClassVar[tuple[str, ...]]
    GROUPS: ClassVar[Grouping | None] = None
    RANGES: ClassVar[Mapping[str, Copies]] = {}
    VIEWS: ClassVar[Mapping[str, View]] = {}
    OVERS: ClassVar[Mapping[str, Over]] = {}
    READINGS: ClassVar[Mapping[str, Reading]] = {}
    VARYING: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {}
    PIECES: ClassVar[Mapping[str, Mapping[str, Mapping[str, str]]]] = {}
    CARRIED: ClassVar[Mapping[str, tuple[Carried, ...]]] = {}

    @abstractmethod
    def parameters_q(self, node: str, v: Values, batch: Batch = FLAT) -> Parameters:
        """The parameters of q(node | …) at values [S or 1, entries, *event]; `batch`: where copies of loops stand."""

    @abstractmethod
    def parameters_p(self, node: str, v: Values, batch: Batch = FLAT) -> Parameters:
        """The parameters of p(node | …) at values [S or 1, entries, *event]; `batch`: where copies of loops stand."""

    def draw_q(self, values: Values, known: Values, draws: Draws, samples: int = 1) -> Drawn:
        """Every inferred node along q, clamped where known. `values[node]` [1 or S, rows, *event]: every observed and
        given node, and the known ones; `known[node]` bool [rows]. Of a node in loops [1 or S, rows, copies, …, *event] and
        [rows, copies, …], here as in every query."""
        rows = next(iter(values.values())).shape[1]
        return self._draw(self.ORDER_Q, self.parameters_q, "q", values, known, draws, (samples, rows))

    def draw_p(self, values: Values, known: Values, draws: Draws, samples: int = 1, rows: int | None = None) -> Drawn:
        """Every modelled node along p, observed ones too, clamped where known. `rows` is needed when `values` is empty."""
        count = next(iter(values.values())).shape[1] if values else rows
        if count is None:
            raise ValueError("draw_p needs values or a number of rows")
        return self._draw(self.ORDER_P, self.parameters_p, "p", values, known, draws, (samples, count))

    def log_p(self, values: Values) -> dict[str, Tensor]:
        """log p of each modelled node at fully given values, [S or 1, rows]."""
        return self._log_probs(self.ORDER_P, "p", values)

    def log_q(self, values: Values) -> dict[str, Tensor]:
        """log q of each inferred node at fully given values, [S or 1, rows]."""
        return self._log_probs(self.ORDER_Q, "q", values)

    def in_turn_p(self, first: str, v: Values, batch: Batch, draw: Turn) -> dict[str, Tensor]:
        """All copies of nodes of p that need one another, the first by name, drawn place by place: [1, entries, …] each."""
        raise KeyError(first)

    def in_turn_q(self, first: str, v: Values, batch: Batch, draw: Turn) -> dict[str, Tensor]:
        """The same of q."""
        raise KeyError(first)

    def moments_q(self, node: str, drawn: Drawn) -> Moments:
        """Mean and variance of q of a node at values drawn along q, in the shape of its value; of a finite node the
        probabilities of its values, [.., values], and 0."""
        return self._moments(node, self.NODES[node].family_q, drawn)

    def moments_p(self, node: str, drawn: Drawn) -> Moments:
        """The same of p, at values drawn along p."""
        return self._moments(node, self.NODES[node].family_p, drawn)

    def _moments(self, node: str, family: str, drawn: Drawn) -> Moments:
        if self.RANGES:
            return drawn.moments[node]
        return moments(self.NODES[node], family, drawn.parameters[node], drawn.values[node])

    def moments_at(self, node: str, values: Values) -> Moments:
        """The same of p at given values of every node that it reads, and of the node itself."""
        if self.RANGES:
            return (copied := self.copied("p", values)).moments(node, copied.log_prob(node)[0])
        info = self.NODES[node]
        parameters = self.parameters_p(node, values)
        return moments(info, info.family_p, parameters, values[node])

    def log_labels(self, values: Values, known: Values) -> dict[str, Tensor]:
        """log q of the known copies alone, by node, in a model with loops, [S, rows]; 0 where nothing is known."""
        copied = self.copied("q", values, {n: ~m for n, m in known.items()})
        return {n: copied.log_prob(n)[1].reshape(copied.size) for n in known}

    def _log_probs(self, order: tuple[str, ...], side: str, values: Values) -> dict[str, Tensor]:
        parameters_of = self.parameters_p if side == "p" else self.parameters_q
        if self.RANGES:
            copied = self.copied(side, values)
            return {n: copied.log_prob(n)[1].reshape(copied.size) for n in order}
        return {n: self._log_prob(n, side, values, parameters_of(n, values)) for n in order}

    def copied(
        self, side: str, values: Values, known: Values | None = None, size: tuple[int, int] | None = None
    ) -> Copied:
        """A query of a model with loops: samples as rows, copies as entries. `size`: samples and rows, where no value says so."""
        samples, rows = size or (max(len(v) for v in values.values()), 0)
        rows = next(iter(values.values())).shape[1] if values else rows
        flat = {n: entries(v, samples, len(self.NODES[n].event)) for n, v in values.items()}
        masks = {n: m.flatten().repeat(samples) for n, m in (known or {}).items()}
        parameters_of = self.parameters_p if side == "p" else self.parameters_q
        copied = Copied(self, side, parameters_of, (samples, rows), flat, masks, FLAT)
        copied.put()
        return copied

    def _log_prob(self, node: str, side: str, values: Values, parameters: Parameters) -> Tensor:
        info, value = self.NODES[node], values[node]
        family = info.family_p if side == "p" else info.family_q
        if family == "delta":
            return torch.zeros(value.shape[:2], dtype=torch.get_default_dtype(), device=value.device)
        result = self._density(family, info, value, parameters)
        if result.dim() != 2:
            raise AssertionError(f"log {side}({node}) has shape {list(result.shape)}, not [samples, rows]")
        return result

    def _density(self, family: str, info: NodeInfo, value: Tensor, parameters: Parameters) -> Tensor:
        """The log-probability of a family by its name in NodeInfo; missing cells of a partial node leave the sum."""
        event, present = len(info.event), None
        if info.partial:
            value, present = present_cells(info, value)
        if family == "categorical":
            value = value - info.first
        if family.startswith(MIXTURE):
            weights, *rest = parameters
            assert isinstance(weights, Tensor)
            return mixture_log_prob(weights, DENSITIES[family.removeprefix(MIXTURE)](among(value), *rest, event=event))
        if present is not None:
            return over_present(present, DENSITIES[family](value, *parameters), event)
        return DENSITIES[family](value, *parameters, event=event)

    def _draw(
        self,
        order: tuple[str, ...],
        parameters_of: Callable[[str, Values], Parameters],
        side: str,
        values: Values,
        known: Values,
        draws: Draws,
        size: tuple[int, int],
    ) -> Drawn:
        if self.RANGES:
            log_r, found = (copied := self.copied(side, values, known, size)).draw(order, draws)
            return Drawn({n: copied.spread(n, v) for n, v in copied.values.items()}, log_r, {}, found)
        return self._drawn_flat(order, parameters_of, side, values, known, draws, size)

    def _drawn_flat(
        self,
        order: tuple[str, ...],
        parameters_of: Callable[[str, Values], Parameters],
        side: str,
        values: Values,
        known: Values,
        draws: Draws,
        size: tuple[int, int],
    ) -> Drawn:
        found = dict(values)
        parameters: dict[str, Parameters] = {}
        log_r: Tensor | None = None
        for node in order:
            info, mask = self.NODES[node], known.get(node)
            parameters[node] = parameters_of(node, found)
            if mask is not None and node in values and bool(mask.all()):
                continue
            family = info.family_p if side == "p" else info.family_q
            drawn = self._sample(family, info, parameters[node], draws, size)
            if mask is not None and node in values:
                found[node] = where_known(mask, values[node].to(drawn.dtype), drawn)
            else:
                found[node] = drawn
            log_prob = self._log_prob(node, side, found, parameters[node])
            if mask is not None and node in values:
                log_prob = unknown(mask, log_prob)
            log_r = log_prob if log_r is None else log_r + log_prob
        if log_r is None:
            log_r = torch.zeros(size, device=next(iter(found.values())).device)
        return Drawn(found, log_r.expand(size), parameters, {})

    def _sample(
        self, family: str, info: NodeInfo, parameters: Parameters, draws: Draws, size: tuple[int, int]
    ) -> Tensor:
        """A draw along a family by its name in NodeInfo, [*size, *event]."""
        shape = (*size, *info.event)
        if family == "delta":
            value = parameters[0]
            assert isinstance(value, Tensor)
            return value.expand(shape)
        if family.startswith(MIXTURE):
            weights, *rest = parameters
            assert isinstance(weights, Tensor)
            beside = (*size, weights.shape[-1], *info.event)
            return draws.mixture(weights, getattr(draws, family.removeprefix(MIXTURE))(beside, *rest))
        drawn: Tensor = getattr(draws, family)(shape, *parameters)
        return drawn + info.first if info.first else drawn
