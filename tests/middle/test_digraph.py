"""What the compiler adds to graphs of networkx: walks from several nodes, a cycle for every knot."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from sgdsl.middle.digraph import Digraph, digraph


def graph(seed: int, acyclic: bool) -> Digraph:
    """A random graph."""
    dice = random.Random(seed)
    names = [f"v{i}" for i in range(dice.randint(1, 12))]
    dice.shuffle(names)
    edges = [(u, v) for i, u in enumerate(names) for v in names[i + 1 if acyclic else 0 :] if dice.random() < 0.2]
    dice.shuffle(edges)
    return digraph(dice.sample(names, len(names)), edges)


@pytest.mark.parametrize("seed", range(30))
def test_walks_from_several_nodes_are_those_of_each_together(seed: int) -> None:
    """Protects ancestors and descendants of sets of nodes, and the graph without some."""
    found = graph(seed, acyclic=True)
    some = list(found)[::3]
    assert found.acyclic
    assert found.ancestors(*some) == set().union(*(nx.ancestors(found, v) for v in some))
    assert found.descendants(*some) == set().union(*(nx.descendants(found, v) for v in some))
    assert list(found.without(some)) == [v for v in found if v not in some]
    assert set(found.without(some).edges) == {e for e in found.edges if not {*some}.intersection(e)}


@pytest.mark.parametrize("seed", range(100))
def test_every_knot_of_cycles_shows_one(seed: int) -> None:
    """A cycle for each strongly connected part that has one: no mistake of a model stays silent, none is told twice."""
    found = graph(seed, acyclic=False)
    parts = [p for p in nx.strongly_connected_components(found) if len(p) > 1 or found.has_edge(*[*p] * 2)]
    cycles = list(found.cycles())
    assert sorted(min(p) for p in parts) == sorted(min(next(p for p in parts if c[0] in p)) for c in cycles)
    for cycle in cycles:
        assert len(set(cycle)) == len(cycle)
        assert all(found.has_edge(u, v) for u, v in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    assert found.acyclic == (not cycles)
