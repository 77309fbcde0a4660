"""Groups of weights: a pattern of labels comes in, the parts of A that are weighed apart go out (docs/objective.md, 2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import networkx as nx

from sgdsl.middle.graphs import Graphs


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: a component of A; `labels`: the known nodes that read it. Both in q's order."""

    members: tuple[str, ...]
    labels: tuple[str, ...]


def groups(graphs: Graphs, draws: Sequence[str], known: Collection[str]) -> tuple[Group, ...]:
    """The components of A, the unknown ancestors of B, in q's order; two members are joined where a factor q(a | pa),
    a in A, or q(b | pa), b in B, reads both, lets contracted. `draws`: q's nodes in order."""
    unknown = set(draws) - set(known)
    labels = [v for v in draws if v in known and unknown & set(graphs.parents("q", v))]
    joined = nx.Graph()
    todo = list(labels)
    while todo:
        node = todo.pop()
        above = [p for p in graphs.parents("q", node) if p in unknown]
        todo += [p for p in above if p not in joined]
        together = above if node in known else [node, *above]
        nx.add_path(joined, together)
    found = []
    for component in nx.connected_components(joined):
        readers = (v for v in labels if component & set(graphs.parents("q", v)))
        found.append(Group(tuple(v for v in draws if v in component), tuple(readers)))
    return tuple(sorted(found, key=lambda group: draws.index(group.members[0])))
