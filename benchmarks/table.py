"""Results as text: a work's record comes in, lines for a terminal or tables in Markdown go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.works import WORKS

COLUMNS = 4  # works side by side


def plain(result: dict[str, Any]) -> str:
    """One work: a line a contestant."""
    work = WORKS[result["work"]]
    lines = [
        f"{work.name}: {work.title} ({work.unlabelled} + {work.labelled} rows, S = {work.samples}, KL {result['kl']})"
    ]
    for name, row in result["times"].items():
        lines.append(f"  {name:24}{row['milliseconds']:9.2f} ms{_spread(row):>24}")
    return "\n".join(lines)


def _spread(row: dict[str, Any]) -> str:
    if "ratio" not in row:
        return ""
    low, high = row["ratios"]
    return f"{row['ratio']:.2f} ({low:.2f} – {high:.2f})"


def markdown(record: dict[str, Any]) -> str:
    """The machine, then ratios of medians to the direct step and their range over the rounds: a column a work."""
    works = record["works"]
    groups = [works[i : i + COLUMNS] for i in range(0, len(works), COLUMNS)]
    return "\n\n".join([machine(record, [w["load"] for w in works]), *(_table(g) for g in groups)])


def machine(record: dict[str, Any], loads: Sequence[float]) -> str:
    """Where and how it was measured, in two lines."""
    where = record["machine"]
    packages = ", ".join(f"{n} {v}" for n, v in where["packages"].items())
    return (
        f"{where['processor']} ({', '.join(where['flags'])}), {where['cores']} cores, one thread; {packages};\n"
        f"{record['rounds']} rounds; load average {min(loads):.1f} to {max(loads):.1f}."
    )


def _table(works: list[dict[str, Any]]) -> str:
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
    if "ratio" not in row or name == "direct":
        return f"1 ({row['milliseconds']:.0f} ms)" if name == "direct" else f"{row['milliseconds']:.1f} ms"
    return _spread(row)


def _title(name: str) -> str:
    peer, _, precision = name.partition(" ")
    return PEERS[peer].title + (f", {precision}" if precision else "")
