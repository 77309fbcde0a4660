"""A page of `sgdsl explain` as text: derived objectives in, mathematics in Unicode out, in lines of 110 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from sgdsl.middle import ir
from sgdsl.middle.explain import GRADIENTS, Page, Pattern, TermRow
from sgdsl.middle.formula import Formula, Notation
from sgdsl.middle.objective import Density, Loop, Objective

WIDTH = 110


def page_text(page: Page) -> str:
    """The whole page."""
    alpha = "1 / ρ" if page.alpha == "auto" else f"{page.alpha:g}"
    jensen = ", jensen" if page.marginal == "jensen" else ""
    labelled = f", α = {alpha}" if any(p.known for p in page.patterns) else ""
    gradient = "" if page.gradient == "plain" else f", gradient {page.gradient}"
    lines = [f"{page.model}: bound {page.bound}{jensen}, S = {page.samples}{labelled}{gradient}", f"    {page.formula}"]
    lines += [f"    {GRADIENTS[page.gradient]}", ""] if gradient else [""]
    width = max((len(n.name) for n in page.nodes), default=0)
    lines.append("nodes")
    for node in page.nodes:
        reason = f"  [{node.reason}]" if node.reason else ""
        lines.append(f"    {node.name:<{width}} : {node.how}{reason}")
    lines += ["", "copies", *(f"    {line}" for line in page.counts)] if page.counts else []
    lines += ["", *_table(page.terms)]
    for pattern in page.patterns:
        lines += ["", pattern.title, *(f"    {line}".rstrip() for line in _pattern(pattern, page.samples, width))]
    for title, words in page.partly:
        lines += ["", title, *(f"    {line}" for line in _filled(words))]
    lines += ["", *page.made] if page.made else []
    lines += ["", "other models", *(f"    {line}" for line in page.others)] if page.others else []
    return "\n".join(lines) + "\n"


def _table(terms: Sequence[TermRow]) -> list[str]:
    """Each term: its line in the file, its line in the emitted text, where it is evaluated."""
    names = [f"log {factor_text(t.factor)}" for t in terms]
    width = max(map(len, names))
    lines = [f"terms{'':<{width - 1}}  .sgm  emitted  cases a row"]
    for term, name in zip(terms, names, strict=True):
        where = f"{term.cases}, over {', '.join(term.scope)}" if term.scope else "once"
        where = "a constant" if term.constant else where
        lines.append(f"    {name:<{width}}  {term.line:>4}  {term.emitted:>7}  {where}")
    return lines


def _pattern(pattern: Pattern, samples: int, width: int) -> list[str]:
    lines = objective_text(pattern.objective)
    lines += ["", *(f"{name:<{width}} : {does}" for name, does in pattern.nodes)]
    times = f"·{samples}" if samples > 1 else ""
    counts = (f"{e.method}\0{e.text(times)}" for e in pattern.evaluations)
    networks = f"networks a row: {', '.join(counts) or 'none'}"
    return [*lines, *_filled(pattern.weights), *_filled(networks)]


def _filled(sentence: str) -> list[str]:
    lines = textwrap.wrap(sentence.replace(" = ", "\0=\0"), WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


# --- mathematics ----------------------------------------------------------------------------------------------


def _index(names: str) -> str:
    return f"{{{names}}}" if re.search(r"\W", names) else names


def _name(name: str) -> str:
    """An index without blanks, so that no line is broken in it."""
    return name.replace(" - ", "−").replace(" + ", "+")


def _copies(by: str, loop: Loop) -> str:
    """Σ_{i=1..5}, or Σ_{i≤k}."""
    symbol = "Σ" if by == "sum" else "Π"
    return f"{symbol}_{{{loop.index}≤{loop.last}}}" if _from_one(loop) else f"{symbol}_{{{_loop(loop)}}}"


def _from_one(loop: Loop) -> bool:
    return loop.first == 1 and isinstance(loop.last, str)


def _loop(loop: Loop) -> str:
    return f"{loop.index}={loop.first}..{loop.last}"


TEXT = Notation(
    name=_name,
    given=" | ",
    log="log",
    exp="exp",
    divergence="KL",
    against=" ‖ ",
    mean="mean_s",
    alpha="α",
    minus="−",
    times=" ",
    brackets=("[", "]"),
    parentheses=("(", ")"),
    bar="w̄",
    total=lambda index: f"Σ_{_index(index)}",
    copies=_copies,
    loop=lambda loop: f"each {_loop(loop)}",
    each="each ",
    weight=lambda letter, number, copy, index: f"{letter}{number}{f'[{copy}]' if copy else ''}_{_index(index)}",
    copy=lambda index: f"[{index}]",
    every="*",
    sample=lambda number: f"s{number}",
    quotient=lambda above, below, simple: f"{above} / {below if simple else f'({below})'}",
    drawn=lambda node, factor, times: f"{node} ~ {factor}" + (f" for {times}" if times else ""),
    comma=", ",
)


def objective_text(objective: Objective) -> list[str]:
    """The bound, an addend a line, then what w and the draws are."""
    formula = Formula(objective, TEXT)
    lines = [row for line in formula.lines() for row in _wrapped(line)] + formula.weights()
    if formula.recombined:
        lines.append("sums over several s: the mean of S recombinations, each s drawn from its own w̄")
    return lines + formula.draws()


def factor_text(factor: Density) -> str:
    """p(x | y, z)."""
    return _name(ir.head(factor.side, factor.node, factor.given))


def _wrapped(text: str) -> list[str]:
    """Broken before + and − only."""
    glued = text.replace(" ", "\0").replace("\0+\0", " +\0").replace("\0−\0", " −\0")
    lines = textwrap.wrap(glued, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]
