"""Where each term of the objective stands in the emitted text: a plan and the text come in, line numbers go out."""

from __future__ import annotations

import re

from sgdsl.middle.plan import Plan

_MADE = re.compile(r"        (log_[pq]_\w+) = ")
_NAMED = re.compile(r'\s+"([pq])\((\w+)[ )]')


def term_lines(plan: Plan, text: str) -> dict[tuple[str, str], int]:
    """The line of the statement that makes log p or log q of each term, for a constant that of its entry in `terms`."""
    start = text.index("    def forward(")
    first = text.count("\n", 0, start) + 1
    made: dict[str, list[tuple[str, int]]] = {}  # variables without the underscores behind them, and where each is made
    named: dict[tuple[str, str], int] = {}  # entries of `terms`
    for number, line in enumerate(text[start:].split("\n"), first):
        if variable := _MADE.match(line):
            made.setdefault(variable[1].rstrip("_"), []).append((variable[1], number))
        elif entry := _NAMED.match(line):
            named.setdefault((entry[1], entry[2]), number)
    found: dict[tuple[str, str], int] = {}
    for term in plan.terms:
        wish = f"log_{term.side}_{term.node}"
        places = (n for name, n in made.get(wish.rstrip("_"), ()) if name.startswith(wish))
        found[term.side, term.node] = named[term.side, term.node] if term.constant else next(places)
    return found
