"""Warnings about nodes, weights and bounds: what was measured comes in, findings with evidence and a way out go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sgdsl.runtime.ask import descendants
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.activity import Activity
from sgdsl.train.diagnosis import Finding, Weights
from sgdsl.train.measure import Score
from sgdsl.train.patterns import NONE, Patterns

FEW = 0.1  # draws over one that count, of those there are
MOST_DRAWS = 1.5  # still called one draw
BEHIND = 1.5  # times the error of labels alone
LEAST_ROWS = 30  # on which two errors are compared
FALL = 0.01  # of a bound's size, or a tenth of a nat: noise


def collapsed(nodes: Mapping[str, Activity]) -> Iterator[Finding]:
    """W0650: a latent node whose q says nothing about the row that its prior does not."""
    for name, found in nodes.items():
        if found.collapsed:
            yield Finding(
                "W0650",
                f"`{name}` carries nothing: q does not tell rows apart by it",
                f"{name}: {found.words()}, KL to its prior {found.kl:.3f} nats a row",
                f"train longer; a weaker network for what else explains the data, a larger one for q({name} | …), or smaller "
                f"scales of what reads {name}; without {name} the model is as good",
                name,
            )


def one_draw(
    weights: Mapping[str, Weights], patterns: Patterns, nodes: Mapping[str, NodeInfo], order: Sequence[str]
) -> Iterator[Finding]:
    """W0652: a pattern of labels under which one draw has all the weight, so that the others are wasted."""
    for pattern, found in weights.items():
        known = patterns.known.get(pattern, ())
        if known and found.samples > 1 and found.ess <= min(MOST_DRAWS, 1 + FEW * (found.samples - 1)):
            before, after = _before(known, nodes, order), ", ".join(known)
            moved = f", or let {', '.join(before)} come after {after} in q" if before else ""
            yield Finding(
                "W0652",
                f"one draw carries all the weight where {after} {'is' if len(known) == 1 else 'are'} known",
                f"of {found.samples} draws {found.ess:.2f} count; χ² = {found.chi2:.2f}, at most {found.samples - 1}",
                f"raise samples (now {found.samples}){moved}",
                known[0],
            )


def _before(known: Iterable[str], nodes: Mapping[str, NodeInfo], order: Sequence[str]) -> list[str]:
    """Nodes that are drawn before a known one in q, and decide its probability."""
    parents = {name: info.parents_q for name, info in nodes.items()}
    found = []
    for name in order:
        if name not in known and any(node in descendants(order, parents, name) for node in known):
            found.append(name)
    return found


def worse(records: Sequence[Mapping[str, Any]], kept_best: bool) -> Iterator[Finding]:
    """W0653: a bound of the last epoch below that of the first, or fallen by more than half of what it had risen; or a
    bound of held-out rows that was better before. `kept_best`: early stopping has gone back to the best epoch."""
    part = "unlabelled" if records and records[-1]["bound"]["unlabelled"] is not None else "labelled"
    found = [float(r["bound"][part]) for r in records if r["bound"].get(part) is not None]
    if _fell(found):
        best = max(range(len(found)), key=found.__getitem__)
        yield Finding(
            "W0653",
            "the bound got worse over the run",
            f"bound of {part} rows: epoch 1 {found[0]:.2f}, best {found[best]:.2f} in epoch {best + 1}, last {found[-1]:.2f}",
            "a smaller lr, clip = 1, or a smaller alpha where labels pull against the rest",
        )
    held = [float(r["validation_bound"]) for r in records if r.get("validation_bound") is not None]
    if not kept_best and not _fell(found) and _fell(held):
        best = max(range(len(held)), key=held.__getitem__)
        yield Finding(
            "W0653",
            "the bound of held-out rows got worse over the run",
            f"best {held[best]:.2f} in epoch {best + 1}, last {held[-1]:.2f}: the training rows are learned by heart",
            "patience = 5 keeps the weights of the best epoch; or smaller networks",
        )


def _fell(bounds: Sequence[float]) -> bool:
    if len(bounds) < 2:
        return False
    first, best, last = bounds[0], max(bounds), bounds[-1]
    noise = max(FALL * abs(best), 0.1)
    return last < first - noise or best - last > max(noise, (best - first) / 2)


def behind(scores: Mapping[str, Score], alone: Mapping[str, Score], alpha: float) -> Iterator[Finding]:
    """W0657: a label that the same encoder learns far better from labels alone, on the same held-out rows: what else trains
    q outweighs them. Of classes the difference is beyond three standard errors."""
    for node, score in scores.items():
        if node not in alone or score.rows < LEAST_ROWS:
            continue
        noise = 3 * (score.value / score.rows) ** 0.5 if score.kind == "error" else 0.0
        if score.value - alone[node].value > noise and score.value > BEHIND * alone[node].value:
            yield Finding(
                "W0657",
                f"labels of `{node}` alone teach its q more than this run did",
                f"{score.words()} on {score.rows:,} held-out rows, {alone[node].words()} for the same encoder trained on labels "
                f"alone; alpha is {alpha:.3g}",
                f"train longer, or raise alpha ({raised(alpha)})",
                node,
            )


def raised(alpha: float) -> str:
    """The setting to try: ten times as much, or the default where it was 0."""
    return f"`--set objective.alpha={f'{10 * alpha:.2g}' if alpha else 'auto'}`"


def floored(scales: Mapping[tuple[str, str], tuple[float, float]]) -> Iterator[Finding]:
    """W0656: scales of a factor that sit on their floor; `scales[side, node]`: the floor, the share of cells on it."""
    for (side, node), (floor, share) in scales.items():
        if share > 0.5:
            yield Finding(
                "W0656",
                f"the scale of {side}({node} | …) sits on its floor",
                f"{100 * share:.0f} % of its values are within a tenth of {floor:g}; there the bound measures the floor",
                f"`floor = …` at the precision that {node} was measured with, or one `scale = learned(1)` for all cells; "
                "values that never vary do not belong into the data",
                node,
                side,
            )


def weights_of(record: Mapping[str, Any], samples: int) -> dict[str, Weights]:
    """The weights of an epoch's record, of patterns with a label; nothing where S = 1."""
    parts = {name: part for name, part in record["patterns"].items() if name != NONE} if samples > 1 else {}
    return {name: Weights(samples, p["ess"], p["chi2"], p["log_q_labels"]) for name, p in parts.items()}
