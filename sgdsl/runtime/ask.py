"""What a trained model can be asked: an emitted model and values come in; beliefs, draws, log-probabilities, edits go out.

Written once, against draw_q, draw_p, log_p and log_q. Values are [1, rows, *event] by node name, as in Batch.values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.densities_moments import Parameter, mean_of, variance_of
from sgdsl.runtime.draws import Draws, Means
from sgdsl.runtime.networks import labelled, spread
from sgdsl.runtime.queries import Drawn, Parameters, Queries

Belief = Tensor | tuple[Tensor, Tensor]
ENTRIES = 50_000  # samples times rows at a time
CANDIDATES = 100  # draws of which one is kept, where held nodes have parents that are not


def posterior(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> dict[str, Belief]:
    """What q believes about every inferred node, averaged over draws that are weighed by the known labels (self-normalised
    importance weights w, docs/objective.md, section 1). A finite node: probabilities [rows, *event, values]; another:
    mean and standard deviation, [rows, *event] each. A known label is certain.

    A draw counts with its distribution given its parents, which is exact where the parents are not drawn; but an unknown
    ancestor of a known label counts with its value, since the weights depend on it."""
    drawn = model.draw_q(values, known, draws, samples)
    weight = log_weights(model, drawn, known).softmax(0)
    found: dict[str, Belief] = {}
    for node in model.ORDER_Q:
        info, value, parameters = model.NODES[node], drawn.values[node], drawn.parameters[node]
        fixed = _fixed(model, node, known, weight)
        if info.classes:
            exact = _one_hot(info, value, weight.dtype)
            probs = _probabilities(info, parameters) if info.family_q in ("categorical", "bernoulli") else exact
            mean = _average(weight, torch.where(spread(fixed, exact), exact, probs))
            certain = known.get(node, torch.zeros_like(fixed))
            found[node] = torch.where(spread(certain, mean[None]), exact[0], mean)
        else:
            means = torch.where(spread(fixed, value), value, mean_of(info.family_q, parameters))
            within = torch.where(spread(fixed, value), 0.0, variance_of(info.family_q, parameters))
            mean = _average(weight, means)
            found[node] = (mean, _average(weight, within + (means - mean).square()).sqrt())
    return found


def log_weights(model: Queries, drawn: Drawn, known: Mapping[str, Tensor]) -> Tensor:
    """log w of each draw: log q of the known labels, 0 where nothing is known; [S, rows]."""
    if not known:
        return torch.zeros_like(drawn.log_r)
    log_q = model.log_q(drawn.values)
    return sum_of({node: labelled(mask, log_q[node]) for node, mask in known.items()}, drawn.log_r)


def _fixed(model: Queries, node: str, known: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Rows where a node counts with its value: it is known, or an ancestor in q of a known one; [rows]."""
    below = {node} | descendants(model.ORDER_Q, {n: i.parents_q for n, i in model.NODES.items()}, node)
    masks = [mask for name, mask in known.items() if name in below]
    return torch.stack([torch.zeros_like(like[0], dtype=torch.bool), *masks]).any(0)


def sample(
    model: Queries, n: int, values: Mapping[str, Tensor], draws: Draws, candidates: int = CANDIDATES
) -> dict[str, Tensor]:
    """`n` draws of every modelled node along p given the nodes in `values` [n, *event], [n, *event] each.

    Ancestral. Where a held node has an ancestor that is not held, one of `candidates` draws is kept, chosen by the
    probability of what is held (sampling importance resampling): exact as candidates grow."""
    held = {name: value[None] for name, value in values.items()}
    known = {name: torch.ones(n, dtype=torch.bool, device=v.device) for name, v in values.items()}
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
    rows = next(iter(values.values())).shape[1]
    at_once = max(1, ENTRIES // max(1, rows))
    parts = []
    for start in range(0, samples, at_once):
        drawn = model.draw_q(values, known, draws, min(at_once, samples - start))
        parts.append((sum_of(model.log_p(drawn.values), drawn.log_r) - drawn.log_r).logsumexp(0))
    return torch.stack(parts).logsumexp(0) - math.log(samples)


def sum_of(terms: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The terms added up in the shape of `like`, [S, rows]."""
    return torch.stack([t.expand_as(like) for t in terms.values()]).sum(0)


def analogy(model: Queries, values: Mapping[str, Tensor], node: str, draws: Draws, shown: str) -> Tensor:
    """Each value of a finite `node` in the manner of given rows: everything is inferred once by q; then the node is set to
    each of its values (all its cells alike), what does not descend from it in p is kept, and the rest is replaced by its
    mean along p, finite nodes by the likeliest value. Returns the mean of `shown`, [rows, values, *event]; of a class the
    likeliest."""
    info, likeliest = model.NODES[node], Likeliest(draws.generator)
    inferred = model.draw_q(values, {}, likeliest, 1).values
    changed = {node, shown} | descendants(model.ORDER_P, {n: i.parents_p for n, i in model.NODES.items()}, node)
    kept = {n: v for n, v in inferred.items() if n not in changed}
    rows = inferred[node].shape[1]
    found = []
    for value in range(info.first, info.first + info.classes):
        held = {**kept, node: torch.full_like(inferred[node], value)}
        known = {n: torch.ones(rows, dtype=torch.bool, device=v.device) for n, v in held.items()}
        drawn = model.draw_p(held, known, likeliest, 1)
        family = model.NODES[shown].family_p
        mean = drawn.values[shown] if family == "categorical" else mean_of(family, drawn.parameters[shown])
        found.append(mean.expand_as(drawn.values[shown])[0])
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


def _probabilities(info: NodeInfo, parameters: Parameters) -> Tensor:
    """[S or 1, rows, *event, values] of a Categorical or Bernoulli."""
    mean = mean_of(info.family_q, parameters)
    return mean if info.family_q == "categorical" else torch.stack((1 - mean, mean), -1)


def _one_hot(info: NodeInfo, value: Tensor, dtype: torch.dtype) -> Tensor:
    return F.one_hot(value.long() - info.first, info.classes).to(dtype)


def _average(weight: Tensor, value: Tensor) -> Tensor:
    """Σ_s weight_s value_s: weight [S, rows], value [S or 1, rows, …] → [rows, …]."""
    return (weight.reshape(*weight.shape, *[1] * (value.dim() - 2)) * value).sum(0)
