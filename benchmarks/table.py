"""Results as text: a work's record comes in, lines for a terminal or a table in Markdown go out."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import PEERS
from benchmarks.works import WORKS


def plain(result: dict[str, Any]) -> str:
    """One work: a line a contestant."""
    work = WORKS[result["work"]]
    lines = [
        f"{work.name}: {work.title}, {work.unlabelled} + {work.labelled} rows, S = {work.samples}, KL {result['kl']}"
    ]
    for name, row in result["times"].items():
        lines.append(f"  {name:24}{row['milliseconds']:9.2f} ms{_ratio(row):>24}")
    return "\n".join(lines)


def _ratio(row: dict[str, Any]) -> str:
    if "ratio" not in row:
        return ""
    low, high = row["ratios"]
    return f"{row['ratio']:.2f} ({low:.2f} – {high:.2f})"


def markdown(record: dict[str, Any]) -> str:
    """Ratios of medians to the direct step: a line a contestant, a column a work."""
    works = record["works"]
    names = list(dict.fromkeys(n for w in works for n in w["times"]))
    lines = ["| step | " + " | ".join(WORKS[w["work"]].title for w in works) + " |"]
    lines.append("| --- |" + " --- |" * len(works))
    for name in names:
        cells = [_cell(w["times"].get(name), name) for w in works]
        lines.append(f"| {_title(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None, name: str) -> str:
    if row is None:
        return "–"
    if "ratio" not in row:
        return f"{row['milliseconds']:.1f} ms"
    return f"{row['ratio']:.2f}" + (f" ({row['milliseconds']:.1f} ms)" if name == "direct" else "")


def _title(name: str) -> str:
    peer, _, precision = name.partition(" ")
    return PEERS[peer].title + (f", {precision}" if precision else "")
