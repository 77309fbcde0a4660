"""LaTeX of derived objectives: a page of `sgdsl explain` comes in, an align* a pattern of labels goes out.

Needs amsmath. Long lines are broken before + and −, so brackets have a fixed size.
"""

from __future__ import annotations

import re

from sgdsl.middle.explain import Page
from sgdsl.middle.formula import Formula, Notation
from sgdsl.middle.objective import Loop, Objective

WIDTH = 64  # printed characters, after which a line is broken at the next + or −


_COPY = re.compile(r"(\w+)\[([^\[\]]*)\]")
_CALL = re.compile(r"(\w+)\((.*)\)")


def name_latex(name: str) -> str:
    """z1 → z_{1}, z[t - 1] → z_{t-1}; a word in italics, its underscores as they are; a function of copies upright."""
    if call := _CALL.fullmatch(name):
        inner = ", ".join(map(name_latex, re.split(r", (?![^\[]*\])", call[2])))
        function = call[1].replace("_", "\\_")
        return f"\\mathrm{{{function}}}({inner})"
    if copy := _COPY.fullmatch(name):
        return _plain(copy[1], copy[2].replace(" - ", "-").replace(" + ", "+").replace("..", " \\ldots "))
    return _plain(name) if re.fullmatch(r"\w+", name) else f"\\mathrm{{{re.sub('[^A-Za-z0-9]+', ' ', name).strip()}}}"


def _plain(name: str, index: str = "") -> str:
    """A name with what stands under it."""
    letter = re.fullmatch(r"([A-Za-z])_?(\d*)", name)
    word = name.replace("_", "\\_")
    under = ", ".join(found for found in (letter[2] if letter else "", index) if found)
    return (letter[1] if letter else f"\\mathit{{{word}}}") + (f"_{{{under}}}" if under else "")


def _copies(by: str, loop: Loop) -> str:
    symbol, last = ("\\sum" if by == "sum" else "\\prod"), loop.last
    if isinstance(last, int):
        return f"{symbol}_{{{_plain(loop.index)}={loop.first}}}^{{{last}}}"
    first = f"{loop.first} \\leq " if loop.first != 1 else ""
    return f"{symbol}_{{{first}{_plain(loop.index)} \\leq {name_latex(last)}}}"


def _loop(loop: Loop) -> str:
    last = loop.last if isinstance(loop.last, int) else name_latex(loop.last)
    return f"{_plain(loop.index)} = {loop.first}, \\ldots, {last}"


def _weight(letter: str, number: str, copy: str, index: str) -> str:
    names = ", ".join(found for found in (number, copy) if found)
    above = f"^{{({names})}}" if names else ""
    return f"{letter}{above}_{{{index}}}"


def _sample(number: str) -> str:
    return f"s_{{{number}}}" if number else "s"


def _drawn(node: str, factor: str, times: str) -> str:
    after = f" \\quad \\text{{for }} {times}" if times else ""
    return f"{node} \\sim {factor}{after}"


LATEX = Notation(
    name=name_latex,
    given=" \\mid ",
    log="\\log",
    exp="\\exp",
    divergence="\\mathrm{KL}",
    against=" \\,\\|\\, ",
    mean="\\frac{1}{S} \\sum_{s}",
    alpha="\\alpha",
    minus="-",
    times=" \\, ",
    brackets=("\\bigl[", "\\bigr]"),
    parentheses=("\\Bigl( ", " \\Bigr)"),
    bar="\\bar{w}",
    total=lambda index: f"\\sum_{{{index}}}",
    copies=_copies,
    loop=_loop,
    each="\\text{each }",
    weight=_weight,
    copy=lambda index: f"[{index}]",
    every="*",
    sample=_sample,
    quotient=lambda above, below, _: f"\\frac{{{above}}}{{{below}}}",
    drawn=_drawn,
    comma=", \\quad ",
)


def page_latex(page: Page) -> str:
    """Every pattern, with its title as a comment."""
    parts = [f"% {page.model}: needs \\usepackage{{amsmath}}"]
    parts += [f"% gradient = {page.gradient}"] if page.gradient != "plain" else []
    for pattern in page.patterns:
        parts += ["", f"% {pattern.title}", objective_latex(pattern.objective)]
    return "\n".join(parts) + "\n"


def objective_latex(objective: Objective) -> str:
    """One align*: the bound, then what w and the draws are."""
    formula = Formula(objective, LATEX)
    known = ", ".join(map(name_latex, objective.known))
    rows = [
        "&\\quad " * bool(i) + "&" * (not i) + row for line in formula.lines() for i, row in enumerate(_broken(line))
    ]
    rows[0] = f"\\mathcal{{L}}{f'({known})' if known else ''} = {rows[0]}"
    rows += [f"&{line}" for line in (*formula.weights(), *formula.draws())]
    body = " \\\\\n".join(f"  {row}" for row in rows)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _broken(text: str) -> list[str]:
    """Lines of about WIDTH printed characters, broken before + and − outside braces."""
    lines, width, depth = [""], 0, 0
    for token in re.split(r"( [+-] )", text):
        if token in (" + ", " - ") and depth == 0 and width > WIDTH:
            lines.append("")
            width = 0
        depth += token.count("{") - token.count("}")
        lines[-1] += token if lines[-1] else token.lstrip()
        width += len(re.sub(r"\\[a-z]+|[{}_^]", "", token))
    return lines
