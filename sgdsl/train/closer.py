"""The closer look at held-out rows in the table's words: an evaluation's details come in, lines of the table go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsl.train.measures import named, of_belief, shown

Line = tuple[str, str, str]


def closer(details: Mapping[str, Any]) -> list[Line]:
    """Two or three lines for each part of the details that is there."""
    found: list[Line] = []
    likelihood = details.get("likelihood")
    if likelihood and likelihood["pareto_k"] is not None:
        share = f"{100 * likelihood['untrusted']:.0f} % of rows above {likelihood['threshold']:.2f}"
        found.append(("draws that count in it; Pareto k", f"{likelihood['ess']:.1f}; {share}", ""))
    for node, both in details.get("beliefs", {}).items():
        q, p = both["q"], both["p"]
        if "ece" in q:
            found.append((f"calibration error of {node}", _percent(q["ece"]), ""))
        if "within_0.5" in q:
            within = f"{_percent(q['within_0.5'])}, {_percent(q['within_0.9'])}"
            found.append((f"{node} within its 50 %, 90 % interval", within, ""))
        kind, error = of_belief(p)
        found.append((f"{named(kind, node)} by p, {p['rows']:,} rows", shown(kind, error), ""))
    return found + _codes(details.get("disentanglement")) + _drawn(details.get("generation", {}))


def _codes(found: Mapping[str, Any] | None) -> list[Line]:
    if not found:
        return []
    lines = [
        (f"{measure.upper()} of {factor}", f"{value:.3f}", "")
        for measure in ("mig", "sap")
        for factor, value in found[measure].items()
        if value is not None
    ]
    dci = found["dci"]
    numbers = [
        f"{dci[n]:.3f}" if dci[n] is not None else "–" for n in ("disentanglement", "completeness", "informativeness")
    ]
    return [*lines, ("DCI: disentanglement / completeness / informativeness", " / ".join(numbers), "")]


def _drawn(found: Mapping[str, Any]) -> list[Line]:
    lines = []
    for node, shares in found.items():
        lines.append((f"samples that show their {node}", f"{_percent(shares['conditional'])}", ""))
        lines.append((f"edits that show their {node}", f"{_percent(shares['swap'])}", ""))
        lines.append((f"real rows whose {node} the judge sees", f"{_percent(shares['judge'])}", ""))
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
