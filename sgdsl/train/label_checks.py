"""Warnings about labels: what was granted, read and learned comes in, findings with evidence and a way out go out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime import ask
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.queries import Queries
from sgdsl.train.bind import Table
from sgdsl.train.composition import Schedule
from sgdsl.train.dataset import Index, Mask
from sgdsl.train.diagnosis import Finding
from sgdsl.train.feed import Feed, read
from sgdsl.train.measure import CHUNK, SEED, Held, hidden, seeded
from sgdsl.train.measures import WORDS, shown, total
from sgdsl.train.naming import value_names
from sgdsl.train.patterns import NONE, Patterns, pattern_rows
from sgdsl.train.scored import constant, kind_of, losses
from sgdsl.train.suspicions import raised

GAIN = 0.05  # of the error of guessing that must be gone
TINY = 1e-12  # the least probability that is told apart from 0
ROWS = 32  # that the gradient is looked at on
SHOWN = 5  # classes that a message names


def unlearned(model: Queries, table: Table, seen: Held, held_out: Held, alpha: float) -> Iterator[Finding]:
    """W0651: labels that no weight of q can learn, or that q predicts no better than the best constant, neither by its best
    value nor by the probability of the label: on held-out rows, or where their labels are not known on the rows it was
    trained on. `seen`: labelled rows, `truth`: which labels were granted; `held_out`: which are known there."""
    for node in (n for n in seen.truth if _rows(seen, n).numel()):
        if not _learns(model, table, seen, node):
            yield Finding(
                "W0651",
                f"labels of `{node}` train nothing",
                f"log q({node} | …) depends on no weight, so that alpha has no effect",
                f"give q({node} | …) a network, or make {node} observed",
                node,
            )
            continue
        there = _rows(held_out, node)
        rows, kind = (there, "held-out") if there.numel() else (_rows(seen, node), "labelled")
        score, guess = _skills(model, table, node, rows, seen.samples, held_out.truth if there.numel() else seen.truth)
        if guess.error > 0 and score.error > (1 - GAIN) * guess.error and score.log <= (1 - GAIN) * guess.log:
            yield Finding(
                "W0651",
                f"labels of `{node}` had no visible effect",
                f"{_compared(model.NODES[node], score, guess, f'on {len(rows):,} {kind} rows')}; alpha is {alpha:.3g}",
                f"train longer, raise alpha ({raised(alpha)}), grant more labels, "
                f"or check that the labels of {node} belong to their rows",
                node,
            )


def _rows(held: Held, node: str) -> Tensor:
    """The rows on which a node's label may be compared with."""
    if node not in held.truth:
        return held.rows[:0]
    told = held.truth[node].index_select(0, held.rows)
    return held.rows[told if told.dim() == 1 else told.flatten(1).any(1)]


@dataclass(frozen=True, slots=True)
class _Skill:
    """`error`: the measure of its kind (scored.kind_of); `log`: of a finite node the mean log-probability of a label's cell,
    else −∞."""

    error: float
    log: float


def _compared(info: NodeInfo, score: _Skill, guess: _Skill, where: str) -> str:
    if not info.classes:
        kind = kind_of(info)
        return (
            f"{WORDS[kind]} {shown(kind, score.error, 1)} {where}, {shown(kind, guess.error, 1)} for always their mean"
        )
    always = f"{100 * guess.error:.1f} % for always guessing the most frequent class"
    return f"error {100 * score.error:.1f} % {where}, {always}"


@torch.no_grad()
def _skills(
    model: Queries, table: Table, node: str, rows: Tensor, samples: int, known: Mapping[str, Tensor]
) -> tuple[_Skill, _Skill]:
    """How good q is on rows that have the label, labels hidden; and how good the best constant is on the same rows."""
    draws, ink = seeded(rows.device)
    parts = [ask.posterior(model, hidden(model, table, i, ink), {}, draws, samples)[node] for i in rows.split(CHUNK)]
    belief, truth = torch.cat([_mean(part) for part in parts]), read(table.columns[node], rows, None)
    info, mask = model.NODES[node], known[node].index_select(0, rows)
    belief, truth = belief[mask], truth[mask]  # of a node in loops the copies that have a label
    return _classes(info, belief, truth) if info.classes else _numbers(info, belief, truth)


def _mean(belief: ask.Belief) -> Tensor:
    """Probabilities, or a mean without its deviation."""
    return belief if isinstance(belief, Tensor) else belief[0]


