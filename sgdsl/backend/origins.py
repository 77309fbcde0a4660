"""Where each term of the objective stands in the emitted text: a plan and the text come in, line numbers go out."""

from __future__ import annotations

import re

from sgdsl.middle.plan import Plan


def term_lines(plan: Plan, text: str) -> dict[tuple[str, str], int]:
    """The line of the statement that makes log p or log q of each term, for a constant that of its entry in `terms`."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("    def forward("))
    found: dict[tuple[str, str], int] = {}
    for term in plan.terms:
        made = rf'\s+"{term.side}\({term.node}[ )]' if term.constant else rf"        log_{term.side}_{term.node}_* = "
        found[term.side, term.node] = next(i for i in range(start, len(lines)) if re.match(made, lines[i])) + 1
    return found
