"""Which finite nodes are enumerated, and the sums over them: the fast ways against plain ones."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from benchmarks.shapes import SHAPES
from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle import estimators
from sgdsl.middle.cases import cases
from sgdsl.middle.clique_tree import CliqueTree, cliques
from sgdsl.middle.elimination import Eliminator, Key, Product, Scope

Family = tuple[str, tuple[str, ...], bool]


def all_cases(
    draws: list[str], parents: dict[str, list[str]], factors: list[Family], size: dict[str, int],
    alone: set[str], partly: set[str],
) -> int:  # fmt: skip
    """The most cases of a term, by its definition: every scope anew."""
    scope: dict[str, set[str]] = {}
    for v in draws:
        above = set().union(*(scope[p] for p in parents[v]))
        scope[v] = {v} if v in alone else above | {v} if v in partly else above
    found = [{c for v in (node, *given) if v in scope for c in scope[v]} for node, given, _ in factors]
    return max((math.prod(size[c] for c in cs) for cs in found), default=1)


@pytest.mark.parametrize("seed", range(300))
def test_cases_equal_their_definition(seed: int) -> None:
    """Protects which node is enumerated: after each decision the largest number of cases, found incrementally, equals that of
    all scopes computed anew; a bound that is too small would enumerate what is too large."""
    dice = random.Random(seed)
    draws = [f"v{i}" for i in range(dice.randint(2, 14))]
    near = dice.randint(1, 6)
    parents = {
        v: dice.sample(draws[max(0, i - near) : i], min(i, near, dice.randint(0, 3))) for i, v in enumerate(draws)
    }
    size = {v: dice.choice((2, 3, 5)) for v in draws if dice.random() < 0.8}
    always = {v for v in size if dice.random() < 0.15}
    partly = {v for v in size if v not in always and dice.random() < 0.1}
    size |= dict.fromkeys(partly, 2)
    written = always | partly | {v for v in draws if v not in size}
    factors: list[Family] = [(v, tuple(parents[v]), True) for v in draws]
    factors += [(v, tuple(dice.sample(draws, dice.randint(0, min(3, len(draws))))), False) for v in draws]
    factors += [(f"x{i}", tuple(dice.sample(draws, dice.randint(0, min(4, len(draws))))), False) for i in range(4)]
    may = {v: s for v, s in size.items() if v in always | partly or v not in written}
    state, alone = cases(parents, factors, may, always, partly), set(always)
    for v in draws:
        listed = False
        if v not in written:
            most = state.most(v)
            assert most == all_cases(draws, parents, factors, size, alone | {v}, partly)
            listed = most <= 32
        state.decide(v, listed)
        alone |= {v} if listed else set()


def summed(product: Product, maker: Eliminator, tables: dict[Key, np.ndarray], nodes: list[str]) -> np.ndarray:
    """A log-product with its messages, as an array over all nodes, by the definition of a message."""

    def value(key: Key) -> np.ndarray:
        if key.kind != "message":
            return tables[key]
        message = maker.named[key.node][1]
        joint = sum((value(k) for k, _ in message.product.factors), np.zeros([1] * len(nodes)))
        return np.log(np.exp(joint).sum(nodes.index(message.over), keepdims=True))

    return sum((value(k) for k, _ in product.factors), np.zeros([1] * len(nodes)))


@pytest.mark.parametrize("seed", range(60))
def test_a_clique_tree_gives_the_marginals(seed: int) -> None:
    """On random graphs with densities, labels and labelled nodes: the share of each entry of every level, within 1e-10 of
    summing the whole table; levels inside one clique and across several, and across trees."""
    dice, noise = random.Random(seed), np.random.default_rng(seed)
    nodes = [f"v{i}" for i in range(6)]
    size = {v: dice.choice((2, 3)) for v in nodes}
    factors: dict[Key, Scope] = {}
    density: dict[Key, frozenset[str]] = {}
    instead: dict[Key, tuple[Key, Scope]] = {}
    tables: dict[Key, np.ndarray] = {}

    def table(scope: Scope) -> np.ndarray:
        return noise.normal(size=[size[v] if v in scope else 1 for v in nodes])

    for i, v in enumerate(nodes):
        above = tuple(u for u in nodes[max(0, i - 3) : i] if dice.random() < 0.4)
        key, axis = Key("q", v), nodes.index(v)
        factors[key] = (*above, v)
        tables[key] = table(factors[key])
        if dice.random() < 0.3:  # labelled: what is left of it is a sum of its own
            instead[key] = Key("label", v), above
            tables[Key("label", v)] = np.log(np.exp(tables[key]).sum(axis, keepdims=True))
        else:
            density[key] = frozenset((v,))
            tables[key] -= np.log(np.exp(tables[key]).sum(axis, keepdims=True))
        if above and dice.random() < 0.3:
            factors[Key("label", f"y{i}")] = above
            tables[Key("label", f"y{i}")] = table(above)
    place = {v: i for i, v in enumerate(nodes)} | {f"y{i}": i for i in range(6)}
    maker = Eliminator(size, place)
    found = cliques(factors.values(), maker, 10**6)
    assert found is not None
    order = {v: i for i, v in enumerate(found)}
    own: dict[str, dict[Key, Scope]] = {}
    for key, scope in factors.items():
        own.setdefault(min(scope, key=order.__getitem__), {})[key] = scope
    tree = CliqueTree(maker, found, own, density, instead)
    joint = np.exp(sum(tables[k] for k in factors))
    joint = joint / joint.sum()
    for _ in range(12):
        level = tuple(v for v in nodes if dice.random() < 0.35) or (dice.choice(nodes),)
        product, whole = tree.product(level)
        share = np.exp(summed(product, maker, tables, nodes) - summed(whole, maker, tables, nodes))
        exact = joint.sum(tuple(i for i, v in enumerate(nodes) if v not in level), keepdims=True)
        np.testing.assert_allclose(np.broadcast_to(share, exact.shape), exact, rtol=1e-10)


@pytest.mark.parametrize("shape", ["labelled_chain", "tree", "binary_chain", "sparse"])
def test_a_clique_tree_is_as_good_as_a_search_for_each_level(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No level larger, and at most a tenth more sums, than where each level has an elimination of its own."""
    source = Source(f"{shape}.sgm", SHAPES[shape](80))
    plans = []
    for few in (0, 10_000):
        monkeypatch.setattr("sgdsl.middle.weights.FEW", few)
        checked = driver.check(source)
        sizes = {n: estimators.entries(checked.model, checked.plan.choices, n) for n in checked.plan.draws}
        plans.append((checked.plan, max(math.prod(sizes[v] for v in m.product.scope) for m in checked.plan.messages)))
    (tree, widest), (search, least) = plans
    assert widest <= least
    assert len(tree.messages) <= 1.1 * len(search.messages)
    assert tree.choices == search.choices
