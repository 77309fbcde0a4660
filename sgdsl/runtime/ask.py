"""What a trained model can be asked: an emitted model and values come in; beliefs, draws, log-probabilities, edits go out.

Written once, against draw_q, draw_p, log_p and log_q. Values are [1, rows, *event] by node name, as in Batch.values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.draws import Draws, Means
from sgdsl.runtime.queries import Drawn, Parameters, Queries

Belief = Tensor | tuple[Tensor, Tensor]
ENTRIES = 50_000  # samples times rows at a time


def posterior(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> dict[str, Belief]:
    """What q believes about every inferred node, averaged over draws that are weighed by the known labels (self-normalised
    importance weights w, docs/objective.md, section 1). A finite node: probabilities [rows, *event, values]; another:
    mean and standard deviation, [rows, *event] each."""
    drawn = model.draw_q(values, known, draws, samples)
    weight = log_weights(model, drawn, known).softmax(0)
    found: dict[str, Belief] = {}
    for node in model.ORDER_Q:
        info = model.NODES[node]
        if info.classes:
            probs = _probabilities(info, drawn.parameters[node], drawn.values[node])
            if node in known:
                exact = _one_hot(info, drawn.values[node], probs.dtype)
                probs = torch.where(_like(known[node], exact), exact, probs)
            found[node] = _average(weight, probs)
        else:
            mean = _average(weight, drawn.values[node])
            found[node] = (mean, _average(weight, (drawn.values[node] - mean).square()).sqrt())
    return found


def log_weights(model: Queries, drawn: Drawn, known: Mapping[str, Tensor]) -> Tensor:
    """log w of each draw: log q of the known labels, 0 where nothing is known; [S, rows]."""
    if not known:
        return torch.zeros_like(drawn.log_r)
    log_q = model.log_q(drawn.values)
    parts = [torch.where(mask, log_q[node], 0.0) for node, mask in known.items()]
    return torch.stack([p.expand_as(drawn.log_r) for p in parts]).sum(0)


def sample(model: Queries, n: int, values: Mapping[str, Tensor], draws: Draws) -> dict[str, Tensor]:
    """`n` ancestral draws of every modelled node along p, [n, *event]; nodes in `values` [n, *event] are held."""
    held = {name: value[None] for name, value in values.items()}
    known = {name: torch.ones(n, dtype=torch.bool, device=v.device) for name, v in values.items()}
    drawn = model.draw_p(held, known, draws, 1, rows=n)
    return {name: value[0].expand(n, *value.shape[2:]) for name, value in drawn.values.items()}


def log_prob(
    model: Queries, values: Mapping[str, Tensor], known: Mapping[str, Tensor], draws: Draws, samples: int
) -> Tensor:
    """log mean_s p(x, labels, v_s) / r(v_s), [rows]: a lower bound of log p(x, labels) in expectation, tight as S grows
    (Burda et al. 2016); [rows] in nats. Draws are made some at a time."""
    rows = next(iter(values.values())).shape[1]
    at_once = max(1, ENTRIES // max(1, rows))
    parts = []
    for start in range(0, samples, at_once):
        drawn = model.draw_q(values, known, draws, min(at_once, samples - start))
        parts.append(sum_of(model.log_p(drawn.values), drawn.log_r) - drawn.log_r)
    return torch.cat(parts).logsumexp(0) - math.log(samples)


def sum_of(terms: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The terms added up in the shape of `like`, [S, rows]."""
    return torch.stack([t.expand_as(like) for t in terms.values()]).sum(0)


def analogy(model: Queries, values: Mapping[str, Tensor], node: str, draws: Draws, shown: str) -> Tensor:
    """Each value of a finite `node` in the manner of given rows: everything is inferred once by q; then the node is set to
    each of its values, what does not descend from it in p is kept, and the rest is replaced by its mean along p.
    Returns the mean of `shown`, [rows, values, *event]."""
    info = model.NODES[node]
    inferred = model.draw_q(values, {}, Means(draws.generator), 1).values
    changed = {node, shown} | descendants(model, node)
    kept = {n: v for n, v in inferred.items() if n not in changed}
    rows = inferred[node].shape[1]
    found = []
    for value in range(info.first, info.first + info.classes):
        held = {**kept, node: torch.full_like(inferred[node], value)}
        known = {n: torch.ones(rows, dtype=torch.bool, device=v.device) for n, v in held.items()}
        found.append(model.draw_p(held, known, Means(draws.generator), 1).values[shown][0])
    return torch.stack(found, 1)


def descendants(model: Queries, node: str) -> set[str]:
    """The nodes whose p depends on a node, directly or through others."""
    found: set[str] = set()
    for name in model.ORDER_P:
        if ({node} | found) & set(model.NODES[name].parents_p):
            found.add(name)
    return found


def _probabilities(info: NodeInfo, parameters: Parameters, value: Tensor) -> Tensor:
    """[S or 1, rows, *event, values] of a Categorical or Bernoulli."""
    logits = parameters[0] if isinstance(parameters[0], Tensor) else value.new_full((), parameters[0])
    if info.family_q == "categorical":
        return logits.softmax(-1)
    if info.family_q == "bernoulli":
        p = logits.sigmoid().expand(value.shape)
        return torch.stack((1 - p, p), -1)
    return _one_hot(info, value, torch.get_default_dtype())


def _one_hot(info: NodeInfo, value: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.nn.functional.one_hot(value.long() - info.first, info.classes).to(dtype)


def _like(mask: Tensor, value: Tensor) -> Tensor:
    return mask.reshape(-1, *[1] * (value.dim() - 2))


def _average(weight: Tensor, value: Tensor) -> Tensor:
    """Σ_s weight_s value_s: weight [S, rows], value [S or 1, rows, …] → [rows, …]."""
    return (weight.reshape(*weight.shape, *[1] * (value.dim() - 2)) * value).sum(0)
