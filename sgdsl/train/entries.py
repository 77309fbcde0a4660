"""A node's copies in rows: a model and drawn values come in; what is asked of its factors at each of them goes out."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sgdsl.runtime.placed import Parameters, Values
from sgdsl.runtime.queries import Queries

Asked = Callable[[str, str, Parameters, Tensor], Tensor]  # of a factor by its id, its family, parameters and values


def of_factor(
    model: Queries, side: str, node: str, values: Values, asked: Asked, behind: tuple[int, ...] = ()
) -> Tensor:
    """What is asked at every copy of a node, [S, rows, copies, *event, *behind], where an answer has the shape of the values and
    `behind`; outside of loops a row has one copy."""
    info, value = model.NODES[node], values[node]
    if model.RANGES:
        found = model.copied(side, values).asked(node, asked)
    else:
        parameters = (model.parameters_p if side == "p" else model.parameters_q)(node, values)
        found = asked(node, info.family_p if side == "p" else info.family_q, parameters, value)
    samples = max(len(v) for v in values.values())
    size = (samples, *value.shape[1:], *behind)
    return found.expand(size).reshape(samples, value.shape[1], -1, *info.event, *behind)


def there(model: Queries, node: str, values: Values) -> Tensor:
    """Which copies of a node are there, 1 or 0, [S, rows, copies]: of a loop `1..k` the first k."""
    info, samples = model.NODES[node], max(len(v) for v in values.values())
    copies = math.prod(model.RANGES[r].number for r in info.loops)
    if not model.RANGES:
        return torch.ones(samples, values[node].shape[1], copies, device=values[node].device)
    return model.copied("q", values).there(node).reshape(samples, -1, copies).to(torch.get_default_dtype())
