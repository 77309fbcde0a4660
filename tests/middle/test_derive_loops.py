"""Derived objectives of models with loops are right: evaluated as S grows, on random finite tables, they are what enumeration of
the loops written out gives.

The evaluator below knows nothing but the language of `middle/objective.py`; the expected values come from all joint values of
the unknown copies at once, for each number of copies.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import pytest

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import graphs, ir
from sgdsl.middle.derive import derive
from sgdsl.middle.objective import (
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
    in_loops,
)
from sgdsl.middle.unrolled import Unrolled, unrolled
from tests.middle.test_derive import ALPHA, BOUNDS

Values = Mapping[str, int]  # of copies, "z[2]"; of an index, "#i"


class Tables:
    """Random tables over the written-out loops of a model, for each number of copies."""

    def __init__(self, model: ir.Model, seed: int) -> None:
        self.model, self.seed = model, seed
        self.counts = tuple(dict.fromkeys(a.count for a in model.axes if a.count))
        self.flat = cache(self._flat)

    def _flat(self, *counts: int) -> tuple[Unrolled, graphs.Graphs]:
        made = unrolled(self.model, dict(zip(self.counts, counts, strict=True)))
        return made, graphs.build(made.model)

    def at(self, values: Values) -> tuple[Unrolled, graphs.Graphs]:
        """The loops written out for the numbers of copies of a row; where they are not chosen yet, for most."""
        return self.flat(*(values.get(k, max(self.values(k))) for k in self.counts))

    def values(self, name: str) -> range:
        kind = self.model.node(name.split("[")[0]).type
        first = kind.first if kind.cardinality else 0
        return range(first, first + (kind.cardinality or 3))

    def parents(self, side: str, copy: str, values: Values) -> tuple[str, ...]:
        _, found = self.at(values)
        graph = found.p if side == "p" else found.q
        return tuple(sorted(graph.predecessors(copy)))

    def probability(self, side: str, copy: str, values: Values) -> float:
        """p or q of a copy's value given its parents'; the same question, the same answer."""
        read = tuple((u, values[u]) for u in self.parents(side, copy, values))
        dice = random.Random(f"{self.seed} {side} {copy} {read}")
        weights = [dice.uniform(0.2, 2.0) for _ in self.values(copy)]
        return weights[values[copy] - self.values(copy)[0]] / sum(weights)

    @cached_property
    def always(self) -> dict[str, int]:
        """Observed and given copies are 0."""
        whole, _ = self.at({})
        return {n.name: 0 for n in whole.model.nodes if n.role in ("observed", "given")}


def resolved(name: str, at: Values) -> str:
    """`z[t - 1]` at t = 3 is z[2]."""
    stem, *index = re.split(r"[\[\]]", name)
    if not index:
        return name
    return f"{stem}[{', '.join(str(_place(p.split(), at)) for p in index[0].split(', '))}]"


def _place(words: list[str], at: Values) -> int:
    first = int(words[0]) if words[0].isdigit() else at[f"#{words[0]}"]
    return first + (int(words[1] + words[2]) if len(words) == 3 else 0)


@dataclass(frozen=True)
class Evaluator:
    """An objective as S grows without end."""

    tables: Tables
    objective: Objective

    def places(self, loop: Loop, at: Values) -> Iterator[dict[str, int]]:
        last = at[loop.last] if isinstance(loop.last, str) else loop.last
        yield from ({f"#{loop.index}": i} for i in range(loop.first, last + 1))

    def value(self, expr: Expr, at: Values) -> float:
        match expr:
            case Density():
                return self.tables.probability(expr.side, resolved(expr.node, at), at)
            case Divergence():
                node = resolved(expr.q.node, at)
                each = [{**at, node: v} for v in self.tables.values(node)]
                return sum(
                    self.value(expr.q, b) * math.log(self.value(expr.q, b) / self.value(expr.p, b)) for b in each
                )
            case Weight():
                return self.value(Product(self.objective.weights[expr.group].factors), at)
            case Log():
                return math.log(self.value(expr.of, at))
            case Exp():
                return math.exp(self.value(expr.of, at))
            case Product():
                return math.prod(self.value(f, at) for f in expr.factors)
            case Quotient():
                return self.value(expr.above, at) / self.value(expr.below, at)
            case Sum():
                return sum((a.one + a.alpha * ALPHA) * self.value(a.of, at) for a in expr.addends)
            case Total():
                return sum(self.value(expr.of, {**at, **v}) for v in self.every(expr.over, at))
            case Copies():
                each = [self.value(expr.of, {**at, **i}) for i in self.places(expr.loop, at)]
                return sum(each) if expr.by == "sum" else math.prod(each)
            case Mean():
                return self.expectation(expr.of, at)
            case Average():
                whole = dict(expr.whole)
                over = tuple(v for g in expr.groups if g not in whole for v in self.objective.weights[g].values)
                weights = tuple(self.weight(g, whole.get(g)) for g in expr.groups)
                above = self.expectation(Total(over, Product((*weights, expr.of))), at)
                return above / self.expectation(Total(over, Product(weights)), at)

    def weight(self, group: int, own: int | None) -> Expr:
        """ω of a group; of all its copies behind its `own` first loops."""
        weighting = self.objective.weights[group]
        if own is None:
            return Weight(group)
        return in_loops("product", weighting.loops[own:], Total(weighting.values, Weight(group)))

    def copies(self, names: tuple[str, ...], at: Values) -> list[str]:
        """`c[*]` is every copy of c."""
        whole, _ = self.tables.at(at)
        found: list[str] = []
        for name in names:
            of = name.removesuffix("*]")
            found += [resolved(name, at)] if of == name else [c for c in whole.copies if c.startswith(of)]
        return found

    def every(self, names: tuple[str, ...], at: Values) -> Iterator[dict[str, int]]:
        copies = self.copies(names, at)
        for values in itertools.product(*map(self.tables.values, copies)):
            yield dict(zip(copies, values, strict=True))

    def free(self, at: Values) -> Iterator[str]:
        """The copies that can be drawn: what they depend on is chosen."""
        for draw in self.objective.draws:
            if any(isinstance(loop.last, str) and loop.last not in at for loop in draw.loops):
                continue
            for found in itertools.product(*(list(self.places(loop, at)) for loop in draw.loops)):
                here = {**at, **{k: v for place in found for k, v in place.items()}}
                copy = resolved(draw.node, here)
                needs = {*(resolved(e, here) for e in draw.each), *self.tables.parents("q", copy, at)}
                if copy not in at and needs <= at.keys():
                    yield copy

    def expectation(self, expr: Expr, at: Values) -> float:
        """Over the draws that an expression reads; one is made as soon as the values that it depends on are chosen."""
        wanted = self.unbound(expr, at)
        for copy in self.free(at):
            if copy in wanted:
                branches = [{**at, copy: v} for v in self.tables.values(copy)]
                return sum(self.tables.probability("q", copy, b) * self.expectation(expr, b) for b in branches)
        match expr:
            case Total():
                return sum(self.expectation(expr.of, {**at, **v}) for v in self.every(expr.over, at))
            case Sum():
                return sum((a.one + a.alpha * ALPHA) * self.expectation(a.of, at) for a in expr.addends)
            case Product():
                self.apart([(f, at) for f in expr.factors])
                return math.prod(self.expectation(f, at) for f in expr.factors)
            case Copies():
                each = [{**at, **i} for i in self.places(expr.loop, at)]
                if expr.by == "sum":
                    return sum(self.expectation(expr.of, here) for here in each)
                self.apart([(expr.of, here) for here in each])
                return math.prod(self.expectation(expr.of, here) for here in each)
            case Quotient():
                assert not self.unbound(expr.below, at), "a quotient of draws"
                return self.expectation(expr.above, at) / self.value(expr.below, at)
            case Weight():
                return self.expectation(Product(self.objective.weights[expr.group].factors), at)
            case _:
                return self.value(expr, at)

    def apart(self, factors: list[tuple[Expr, Values]]) -> None:
        free = [v for f, here in factors for v in self.unbound(f, here)]
        assert len(free) == len(set(free)), "two factors that share a draw"

    def unbound(self, expr: Expr, at: Values) -> set[str]:
        """The draws that an expression reads, through other draws too, and that are still to be made."""
        drawn = {d.node.split("[")[0] for d in self.objective.draws}
        todo, found = list(self.reads(expr, at)), set()
        while todo:
            copy = todo.pop()
            if copy not in found and copy not in at and copy.split("[")[0] in drawn:
                found.add(copy)
                todo += self.tables.parents("q", copy, at)
        return found

    def reads(self, expr: Expr, at: Values) -> Iterator[str]:
        match expr:
            case Density():
                copy = resolved(expr.node, at)
                yield from (copy, *self.tables.parents(expr.side, copy, at))
            case Divergence():
                both = {*self.reads(expr.q, at), *self.reads(expr.p, at)}
                yield from both - {resolved(expr.q.node, at)}
            case Weight():
                yield from self.reads(Product(self.objective.weights[expr.group].factors), at)
            case Product():
                yield from (v for f in expr.factors for v in self.reads(f, at))
            case Quotient():
                yield from (*self.reads(expr.above, at), *self.reads(expr.below, at))
            case Sum():
                yield from (v for a in expr.addends for v in self.reads(a.of, at))
            case Total():
                bound = [at] if not any(k in expr.over for k in self.tables.counts) else []
                bound = bound or [{**at, **v} for v in self.every(expr.over, at)]
                over = set(self.copies(expr.over, at))
                yield from (v for here in bound for v in self.reads(expr.of, here) if v not in over)
            case Copies():
                yield from (v for i in self.places(expr.loop, at) for v in self.reads(expr.of, {**at, **i}))
            case _:
                yield from self.reads(expr.of, at)


def by_enumeration(tables: Tables, known: Values, bound: str) -> float:
    """The bound as S grows, from all joint values of the unknown copies: docs/objective.md, section 1."""
    total, evidence, f_posterior, f_prior, log_w = 0.0, 0.0, 0.0, 0.0, 0.0
    counts = [[known[k]] if k in known else tables.values(k) for k in tables.counts]
    for k in itertools.product(*counts):
        flat, _ = tables.flat(*k)
        numbers = dict(zip(tables.counts, k, strict=True))
        q = [f.node for f in flat.model.q]
        unknown = [v for v in q if v not in known]
        free = [v for v in unknown if v not in numbers]
        for values in itertools.product(*map(tables.values, free)):
            at = {**tables.always, **known, **numbers, **dict(zip(free, values, strict=True))}
            r = math.prod(tables.probability("q", v, at) for v in unknown)
            w = math.prod(tables.probability("q", v, at) for v in q if v in known)
            p = math.prod(tables.probability("p", f.node, at) for f in flat.model.p)
            f = math.log(p) - math.log(r * w)
            total += r * w
            evidence += p
            f_posterior += r * w * f
            f_prior += r * f
            log_w += r * math.log(w)
    match bound:
        case "snis":
            return f_posterior / total + (1 + ALPHA) * math.log(total)
        case "jensen":
            return f_posterior / total + (1 + ALPHA) * log_w
        case "clamped":
            return f_prior + (1 + ALPHA) * log_w
        case _:
            return math.log(evidence) + ALPHA * math.log(total)


def compare(text: str, bound: str, seed: int) -> int:
    """Every pattern of labels of a model that rows can have, derived against enumerated; how many there are."""
    checked = driver.check(Source("loops.sgm", text), BOUNDS[bound])
    tables = Tables(checked.model, seed)
    pages = driver.page(checked).patterns
    for page in pages:
        dice, known = random.Random(seed), {}
        for k in (v for v in tables.counts if v in page.known):
            known[k] = dice.choice(tables.values(k))
        flat, _ = tables.at(known)
        for name, (node, _) in flat.copies.items():
            if node in page.known and name not in known:
                known[name] = dice.choice(tables.values(name))
        objective = derive(checked.model, checked.graphs, checked.plan, page.known)
        found = Evaluator(tables, objective).value(objective.bound, {**tables.always, **known})
        assert found == pytest.approx(by_enumeration(tables, known, bound), abs=1e-10), (page.title, objective)
    return len(pages)


PLATE = """model plate
observed w : class(2)
latent c : class(2)
p(c) = Categorical(learned)
for i in 1..2 {
    observed   x[i] : class(2)
    latent     y[i] : class(2)
    supervised v[i] : class(2)
    latent     z[i] : class(2)
    p(y[i] | c)          = Categorical(table)
    p(v[i] | y[i])       = Categorical(table)
    p(z[i])              = Categorical(learned)
    p(x[i] | y[i], z[i]) = Categorical(table)
    q(y[i] | x[i], c)    = Categorical(table) by enumerate
    q(v[i] | y[i], x[i]) = Categorical(table)
    q(z[i] | x[i])       = Categorical(table) by score
}
p(w | c) = Categorical(table)
q(c | w) = Categorical(table)
"""
DRAWN = PLATE.replace("q(c | w) = Categorical(table)", "q(c | w) = Categorical(table) by score")
NESTED = """model nested
for i in 1..2 {
    latent b[i] : class(2)
    p(b[i]) = Categorical(learned)
    for j in 1..2 {
        observed   x[i, j] : class(2)
        supervised y[i, j] : class(2)
        p(y[i, j] | b[i])          = Categorical(table)
        p(x[i, j] | y[i, j], b[i]) = Categorical(table)
        q(y[i, j] | x[i, j], b[i]) = Categorical(table)
    }
    let all[i] = mlp(2)(stack(x[i, *]))
    q(b[i] | all[i]) = Categorical(mlp(2))
}
"""
CHAIN = """model chain
for t in 1..3 {
    observed   x[t] : class(2)
    latent     z[t] : class(2)
    supervised y[t] : class(2)
    p(x[t] | z[t], y[t]) = Categorical(table)
    p(y[t])              = Categorical(learned)
    q(y[t] | z[t], x[t]) = Categorical(table)
}
p(z[1])        = Categorical(learned)
q(z[1] | x[1]) = Categorical(table) by score
for t in 2..3 {
    p(z[t] | z[t - 1])       = Categorical(table)
    q(z[t] | z[t - 1], x[t]) = Categorical(table) by score
}
"""
PATHS = CHAIN.replace(" by score", "")
TURNED = """model turned
observed   s : class(2)
supervised w : class(2)
for t in 1..3 {
    observed   x[t] : class(2)
    supervised c[t] : class(2)
    supervised y[t] : class(2)
    p(x[t] | c[t])       = Categorical(table)
    p(y[t] | c[t])       = Categorical(table)
    q(y[t] | c[t], x[t]) = Categorical(table)
}
p(c[1]) = Categorical(learned)
for t in 2..3 {
    p(c[t] | c[t - 1]) = Categorical(table)
}
p(w | c[3])    = Categorical(table)
p(s | c[1])    = Categorical(table)
q(w | s, c[3]) = Categorical(table)
q(c[3] | x[3]) = Categorical(table)
for t in 1..2 {
    q(c[t] | c[t + 1], x[t]) = Categorical(table)
}
"""
COUNTED = """model counted
observed   x : real[2]
supervised k : count(0, 2)
p(k)     = Categorical(learned)
q(k | x) = Categorical(mlp(2))
for i in 1..k {
    latent     a[i] : class(2)
    supervised y[i] : class(2)
    p(a[i])           = Categorical(learned)
    p(y[i] | a[i])    = Categorical(table)
    let seen[i] = mlp(2)(x, i)
    q(a[i] | seen[i]) = Categorical(mlp(2)) by score
    q(y[i] | seen[i], a[i]) = Categorical(mlp(2)) by score
    let shown[i] = mlp(2)(a[i], y[i])
}
let total = sum(shown[*])
p(x | total) = Normal(mlp(2))
"""
TRAITS = """model traits
observed w : class(2)
latent u : class(2)
supervised a : class(2)
latent r : class(2)
for i in 1..2 {
    latent     c[i] : class(2)
    latent     z[i] : class(2)
    supervised y[i] : class(2)
    p(c[i])        = Categorical(learned)
    p(y[i] | c[i]) = Categorical(table)
    p(z[i] | y[i]) = Categorical(table)
    q(z[i] | w)    = Categorical(table) by score
    q(c[i] | z[i]) = Categorical(table) by enumerate
    q(y[i] | z[i], c[i]) = Categorical(table)
}
let all = stack(z[*])
p(u) = Categorical(learned)
p(a | u) = Categorical(table)
p(r | a) = Categorical(table)
p(w | all, u, r) = Categorical(mlp(2))
q(u | w) = Categorical(table) by score
q(a | u) = Categorical(table)
q(r | all, u) = Categorical(mlp(2)) by score
"""
PLACES = """model places
for d in 1..2 {
    observed x[d] : class(2)
    latent   u[d] : class(2)
    p(u[d]) = Categorical(learned)
    for j in 1..2 {
        latent     z[d, j] : class(2)
        supervised y[d, j] : class(2)
        p(y[d, j]) = Categorical(learned)
        p(z[d, j] | y[d, j]) = Categorical(table)
        q(z[d, j] | x[d]) = Categorical(table) by score
        q(y[d, j] | z[d, j]) = Categorical(table)
    }
    let high[d] = stack(z[d, *])
    p(x[d] | high[d], u[d]) = Categorical(mlp(2))
    q(u[d] | high[d]) = Categorical(mlp(2)) by score
}
"""
APART = COUNTED.replace("by score", "by enumerate").replace("let total = sum(shown[*])\np(x | total)", "p(x | k)")
MODELS = {
    "plate": (PLATE, 2),
    "drawn": (DRAWN, 2),
    "nested": (NESTED, 2),
    "chain": (CHAIN, 2),
    "paths": (PATHS, 2),
    "turned": (TURNED, 8),
    "counted": (COUNTED, 3),
    "apart": (APART, 3),
}


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", MODELS)
def test_loops_equal_enumeration(name: str, bound: str) -> None:
    """Every bound and pattern of labels, through sums over copies, values inside them, draws along a sequence and k copies."""
    text, patterns = MODELS[name]
    assert compare(text, bound, 5) == patterns


@pytest.mark.parametrize(("text", "patterns"), [(TRAITS, 4), (PLACES, 2)], ids=["traits", "places"])
def test_groups_of_copies_equal_enumeration(text: str, patterns: int) -> None:
    """Averages over the copy at hand, over all copies, and over those of one loop inside another; enumerated members of a
    copy's group; a group outside."""
    assert compare(text, "snis", 5) == patterns
