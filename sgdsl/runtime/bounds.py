"""The bounds as functions of one number a sample and row: f and the log weights come in, [S or 1, rows]; bounds go out.

Siddharth et al., NIPS 2017 (arXiv 1706.00400), in the form of docs/objective.md, section 1. Every function may be called
without one of the samples, which is how the leave-one-out baselines are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Estimate = Callable[..., Tensor]
AT_ONCE = 1 << 24  # numbers of one term, all samples left out in turn


def log_mean_exp(term: Tensor) -> Tensor:
    """log mean exp over the samples: […, S, rows] → […, rows]."""
    return term.logsumexp(-2) - math.log(term.shape[-2])


def log_labels(log_w: Tensor) -> Tensor:
    """The estimate of log q(labels | x), [rows]: log w is [S or 1, rows], or [groups, S or 1, rows] and adds up."""
    return log_mean_exp(log_w).reshape(-1, log_w.shape[-1]).sum(0)


def snis(f: Tensor, log_w: Tensor, alpha: float) -> Tensor:
    """Σ_s w̄_s f_s + (1 + α) log mean_s w_s, w̄ the weights normalised over the samples."""
    if len(f) == len(log_w) == 1:  # of the one weight; a sum over samples costs a dozen small calls
        return f[0] + (1 + alpha) * log_w[0]
    f, log_w = torch.broadcast_tensors(f, log_w)
    return (log_w.softmax(0) * f).sum(0) + (1 + alpha) * log_mean_exp(log_w)


def jensen(f: Tensor, log_w: Tensor, drawn_log_w: Tensor, alpha: float) -> Tensor:
    """Σ_s w̄_s f_s + (1 + α) mean_s log w_s; `drawn_log_w` is log w averaged over enumerated values under q."""
    f, log_w = torch.broadcast_tensors(f, log_w)
    return (log_w.softmax(0) * f).sum(0) + (1 + alpha) * drawn_log_w.mean(0)


def iw(log_v: Tensor, log_w: Tensor, alpha: float) -> Tensor:
    """log mean_s v_s + α log mean_s w_s, v = p(x, values) / density of what was drawn, summed over enumerated values."""
    return log_mean_exp(log_v) + alpha * log_mean_exp(log_w)


def clamped(f: Tensor, drawn_log_w: Tensor, alpha: float) -> Tensor:
    """mean_s (f_s + log w_s) + α mean_s log w_s; f and log w averaged over enumerated values under the proposal."""
    return f.mean(0) + (1 + alpha) * drawn_log_w.mean(0)


def leave_one_out(estimate: Estimate, *terms: Tensor, alpha: float) -> Tensor:
    """The estimate on all samples minus the estimate without each one, [S, rows], without gradient.

    Times Σ log q of the sample's draws it is an unbiased score term: RLOO where the bound is linear, VIMCO under iw.
    A single sample has no baseline: the estimate itself."""
    with torch.no_grad():
        full = torch.broadcast_tensors(*terms)
        samples = len(full[0])
        if samples == 1:
            return estimate(*full, alpha=alpha)[None]
        bound = estimate(*full, alpha=alpha)
        without = [
            estimate(*(t[index].flatten(1) for t in full), alpha=alpha).reshape(-1, *bound.shape)
            for index in all_but_one(samples, full[0].device).split(max(1, AT_ONCE // full[0].numel()), 1)
        ]
        return bound - torch.cat(without)


def all_but_one(samples: int, device: torch.device) -> Tensor:
    """The samples without the s-th in column s, [S − 1, S]."""
    index = torch.arange(samples - 1, device=device)[:, None]
    return index + (index >= torch.arange(samples, device=device)).long()


def with_score(bound: Tensor, gain: Tensor | float, score: Tensor) -> Tensor:
    """The bound in value, with the gradient of Σ_s stop(gain_s) · score_s added; score [S, rows] = Σ log q of the draws."""
    surrogate = (gain * score).sum(0)
    return bound + (surrogate - surrogate.detach())


def effective_sample_size(log_w: Tensor) -> Tensor:
    """1 / Σ_s w̄_s², [S, rows] → [rows]: between 1 and S; of [groups, S, rows] the smallest over the groups."""
    sizes = 1 / log_w.softmax(-2).square().sum(-2)
    return sizes.reshape(-1, log_w.shape[-1]).amin(0)


def chi_square(log_w: Tensor) -> Tensor:
    """S Σ_s w̄_s² − 1 = S / effective_sample_size − 1, [S, rows] → [rows]: an estimate of the χ² divergence of
    q(unknown | x, labels) from what was drawn (Kong 1992); 0 where weights are constant, at most S − 1."""
    return log_w.shape[-2] / effective_sample_size(log_w) - 1


def normalised_weights(log_w: Tensor) -> Tensor:
    """w̄, the weights normalised over the samples, [S or 1, rows]; of [groups, S, rows] those of the joint weight."""
    return log_w.reshape(-1, *log_w.shape[-2:]).sum(0).softmax(0)
