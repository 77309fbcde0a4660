"""Derived objectives as HTML: a pattern of `sgdsl explain` comes in, formulas that wrap and can be read aloud go out."""

from __future__ import annotations

import re
from html import escape

from sgdsl.middle.explain import GRADIENTS, Page, Pattern
from sgdsl.middle.explain_text import factor_text
from sgdsl.middle.formula import Formula, Notation
from sgdsl.middle.objective import Loop
from sgdsl.report.markup import Markup, element, joined, table


def name_html(name: str) -> Markup:
    """z1 and z_1 → z with the index 1; other names in italics."""
    letter = re.fullmatch(r"([A-Za-z]+)_?(\d+)", name)
    if letter:
        return element("i", letter[1], element("sub", letter[2]))
    return element("i", name)


def _sub(index: str) -> str:
    return f"<sub>{index}</sub>"


def _loop(loop: Loop) -> str:
    last = loop.last if isinstance(loop.last, int) else name_html(loop.last)
    return f"<i>{escape(loop.index)}</i> = {loop.first}…{last}"


def _weight(letter: str, number: str, copy: str, index: str) -> str:
    above = ", ".join(found for found in (number, copy) if found)
    return f"<i>{letter}</i>{f'<sup>({above})</sup>' if above else ''}{_sub(index)}"


HTML = Notation(
    name=name_html,
    given=" | ",
    log="log",
    exp="exp",
    divergence="KL",
    against=" ‖ ",
    mean="mean" + _sub("<i>s</i>"),
    alpha="<i>α</i>",
    minus="−",
    times=" ",
    brackets=("[", "]"),
    parentheses=("(", ")"),
    bar="w̄",
    total=lambda index: f"Σ{_sub(index)}",
    copies=lambda by, loop: f"{'Σ' if by == 'sum' else 'Π'}{_sub(_loop(loop))}",
    loop=_loop,
    each="each ",
    weight=_weight,
    copy=lambda index: f"[{index}]",
    every="*",
    sample=lambda number: f"<i>s</i>{_sub(number)}" if number else "<i>s</i>",
    quotient=lambda above, below, simple: f"{above} / {below if simple else f'({below})'}",
    drawn=lambda node, factor, times: f"{node} ~ {factor}" + (f" for {times}" if times else ""),
    comma=", ",
)


def objective_html(pattern: Pattern) -> Markup:
    """The bound, an addend a line; then what w is and how nodes are drawn."""
    formula = Formula(pattern.objective, HTML)
    lines = [whole(line) for line in formula.lines()]
    beside = [whole(line) for line in (*formula.weights(), *formula.draws())]
    if formula.recombined:
        beside.append(element("span", "sums over several s: the mean of S recombinations, each s drawn from its own w̄"))
    bound = element("div", *(element("p", line) for line in lines), class_="formula")
    where = element("div", *(element("p", line) for line in beside), class_="formula where") if beside else None
    return joined((bound, where))


def whole(formula: str) -> Markup:
    """Lines are not broken inside of p(x | y, z)."""
    return Markup(re.sub(r"[pq]\([^()]*\)", lambda found: found[0].replace(" ", "\u00a0"), formula))


def indexed(formula: str) -> Markup:
    """A formula in plain text, which is ours: w_s → w with the index s."""
    return Markup(re.sub(r"_(\w+)", r"<sub>\1</sub>", whole(formula)))


def pattern_html(pattern: Pattern, samples: int) -> Markup:
    """One pattern of labels: formula, what each node does, what the labels weigh, how often the networks run."""
    times = f"·{samples}" if samples > 1 else ""
    counts = ", ".join(f"{e.method} {e.text(times)}" for e in pattern.evaluations)
    nodes = [(name_html(name), does) for name, does in pattern.nodes]
    return element(
        "section",
        element("h3", pattern.title),
        objective_html(pattern),
        table(f"Nodes, {pattern.title}", ("node", "what it does"), nodes) if nodes else None,
        element("p", pattern.weights, ".", class_="note"),
        element("p", f"Networks a row: {counts or 'none'}.", class_="note"),
        class_="pattern",
    )


def objectives_html(page: Page) -> Markup:
    """Every pattern, below the bound in general and above the lines of the terms."""
    alpha = "1 / ρ" if page.alpha == "auto" else f"{page.alpha:g}"
    labelled = f", α = {alpha}" if any(p.known for p in page.patterns) else ""
    marginal = ", jensen" if page.marginal == "jensen" else ""
    gradient = "" if page.gradient == "plain" else GRADIENTS[page.gradient]
    rows = [
        (f"log {factor_text(t.factor)}".replace(" ", "\u00a0"), str(t.line), _cases(t.cases, t.scope, t.constant))
        for t in page.terms
    ]
    general = f"Bound {page.bound}{marginal}, S = {page.samples}{labelled}: "
    return joined(
        (
            element("p", general, indexed(page.formula)),
            element("p", indexed(gradient)) if gradient else None,
            *(pattern_html(p, page.samples) for p in page.patterns),
            table("Terms", ("term", "line of the file", "evaluated"), rows, frozenset({1})),
        )
    )


def _cases(cases: int, scope: tuple[str, ...], constant: bool) -> str:
    if constant:
        return "a constant"
    return f"in {cases} cases a row, over {', '.join(scope)}" if scope else "once a draw"
