"""Graphs of the compiler against networkx."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from sgdsl.middle.digraph import Digraph, digraph


def pair(seed: int, acyclic: bool) -> tuple[Digraph, nx.DiGraph]:
    """The same random graph twice."""
    dice = random.Random(seed)
    names = [f"v{i}" for i in range(dice.randint(1, 12))]
    dice.shuffle(names)
    edges = [(u, v) for i, u in enumerate(names) for v in names[i + 1 if acyclic else 0 :] if dice.random() < 0.2]
    dice.shuffle(edges)
    nodes = dice.sample(names, len(names))
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return digraph(nodes, edges), graph


@pytest.mark.parametrize("seed", range(100))
def test_orders_and_walks_are_those_of_networkx(seed: int) -> None:
    """Orders decide names and lines of what is emitted: the same, ties as well."""
    ours, theirs = pair(seed, acyclic=True)
    assert ours.nodes == tuple(theirs)
    assert list(ours.edges) == list(theirs.edges)
    assert ours.acyclic
    assert list(ours.generations()) == list(nx.topological_sort(theirs))
    place = {v: i for i, v in enumerate(ours)}
    assert list(ours.order(place.__getitem__)) == list(
        nx.lexicographical_topological_sort(theirs, key=place.__getitem__)
    )
    for v in ours:
        assert ours.ancestors(v) == nx.ancestors(theirs, v)
        assert ours.descendants(v) == nx.descendants(theirs, v)
        assert list(ours.predecessors(v)) == list(theirs.predecessors(v))
    gone = list(ours)[::3]
    theirs.remove_nodes_from(gone)
    assert ours.without(gone).nodes == tuple(theirs)


@pytest.mark.parametrize("seed", range(100))
def test_every_knot_of_cycles_shows_one(seed: int) -> None:
    """A cycle for each strongly connected part that has one: no mistake of a model stays silent, none is told twice."""
    ours, theirs = pair(seed, acyclic=False)
    parts = [p for p in nx.strongly_connected_components(theirs) if len(p) > 1 or theirs.has_edge(*[*p] * 2)]
    found = list(ours.cycles())
    assert sorted(min(p) for p in parts) == sorted(min(next(p for p in parts if c[0] in p)) for c in found)
    for cycle in found:
        assert len(set(cycle)) == len(cycle)
        assert all(theirs.has_edge(u, v) for u, v in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    assert ours.acyclic == (not found)
