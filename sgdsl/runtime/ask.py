"""What a trained model can be asked: an emitted model and values come in; beliefs, draws, log-probabilities, edits go out.

Written once, against draw_q, draw_p, log_p and log_q. Values are [1, rows, *event] by node name, as in Batch.values.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.beliefs import average, mixture_belief
from sgdsl.runtime.densities_real import Parameter
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.means import Means
from sgdsl.runtime.networks import labelled, spread
from sgdsl.runtime.queries import Drawn, Queries

Belief = Tensor | tuple[Tensor, Tensor]
ENTRIES = 50_000  # samples times rows at a time
CANDIDATES = 100  # draws of which one is kept, where held nodes have parents that are not


def posterior(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> dict[str, Belief]:
    """What q believes about every inferred node, averaged over draws that are weighed by the known labels (self-normalised
    importance weights w, docs/objective.md, section 1). A finite node: probabilities [rows, *event, values]; another:
    mean and standard deviation, [rows, *event] each, of an angle the circular ones. A known label is certain.

    A draw counts with its distribution given its parents, which is exact where the parents are not drawn; but an unknown
    ancestor of a known label counts with its value, since the weights depend on it."""
    drawn = model.draw_q(values, known, draws, samples)
    weight = log_weights(model, drawn, known).softmax(0)
    found: dict[str, Belief] = {}
    for node in model.ORDER_Q:
        info, value, moments = model.NODES[node], drawn.values[node], model.moments_q(node, drawn)
        fixed = _fixed(model, node, known, weight)
        if info.classes:
            exact = _one_hot(info, value, weight.dtype)
            mean = average(weight, torch.where(spread(fixed, exact), exact, moments[0]))
            certain = known.get(node, torch.zeros_like(fixed))
            found[node] = torch.where(
                certain.reshape(*certain.shape, *[1] * (mean.dim() - certain.dim())), exact[0], mean
            )
        else:
            means = torch.where(spread(fixed, value), value, moments[0])
            within = torch.where(spread(fixed, value), 0.0, moments[1])
            found[node] = mixture_belief(info, weight, means, within)
    return found


def log_weights(model: Queries, drawn: Drawn, known: Mapping[str, Tensor]) -> Tensor:
    """log w of each draw: log q of the known labels, 0 where nothing is known; [S, rows]."""
    if not known:
        return torch.zeros_like(drawn.log_r)
    if model.RANGES:
        return sum_of(model.log_labels(drawn.values, known), drawn.log_r)
    log_q = model.log_q(drawn.values)
    return sum_of({node: labelled(mask, log_q[node]) for node, mask in known.items()}, drawn.log_r)


def _fixed(model: Queries, node: str, known: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Rows where a node counts with its value: it is known, or a copy of it, or an ancestor in q of a known one; [rows]."""
    below = {node} | descendants(model.ORDER_Q, {n: i.parents_q for n, i in model.NODES.items()}, node)
    masks = [mask.reshape(len(mask), -1).any(1) for name, mask in known.items() if name in below]
    return torch.stack([torch.zeros_like(like[0], dtype=torch.bool), *masks]).any(0)


