"""Sum and sample: the logits of a class come in, its likeliest value and one of the others, with their shares, go out.

Σ_c q(c) f(c) = q(c*) f(c*) + (1 − q(c*)) E[f(c) | c ≠ c*], the expectation by one draw (Liu, Regier, Tripuraneni, Jordan and
McAuliffe 2019, with the likeliest class alone summed). A level of such a node has two entries a row that does not know it:
0, the likeliest, and 1, the other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sgdsl.runtime.levels import Level


class Split(NamedTuple):
    """`likeliest` [S or 1, entries] int64; `rest` [S or 1, entries, classes]: logits of the others; `log_rest`
    [S or 1, entries]: the log probability of all of them."""

    likeliest: Tensor
    rest: Tensor
    log_rest: Tensor


def split(logits: Tensor) -> Split:
    """The likeliest class, and the others: logits [S or 1, entries, classes]."""
    top = logits.argmax(-1, keepdim=True)
    rest = logits.scatter(-1, top, -torch.inf)
    log_rest = rest.logsumexp(-1) - logits.logsumexp(-1)
    return Split(top[..., 0], rest, log_rest)


def either(digit: Tensor, likeliest: Tensor, other: Tensor) -> Tensor:
    """The value at each entry: digit [1, entries], likeliest and other [S or 1, entries]."""
    return torch.where(digit == 0, likeliest, other)


def log_portion(digit: Tensor, log_q: Tensor, log_rest: Tensor) -> Tensor:
    """The log weight of each entry: log q of the likeliest (or of a label), log (1 − q) for the other."""
    return torch.where(digit == 0, log_q, log_rest)


def rest_score(level: Level, below: str, digit: Tensor, part: Tensor, log_rest: Tensor, log_q: Tensor) -> Tensor:
    """The score term of the class that was sampled, [S or 1, rows]: stop(what its entry adds to the bound, less what it would
    add with the value of the likeliest) · log q(class | not the likeliest).

    The likeliest class's part does not depend on which other class was sampled, so the term stays unbiased. All at `level`,
    [S or 1, entries]; `part`: what each entry adds to the bound; `below`: the level without the node."""
    with torch.no_grad():
        first = level.up(level.down(torch.where(digit == 0, part, 0.0), below), below)
        odds = log_rest.exp() / -torch.expm1(log_rest)
        gain = torch.where((digit == 1) & log_rest.isfinite(), part - odds * first, 0.0)
    return level.down(gain * torch.where(gain == 0, 0.0, log_q - log_rest))
