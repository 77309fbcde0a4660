"""Writes derived objectives: an expression and a notation (text, LaTeX) come in, strings go out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from sgdsl.middle.objective import (
    Addend,
    Average,
    Copies,
    Density,
    Divergence,
    Exp,
    Expr,
    Log,
    Loop,
    Mean,
    Objective,
    Product,
    Quotient,
    Sum,
    Total,
    Weight,
    parts,
)


@dataclass(frozen=True, slots=True)
class Notation:
    """How things are written. `name`: of a node; `total(index)`: Σ; `weight(letter w or w̄, number or "", copy or "", index)`;
    `sample(number or "")`: a sample index; `copy(index)`: behind what there is for each copy, `every` of them;
    `quotient(above, below, whether below is one factor)`; `brackets` of a sum, `parentheses` of a factor;
    `drawn(node, factor, what it is for or "")`; `copies(sum or product, loop)`: Σ over copies;
    `loop`: in words."""

    name: Callable[[str], str]
    given: str
    log: str
    exp: str
    divergence: str
    against: str
    mean: str
    alpha: str
    minus: str
    times: str
    brackets: tuple[str, str]
    parentheses: tuple[str, str]
    bar: str
    total: Callable[[str], str]
    copies: Callable[[str, Loop], str]
    loop: Callable[[Loop], str]
    each: str
    weight: Callable[[str, str, str, str], str]
    copy: Callable[[str], str]
    every: str
    sample: Callable[[str], str]
    quotient: Callable[[str, str, bool], str]
    drawn: Callable[[str, str, str], str]
    comma: str


@dataclass(frozen=True, slots=True)
class Formula:
    """The expressions of one objective in one notation."""

    objective: Objective
    notation: Notation

    def lines(self) -> list[str]:
        """The bound, an addend a line with its sign in front."""
        lines: list[str] = []
        for addend in self.objective.bound.addends:
            sign, text = self._addend(addend)
            lines.append(text if not lines and sign == "+" else f"{sign} {text}")
        return lines

    def weights(self) -> list[str]:
        """What w and w̄ are, a line a group that needs it."""
        lines, n = [], self.notation
        for group, weighting in enumerate(self.objective.weights):
            used = any(isinstance(e, Average) and group in e.groups for e in parts(self.objective.bound))
            factors = self._text(Product(weighting.factors))
            w, bar = (self._symbol(group, letter, self._sample(group)) for letter in ("w", n.bar))
            over = n.total(self._indices((group,), {group: self._sample(group)}))
            if weighting.drawn and (used or Weight(group) in parts(self.objective.bound)):
                lines.append(f"{w} = {factors}" + (f"{n.comma}{bar} = {w} / {over} {w}" if used else ""))
            elif used and not weighting.drawn:
                lines.append(f"{bar} = {n.quotient(factors, f'{over} {factors}', True)}")
        return lines

    @property
    def recombined(self) -> bool:
        """Whether a sum runs over the samples of several groups."""
        averages = (e for e in parts(self.objective.bound) if isinstance(e, Average))
        return any(bool(e.whole) or self._apart(e.groups) for e in averages)

    def draws(self) -> list[str]:
        """How each node is drawn."""
        found = []
        for draw in self.objective.draws:
            factor = self.density(Density("q", draw.node, draw.given))
            each = f"{self.notation.each}{self._names(draw.each)}" if draw.each else ""
            times = ", ".join([*map(self.notation.loop, draw.loops), *([each] if each else [])])
            found.append(self.notation.drawn(self.notation.name(draw.node), factor, times))
        return found

    def density(self, density: Density) -> str:
        """p(x | y, z)."""
        bar = self.notation.given if density.given else ""
        return f"{density.side}({self.notation.name(density.node)}{bar}{self._names(density.given)})"

    def _names(self, names: Iterable[str]) -> str:
        return ", ".join(map(self.notation.name, names))

    def _addend(self, addend: Addend) -> tuple[str, str]:
        """Sign and text."""
        n = self.notation
        factor = {(1, 0): "", (-1, 0): "", (0, 1): f"{n.alpha} ", (1, 1): f"(1 + {n.alpha}) "}[addend.one, addend.alpha]
        return n.minus if addend.one < 0 else "+", factor + self._text(addend.of)

    def _text(self, expr: Expr) -> str:
        n = self.notation
        match expr:
            case Density():
                return self.density(expr)
            case Divergence():
                return f"{n.divergence}({self.density(expr.q)}{n.against}{self.density(expr.p)})"
            case Weight():
                return self._weight(expr.group)
            case Log():
                return f"{n.log} {self._text(expr.of)}"
            case Exp():
                return f"{n.exp} {self._text(expr.of)}"
            case Product():
                alone = len(expr.factors) == 1
                return n.times.join(map(self._text if alone else self._factor, expr.factors)) or "1"
            case Quotient():
                simple = isinstance(expr.below, Product) and len(expr.below.factors) == 1
                return n.quotient(self._text(expr.above), self._text(expr.below), simple)
            case Sum():
                signed = " ".join(f"{sign} {text}" for sign, text in map(self._addend, expr.addends))
                return f"{n.brackets[0]} {signed.removeprefix('+ ') or '0'} {n.brackets[1]}"
            case Total():
                return f"{n.total(self._names(expr.over))} {self._text(expr.of)}"
            case Copies():
                return f"{n.copies(expr.by, expr.loop)} {self._text(expr.of)}"
            case Mean():
                return f"{n.mean} {self._text(expr.of)}"
            case Average():
                return self._average(expr)
            case _:
                assert_never(expr)

    def _average(self, expr: Average) -> str:
        n, body = self.notation, self._text(expr.of)
        apart = self._apart(expr.groups)
        whole = dict(expr.whole)
        weights = " ".join(self._weights(g, self._sample(g, apart), whole.get(g)) for g in expr.groups)
        body = body if isinstance(expr.of, Sum) else f"{n.brackets[0]} {body} {n.brackets[1]}"
        every = {
            g: self._sample(g, apart) + (n.copy(self._places(g, whole[g])) if g in whole else "") for g in expr.groups
        }
        return f"{n.total(self._indices(expr.groups, every, whole))} {weights} {body}"

    def _weights(self, group: int, sample: str, own: int | None) -> str:
        """w̄ of a group; of all its copies behind its `own` first loops their product, the values of enumerated members summed
        out."""
        n, weighting = self.notation, self.objective.weights[group]
        if own is None:
            return self._symbol(group, n.bar, sample)
        text = self._symbol(group, n.bar, sample + n.copy(self._places(group)))
        text = f"{n.total(self._names(weighting.values))} {text}" if weighting.values else text
        return " ".join((*(n.copies("product", loop) for loop in weighting.loops[own:]), text))

    def _apart(self, groups: Sequence[int]) -> bool:
        """Whether each group needs a sample index of its own."""
        return sum(bool(self.objective.weights[g].drawn) for g in groups) > 1

    def _factor(self, expr: Expr) -> str:
        """Inside a product."""
        left, right = self.notation.parentheses
        return f"{left}{self._text(expr)}{right}" if isinstance(expr, Total | Copies) else self._text(expr)

    def _weight(self, group: int) -> str:
        """w of a group, written out where nothing of it is drawn."""
        weighting = self.objective.weights[group]
        if not weighting.drawn:
            return self._text(Product(weighting.factors))
        return self._symbol(group, "w", self._sample(group))

    def _symbol(self, group: int, letter: str, sample: str) -> str:
        """w̄ of a group, with its copy and its indices."""
        number = str(group + 1) if len(self.objective.weights) > 1 else ""
        return self.notation.weight(letter, number, self._places(group), self._indices((group,), {group: sample}))

    def _places(self, group: int, own: int | None = None) -> str:
        """Which copy a group is of; behind its `own` first loops all."""
        loops = self.objective.weights[group].loops
        first = len(loops) if own is None else own
        return ", ".join((*(loop.index for loop in loops[:first]), *[self.notation.every] * len(loops[first:])))

    def _sample(self, group: int, apart: bool = False) -> str:
        """The sample index of a group, `apart` one of its own; "" where nothing is drawn."""
        drawn = self.objective.weights[group].drawn
        return self.notation.sample(str(group + 1) if apart else "") if drawn else ""

    def _indices(self, groups: Sequence[int], samples: Mapping[int, str], whole: Collection[int] = ()) -> str:
        """The sample index of each group, and its enumerated members."""
        found: list[str] = []
        for group in groups:
            values = self.objective.weights[group].values if group not in whole else ()
            found += [*([samples[group]] if samples[group] else []), *map(self.notation.name, values)]
        return ", ".join(found)