def sample(
    model: Queries, n: int, values: Mapping[str, Tensor], draws: Draws, candidates: int = CANDIDATES
) -> dict[str, Tensor]:
    """`n` draws of every modelled node along p given the nodes in `values` [n, *event], [n, *event] each.

    Ancestral. Where a held node has an ancestor that is not held, one of `candidates` draws is kept, chosen by the
    probability of what is held (sampling importance resampling): exact as candidates grow."""
    held = {name: value[None] for name, value in values.items()}
    known = {name: certain_mask(model, name, v) for name, v in values.items()}
    weighed = [name for name in model.ORDER_P if name in held and not _determined(model, name, held)]
    if not weighed:
        drawn = model.draw_p(held, known, draws, 1, rows=n)
        return {name: value[0].expand(n, *value.shape[2:]) for name, value in drawn.values.items()}
    parts = []
    for rows in torch.arange(n).split(max(1, ENTRIES // candidates)):
        few = {name: value[:, rows.to(value.device)] for name, value in held.items()}
        certain = {name: mask[: len(rows)] for name, mask in known.items()}
        drawn = model.draw_p(few, certain, draws, candidates, rows=len(rows))
        log_p = model.log_p(drawn.values)
        weight = sum_of({name: log_p[name] for name in weighed}, drawn.log_r)
        kept = draws.categorical((len(rows),), weight.t())
        parts.append({name: _chosen(value, kept) for name, value in drawn.values.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def certain_mask(model: Queries, node: str, value: Tensor) -> Tensor:
    """The mask of a value that is known everywhere, [rows, *event] → [rows], in loops [rows, copies, …]."""
    shape = value.shape[: value.dim() - len(model.NODES[node].event)]
    return torch.ones(shape, dtype=torch.bool, device=value.device)


def _determined(model: Queries, node: str, held: Iterable[str]) -> bool:
    """Whether p's parents of a held node are all held or given, so that its probability is the same for every draw."""
    return all(parent in held or model.NODES[parent].role == "given" for parent in model.NODES[node].parents_p)


def _chosen(value: Tensor, index: Tensor) -> Tensor:
    """One sample a row: [S or 1, rows, …] at index [rows] → [rows, …]."""
    rows = torch.arange(len(index), device=value.device)
    return value[index if value.shape[0] > 1 else torch.zeros_like(index), rows if value.shape[1] > 1 else 0 * rows]


def log_prob(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> Tensor:
    """log mean_s p(x, labels, v_s) / r(v_s), [rows], in nats: a lower bound of log p(x, labels) in expectation, tight as
    S grows (Burda et al. 2016). Draws are made some at a time."""
    return log_mean(log_ratios(model, values, known, draws, samples))


def log_ratios(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> Tensor:
    """log p(x, labels, v_s) − log r(v_s) of each of `samples` draws along q, [S, rows], made some at a time."""
    rows = next(iter(values.values())).shape[1]
    at_once = max(1, ENTRIES // max(1, rows))
    parts = []
    for start in range(0, samples, at_once):
        drawn = model.draw_q(values, known, draws, min(at_once, samples - start))
        parts.append(log_ratio(model, drawn))
    return torch.cat(parts)


def log_ratio(model: Queries, drawn: Drawn) -> Tensor:
    """log p(given, drawn) − log r(drawn) of draws along q, [S, rows]."""
    return sum_of(model.log_p(drawn.values), drawn.log_r) - drawn.log_r


def log_mean(log_weights: Tensor) -> Tensor:
    """log of the mean weight, [S, rows] → [rows]."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


def sum_of(terms: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The terms added up in the shape of `like`, [S, rows]."""
    return torch.stack([t.expand_as(like) for t in terms.values()]).sum(0)


def edit(
    model: Queries,
    values: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    changes: Mapping[str, Tensor],
    draws: Draws,
    *,
    keep: Collection[str] = (),
    redraw: Collection[str] = (),
    shown: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """Given rows with some nodes changed, every node [rows, *event]. All is inferred once by q; nodes in `changes`
    ([1, rows, *event]) are set, those in `redraw` drawn along p; what descends from either in p follows, unless it is in
    `keep`: by its mean, a finite node by its likeliest value, or drawn where it descends from a redrawn one. All else is
    held. These are interventions: what is held does not condition what is drawn above it.

    `shown`: nodes that become their mean in any case, a class the likeliest; else the observed nodes without children in p."""
    likeliest = Likeliest(draws.generator)
    parents = {n: i.parents_p for n, i in model.NODES.items()}
    if shown is None:
        inner = {parent for found in parents.values() for parent in found}
        shown = [n for n in model.ORDER_P if model.NODES[n].role == "observed" and n not in inner]
    fixed = set(keep) | set(changes)
    ends = set(shown) - fixed - set(redraw)
    below = {n: descendants(model.ORDER_P, parents, n) for n in (*changes, *redraw)}
    drawn = set(redraw).union(*(below[n] for n in redraw)) - fixed - ends
    free = set(redraw).union(ends, *below.values()) - fixed
    found = {**model.draw_q(values, known, likeliest, 1).values, **changes}
    found = _completed(model, found, free, likeliest).values
    if drawn:
        found = _completed(model, found, drawn | ends, draws).values
    last = _completed(model, found, ends, likeliest)
    for node in ends:
        info, mean = model.NODES[node], model.moments_p(node, last)[0]
        if info.family_p != "categorical":
            mean = mean[..., 1] if info.family_p == "bernoulli" and info.classes else mean
            last.values[node] = mean.expand_as(last.values[node])
    return {n: value[0] for n, value in last.values.items()}


def _completed(model: Queries, values: Mapping[str, Tensor], free: Collection[str], draws: Draws) -> Drawn:
    """Values along p of the nodes in `free`, the others held."""
    held = {n: v for n, v in values.items() if n not in free}
    rows = next(iter(values.values())).shape[1]
    known = {n: certain_mask(model, n, v[0]) for n, v in held.items()}
    return model.draw_p(held, known, draws, 1, rows=rows)


def analogy(model: Queries, values: Mapping[str, Tensor], node: str, draws: Draws, shown: str) -> Tensor:
    """Each value of a finite `node` in the manner of given rows: an edit that sets the node to each of its values (all its
    cells alike). Returns the mean of `shown`, [rows, values, *event]; of a class the likeliest."""
    info = model.NODES[node]
    like = model.draw_q(values, {}, Likeliest(draws.generator), 1).values[node]
    found = []
    for value in range(info.first, info.first + info.classes):
        changes = {node: torch.full_like(like, value)}
        found.append(edit(model, values, {}, changes, draws, shown=(shown,))[shown])
    return torch.stack(found, 1)


class Likeliest(Means):
    """Means, but legal values of binary nodes, which tables and further networks can read."""

    def bernoulli(self, size: Sequence[int], logits: Parameter) -> Tensor:
        return super().bernoulli(size, logits).round()


def descendants(order: Iterable[str], parents: Mapping[str, tuple[str, ...]], node: str) -> set[str]:
    """The nodes that depend on a node, directly or through others; `order` is topological."""
    found: set[str] = set()
    for name in order:
        if ({node} | found) & set(parents[name]):
            found.add(name)
    return found


def _one_hot(info: NodeInfo, value: Tensor, dtype: torch.dtype) -> Tensor:
    return F.one_hot(value.long() - info.first, info.classes).to(dtype)
