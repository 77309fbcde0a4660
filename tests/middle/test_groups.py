"""Groups of weights: components of A by hand, and against the definition on random graphs."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.middle.derive import derive
from sgdsl.middle.digraph import digraph
from sgdsl.middle.graphs import Graphs, Lets
from sgdsl.middle.groups import groups
from sgdsl.runtime.grouping import NONE, groups_of
from sgdsl.runtime.load import load
from tests.middle.test_derive import random_model


def found(edges: str, draws: str, known: str) -> list[tuple[str, str]]:
    """`edges` "x>z z>y", `draws` "zy": the groups as ("members", "labels")."""
    q = digraph(["x", *draws], ((u, v) for u, v in (e.split(">") for e in edges.split())))
    graphs = Graphs(digraph((), ()), q, Lets(digraph((), ()), {}))
    return [("".join(g.members), "".join(g.labels)) for g in groups(graphs, tuple(draws), tuple(known))]


@pytest.mark.parametrize(
    ("edges", "draws", "known", "expected"),
    [
        ("x>y x>z y>z", "yz", "y", []),
        ("x>z z>y", "zy", "y", [("z", "y")]),
        ("x>z z>y", "zy", "", []),
        ("x>a x>b x>c a>k b>l c>m", "abcklm", "klm", [("a", "k"), ("b", "l"), ("c", "m")]),
        ("x>a x>b a>k b>l", "abkl", "k", [("a", "k")]),
        ("a>b a>k b>l", "abkl", "kl", [("ab", "kl")]),  # q(b | a) reads both
        ("a>k b>k", "abk", "k", [("ab", "k")]),  # q(k | a, b) reads both
        ("a>b b>c c>k d>l", "abcdkl", "kl", [("abc", "k"), ("d", "l")]),  # ancestors of B are in A
        ("a>k k>b b>l", "akbl", "kl", [("a", "k"), ("b", "l")]),  # a known node between parts them
        ("a>k a>z", "akz", "k", [("a", "k")]),  # what only follows A is not weighed
    ],
)
def test_groups_of_small_graphs(edges: str, draws: str, known: str, expected: list[tuple[str, str]]) -> None:
    """Protects the split of log q(labels | x) into one mean a group: wrong groups are a wrong bound."""
    assert found(edges, draws, known) == expected


@pytest.mark.parametrize("seed", range(40))
def test_groups_by_their_definition(seed: int) -> None:
    """On random DAGs: a partition of A, every factor of A and B inside one group, and no group that could be split."""
    dice = random.Random(seed)
    draws = "abcdefgh"
    pairs = [(u, v) for i, v in enumerate(draws) for u in draws[:i] if dice.random() < 0.25]
    known = {v for v in draws if dice.random() < 0.4}
    parents = {v: {u for u, w in pairs if w == v} for v in draws}
    before = {v for v in known if parents[v] - known}
    above: set[str] = set()
    for _ in draws:
        above |= {u for v in before | above for u in parents[v] - known}
    made = found(" ".join(f"{u}>{v}" for u, v in pairs), draws, "".join(known))
    assert sorted("".join(m for m, _ in made)) == sorted(above)
    assert sorted("".join(o for _, o in made)) == sorted(before)
    families = [(parents[v] & above) | ({v} & above) for v in before | above]
    for members, _ in made:
        assert all(f <= set(members) or not f & set(members) for f in families)
        for size in range(1, 1 << (len(members) - 1)):
            part = {m for i, m in enumerate(members) if size >> i & 1}
            assert any(f & part and f & (set(members) - part) for f in families), "could be split"


@pytest.mark.parametrize("seed", range(60))
def test_groups_are_those_of_the_emitted_step(seed: int) -> None:
    """What the page calls a group is what a batch weighs by itself: the partition of the drawn nodes at run time."""
    checked = driver.check(Source("random.sgm", random_model(seed)), ["objective.samples=4"])
    plan = checked.plan
    module: Any = load(driver.emit(checked).text, f"groups_{seed}").Model
    labels = [n.name for n in checked.model.nodes if n.role == "supervised"]
    for size in range(len(labels) + 1):
        for known in itertools.combinations(labels, size):
            made = derive(checked.model, checked.graphs, plan, known).weights
            apart = {frozenset(w.drawn) for w in made if w.drawn}
            if plan.groups is None:
                assert len(apart) <= 1
                continue
            place = groups_of(module.GROUPS, module.NODES, module.ORDER_Q, set(known))
            found = {
                frozenset(v for v, g in zip(module.GROUPS.weighed, place, strict=True) if g == group and v not in known)
                for group in set(place) - {NONE}
            }
            weighed = {v for part in apart for v in part}
            assert {part & weighed for part in found} == apart, (known, place)
