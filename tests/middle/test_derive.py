"""Derived objectives are right: evaluated as S grows, on random finite models, they are what enumeration gives.

The evaluator below knows nothing but the language of `middle/objective.py`: a mean over samples is an expectation over the
draws, a weighted average a quotient of two. The expected values come from all joint values of the unknown nodes at once.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle.derive import derive
from sgdsl.middle.explain_text import objective_text
from sgdsl.middle.objective import (
    Average,
    Density,
    Exp,
    Expr,
    Log,
    Mean,
    Objective,
    Product,
    Quotient,
    Sum,
    Total,
    Weight,
    parts,
)

ROOT = Path(__file__).parents[2]
ALPHA = 0.7
BOUNDS = {
    "snis": ("objective.bound=snis",),
    "iw": ("objective.bound=iw",),
    "clamped": ("objective.bound=clamped",),
    "jensen": ("objective.bound=snis", "objective.marginal=jensen"),
}
Values = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tables:
    """Random tables over the graphs of a checked model; every node has `sizes` values, what is always there is 0."""

    checked: driver.Checked
    sizes: Mapping[str, int]
    seed: int

    def probability(self, side: str, node: str, values: Values) -> float:
        """p or q of a node's value given its parents'; the same question, the same answer."""
        graph = self.checked.graphs.p if side == "p" else self.checked.graphs.q
        parents = tuple(values[u] for u in sorted(graph.predecessors(node)))
        dice = random.Random(f"{self.seed} {side} {node} {parents}")
        weights = [dice.uniform(0.2, 2.0) for _ in range(self.sizes[node])]
        return weights[values[node]] / sum(weights)

    @property
    def always(self) -> dict[str, int]:
        return {n.name: 0 for n in self.checked.model.nodes if n.role in ("observed", "given")}


@dataclass(frozen=True, slots=True)
class Evaluator:
    """An objective as S grows without end."""

    tables: Tables
    objective: Objective

    def value(self, expr: Expr, at: Values) -> float:
        match expr:
            case Density():
                return self.tables.probability(expr.side, expr.node, at)
            case Weight():
                factors = self.objective.weights[expr.group].factors
                return math.prod(self.value(f, at) for f in factors)
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
                return sum(self.value(expr.of, {**at, **v}) for v in self.every(expr.over))
            case Mean():
                return self.expectation(expr.of, at)
            case Average():
                over = tuple(v for g in expr.groups for v in self.objective.weights[g].values)
                weights = tuple(Weight(g) for g in expr.groups)
                above = self.expectation(Total(over, Product((*weights, expr.of))), at)
                return above / self.expectation(Total(over, Product(weights)), at)

    def every(self, names: tuple[str, ...]) -> Iterator[dict[str, int]]:
        for values in itertools.product(*(range(self.tables.sizes[n]) for n in names)):
            yield dict(zip(names, values, strict=True))

    def expectation(self, expr: Expr, at: Values) -> float:
        """Over the draws; one is made as soon as the enumerated values that it depends on are chosen."""
        for draw in self.objective.draws:
            parents = set(self.tables.checked.graphs.parents("q", draw.node))
            if draw.node not in at and {*draw.each, *parents} <= at.keys():
                branches = [{**at, draw.node: v} for v in range(self.tables.sizes[draw.node])]
                return sum(self.tables.probability("q", draw.node, b) * self.expectation(expr, b) for b in branches)
        match expr:
            case Total():
                return sum(self.expectation(expr.of, {**at, **v}) for v in self.every(expr.over))
            case Sum():
                return sum((a.one + a.alpha * ALPHA) * self.expectation(a.of, at) for a in expr.addends)
            case Product():
                free = [v for f in expr.factors for v in self.unbound(f, at)]
                assert len(free) == len(set(free)), "two factors that share a draw"
                return math.prod(self.expectation(f, at) for f in expr.factors)
            case _:
                return self.value(expr, at)

    def unbound(self, expr: Expr, at: Values) -> set[str]:
        """The draws that an expression reads and that are still to be made."""
        named = {d.node for d in self.objective.draws} - at.keys()
        found = [e for e in parts(expr) if isinstance(e, Density)]
        found += [f for e in parts(expr) if isinstance(e, Weight) for f in self.objective.weights[e.group].factors]
        graphs = self.tables.checked.graphs
        return named & {v for f in found for v in (f.node, *graphs.parents(f.side, f.node))}


def by_enumeration(tables: Tables, known: Values, bound: str) -> float:
    """The bound as S grows, from all joint values of the unknown nodes: docs/objective.md, section 1."""
    draws = tables.checked.plan.draws
    unknown = [v for v in draws if v not in known]
    modelled = [f.node for f in tables.checked.model.p]
    total, evidence, f_posterior, f_prior, log_w = 0.0, 0.0, 0.0, 0.0, 0.0
    for values in itertools.product(*(range(tables.sizes[v]) for v in unknown)):
        at = {**tables.always, **known, **dict(zip(unknown, values, strict=True))}
        r = math.prod(tables.probability("q", v, at) for v in unknown)
        w = math.prod(tables.probability("q", v, at) for v in known)
        p = math.prod(tables.probability("p", v, at) for v in modelled)
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


def random_model(seed: int) -> str:
    """Four or five finite unknown nodes in two random orders, any roles, drawn or enumerated by dice; sparse in q, so
    that there are groups."""
    dice = random.Random(seed)
    names = [f"v{i}" for i in range(dice.randint(4, 5))]
    lines = [f"model random_{seed}", "observed x : class(2)"]
    lines += [
        f"{dice.choice(('supervised', 'supervised', 'latent'))} {v} : class({dice.choice((2, 3))})" for v in names
    ]
    for side, likely in (("p", 0.5), ("q", 0.35)):
        order = dice.sample(names, len(names))
        for i, v in enumerate(order):
            parents = [u for u in order[:i] if dice.random() < likely]
            parents += ["x"] if side == "q" and dice.random() < 0.5 else []
            by = f" by {dice.choice(('enumerate', 'score'))}" if side == "q" else ""
            given = f" | {', '.join(parents)}" if parents else ""
            lines.append(f"{side}({v}{given}) = Categorical({'table' if parents else 'learned'}){by}")
    lines.append(f"p(x | {', '.join(dice.sample(names, 2))}) = Categorical(table)")
    return "\n".join(lines) + "\n"


def compare(text: str, bound: str, seed: int) -> int:
    """Every pattern of labels of a model, derived against enumerated; how many there are."""
    checked = driver.check(Source("random.sgm", text), BOUNDS[bound])
    model = checked.model
    tables = Tables(checked, {n.name: n.type.cardinality or 3 for n in model.nodes}, seed)
    labels = [n.name for n in model.nodes if n.role == "supervised"]
    patterns = [k for size in range(len(labels) + 1) for k in itertools.combinations(labels, size)]
    for pattern in patterns:
        known = {v: random.Random(f"{seed} {v}").randrange(tables.sizes[v]) for v in pattern}
        objective = derive(model, checked.graphs, checked.plan, pattern)
        found = Evaluator(tables, objective).value(objective.bound, {**tables.always, **known})
        assert found == pytest.approx(by_enumeration(tables, known, bound), abs=1e-10), (pattern, objective)
    return len(patterns)


WRITTEN = ROOT / "tests" / "loops" / "written" / "ccvae.sgm"  # loops: test_derive_loops.py
SHIPPED = [p if p.stem != "ccvae" else WRITTEN for p in sorted((ROOT / "models").glob("*.sgm"))]


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("seed", range(28))
def test_a_random_model_in_every_pattern(seed: int, bound: str) -> None:
    """Protects the mathematics that a reader is shown: roles, scopes, groups, hidden sums, each bound, every pattern."""
    assert compare(random_model(seed), bound, seed)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_a_shipped_model(path: Path, bound: str) -> None:
    """The same for the models of the gallery, their continuous nodes replaced by three values, classes by two. Relaxed
    nodes of a shipped model are drawn as they are: the sum over a relaxed node's values is tested below. What sum-and-sample is
    right in expectation of, and `iw` does not take, is enumerated."""
    text = path.read_text().replace(" by gumbel(0.66)", "").replace(" by sum_and_sample", "")
    checked = driver.check(Source(path.name, text), BOUNDS[bound])
    small = {n.name: 2 if n.type.cardinality else 3 for n in checked.model.nodes}
    assert small
    tables = Tables(checked, small, 5)
    labels = [n.name for n in checked.model.nodes if n.role == "supervised"]
    for size in range(len(labels) + 1):
        for pattern in itertools.combinations(labels, size):
            objective = derive(checked.model, checked.graphs, checked.plan, pattern)
            known = dict.fromkeys(pattern, 1)
            found = Evaluator(tables, objective).value(objective.bound, {**tables.always, **known})
            assert found == pytest.approx(by_enumeration(tables, known, bound), abs=1e-10), pattern


def test_the_random_models_have_it_all() -> None:
    """The seeds above contain several groups, mixed groups, exact sums and hidden nodes, or they would protect little."""
    seen: set[str] = set()
    for seed in range(28):
        checked = driver.check(Source("random.sgm", random_model(seed)))
        labels = tuple(n.name for n in checked.model.nodes if n.role == "supervised")
        for size in range(len(labels) + 1):
            for pattern in itertools.combinations(labels, size):
                objective = derive(checked.model, checked.graphs, checked.plan, pattern)
                kinds = {(bool(w.drawn), bool(w.values)) for w in objective.weights}
                seen |= {f"group {k}" for k in kinds} | ({"groups"} if len(objective.weights) > 1 else set())
                seen |= {"hidden"} if any(_hidden(e) for e in parts(objective.bound)) else set()
                averages = [e for e in parts(objective.bound) if isinstance(e, Average)]
                seen |= {"several"} if any(len(e.groups) > 1 for e in averages) else set()
    assert seen >= {"group (True, True)", "group (True, False)", "group (False, True)", "groups", "hidden", "several"}


def _hidden(expr: Expr) -> bool:
    return isinstance(expr, Product) and any(isinstance(f, Total) for f in expr.factors)


RELAXED = """model relaxed
observed   x : class(2)
latent     z : class(3)
latent     v : class(2)
supervised y : class(2)
p(y) = Categorical(learned)
p(v) = Categorical(learned)
p(z | y, v) = Categorical(table)
p(x | z) = Categorical(table)
q(y | x) = Categorical(table) by enumerate
q(v | x, y) = Categorical(table) by gumbel(0.5)
q(z | x, v) = Categorical(table) by score
"""


@pytest.mark.parametrize("by", ["gumbel(0.5)", "straight_through"])
def test_a_relaxed_node(by: str) -> None:
    """Its own log p and log q stand under a sum over its values, weighed by q; with hard draws that sum is the ELBO's."""
    text = RELAXED.replace("gumbel(0.5)", by)
    assert compare(text, "snis", 3) == compare(text, "clamped", 3) == 2
    checked = driver.check(Source("relaxed.sgm", text))
    shown = " ".join("\n".join(objective_text(derive(checked.model, checked.graphs, checked.plan, ("y",)))).split())
    assert "Σ_v q(v | x, y) [ log p(v) − log q(v | x, y) ]" in shown


def test_a_class_summed_in_part_stands_under_its_sum() -> None:
    """by sum_and_sample: the mean of what is emitted is the sum over all classes."""
    text = RELAXED.replace(
        "q(y | x) = Categorical(table) by enumerate", "q(y | x) = Categorical(table) by sum_and_sample"
    )
    assert compare(text.replace("gumbel(0.5)", "score"), "snis", 4) == 2


def test_without_alpha_its_terms_are_gone() -> None:
    """α = 0: M2 has no log q(y | x) at all, SDGM keeps one."""
    for name, left in (("mnist", 0), ("sdgm", 1)):
        checked = driver.check(driver.read(ROOT / "models" / f"{name}.sgm"))
        objective = derive(checked.model, checked.graphs, checked.plan, ("y",), alpha=False)
        assert sum(isinstance(a.of, Log) for a in objective.bound.addends) == left
        assert "α" not in "".join(objective_text(objective))