def _classes(info: NodeInfo, belief: Tensor, truth: Tensor) -> tuple[_Skill, _Skill]:
    """Beliefs [rows, *event, values] and labels [rows, *event]; the best constant is the labels' own frequencies."""
    right = F.one_hot(truth.long() - info.first, info.classes).double()
    constant = right.mean(0, keepdim=True).expand_as(right)
    return _finite_skill(belief.double(), right), _finite_skill(constant, right)


def _finite_skill(belief: Tensor, right: Tensor) -> _Skill:
    hit = right.gather(-1, belief.argmax(-1, keepdim=True)).mean()
    log = (belief * right).sum(-1).clamp(min=TINY).log().mean()
    return _Skill(1 - float(hit), float(log))


def _numbers(info: NodeInfo, belief: Tensor, truth: Tensor) -> tuple[_Skill, _Skill]:
    """Means and labels [rows, *event]; the best constant is the labels' mean."""
    found = (losses(info, guess, truth.double()) for guess in (belief, constant(info, truth.double())))
    score, guess = (_Skill(total(kind_of(info), float(loss.mean())), -math.inf) for loss in found)
    return score, guess


def _learns(model: Queries, table: Table, held: Held, node: str) -> bool:
    """Whether log q of a label has a gradient in any weight."""
    rows = _rows(held, node)[:ROWS]
    values, known = Feed(table, held.truth).rows(rows, None)
    nodes = model.NODES
    typed = {n: v[None].to(torch.int64 if nodes[n].integer else torch.get_default_dtype()) for n, v in values.items()}
    with torch.enable_grad():
        drawn = model.draw_q(typed, known, Draws(torch.Generator(rows.device).manual_seed(SEED)))
        log_q = model.log_q(drawn.values)[node].sum()
        if not log_q.requires_grad:
            return False
        grads = torch.autograd.grad(log_q, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
    return any(bool(grad.any()) for grad in grads if grad is not None)


def unlabelled_classes(
    nodes: Mapping[str, NodeInfo],
    table: Table,
    granted: Mapping[str, Mask],
    wanted: Mapping[str, bool],
    names: Mapping[str, Sequence[str]],
) -> Iterator[Finding]:
    """W0655: a supervised node without a granted label, though labels are `wanted`, or with a class that has none. `names` of
    classes by node."""
    for node, mask in granted.items():
        info = nodes[node]
        if not mask.any():
            if wanted[node]:
                hint = f"declare it latent, or check where the data says that {node} is known"
                yield Finding("W0655", f"no label of `{node}` is known: it is learned as a latent node", "", hint, node)
            continue
        if not info.classes:
            continue
        present = set(np.unique(table.columns[node].values.cpu().numpy()[mask]).tolist())
        words = enumerate(value_names(info, names.get(node, ())), info.first)
        missing = [word for value, word in words if value not in present]
        if missing:
            named = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
            one = len(missing) == 1
            yield Finding(
                "W0655",
                f"{'class' if one else 'classes'} {named} of `{node}` {'has' if one else 'have'} no known label",
                f"{int(mask.sum()):,} labels, of {len(present)} of {info.classes} values",
                f"labels of every class, or a smaller support for {node}: what has no label is named by chance",
                node,
            )


def unread(
    patterns: Patterns, granted: Mapping[str, Mask], schedule: Schedule, steps: int, rows: Index
) -> Iterator[Finding]:
    """W0654: a pattern of labels of which no row was read in `steps` steps. `rows`: the training rows."""
    made = schedule.composition
    if made.labelled * steps >= len(schedule.labelled) and made.unlabelled * steps >= len(schedule.unlabelled):
        return
    epochs = [schedule.epoch(i) for i in range(-(-steps // made.steps))]
    seen = set(torch.cat(epochs)[:steps].unique().tolist())
    for pattern, count in patterns.rows.items():
        members = pattern_rows(patterns, granted, pattern, rows).tolist()
        if seen.isdisjoint(members):
            what = f"rows with {pattern} known" if pattern != NONE else "rows without a label"
            yield Finding(
                "W0654",
                f"{what} were never read",
                f"{count:,} such rows; {steps} steps of {made.labelled} labelled and {made.unlabelled} other rows",
                "more epochs, or more such rows a step: `labelled = …`",
            )
