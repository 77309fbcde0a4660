"""Groups of weights: components of A by hand, and against the definition on random graphs."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from sgdsl.middle.graphs import Graphs
from sgdsl.middle.groups import groups


def found(edges: str, draws: str, known: str) -> list[tuple[str, str]]:
    """`edges` "x>z z>y", `draws` "zy": the groups as ("members", "labels")."""
    q = nx.DiGraph()
    q.add_nodes_from(["x", *draws])
    q.add_edges_from(tuple(e.split(">")) for e in edges.split())
    graphs = Graphs(nx.DiGraph(), q, nx.DiGraph())
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
