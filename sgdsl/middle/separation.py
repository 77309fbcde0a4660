"""A graph of p and a node come in; the nodes that it depends on, given all others that are known, go out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

from sgdsl.middle.digraph import Digraph

SHOWN = 3  # nodes of a path that are named


def add_ancestors(p: Digraph, names: Iterable[str], ancestral: set[str]) -> None:
    """Bring a set that is closed under parents to one that holds the names too."""
    todo = list(names)
    while todo:
        node = todo.pop()
        if node not in ancestral:
            ancestral.add(node)
            todo.extend(p.predecessors(node))


def blanket(p: Digraph, node: str, known: Set[str], ancestral: Set[str]) -> dict[str, str]:
    """{w ∈ known : node and w are not d-separated in p given the rest of known}, each with the reason in words.

    One breadth-first search in the moral graph of `ancestral`, the ancestors of known and the node and these
    themselves, that goes through no known node. Of all subsets of `known` it is the smallest that separates the node
    from the others."""
    came: dict[str, str] = {node: node}
    found: dict[str, str] = {}
    married: set[str] = set()
    queue = deque((node,))
    while queue:
        at = queue.popleft()
        for near in _moral_neighbours(p, at, ancestral, married):
            if near in came:
                continue
            came[near] = at
            if near in known:
                found[near] = _reason(p, node, near, came, ancestral)
            else:
                queue.append(near)
    return found


def unfaithful(p: Digraph, order: Sequence[str], reads: Callable[[str], Iterable[str]]) -> set[str]:
    """The nodes of an order whose blanket, given all that comes before, holds more than they read, where the ancestors of
    what is known from the start are all of p.

    From the end of the order: a node joins the parts of the moral graph that it borders on, and what these border on but
    have not joined is its blanket. The smaller border is added to the larger one, so that all costs n log n."""
    families = [(child, *p.predecessors(child)) for child in p]
    within: dict[str, list[int]] = {v: [] for v in p}
    for i, family in enumerate(families):
        for v in family:
            within[v].append(i)
    part: dict[
        int, int
    ] = {}  # of a family with a node that has joined, towards the family that stands for all its part
    border: dict[int, set[str]] = {}
    found = set()
    for node in reversed(order):
        whole = -1
        for i in within[node]:
            if i not in part:
                part[i], border[i] = i, set(families[i])
            while part[i] != i:
                part[i] = i = part[part[i]]
            if whole not in (-1, i):
                small, large = sorted((whole, i), key=lambda j: len(border[j]))
                border[large] |= border.pop(small)
                part[small] = i = large
            whole = i
        border[whole].discard(node)
        if not border[whole].issubset(reads(node)):
            found.add(node)
    return found


def _moral_neighbours(p: Digraph, node: str, ancestral: Set[str], married: set[str]) -> Iterator[str]:
    """Parents, children and co-parents within `ancestral`; the parents of one child once a search."""
    yield from p.predecessors(node)
    for child in p.successors(node):
        if child in ancestral and child not in married:
            married.add(child)
            yield child
            yield from p.predecessors(child)


def _reason(p: Digraph, node: str, other: str, came: dict[str, str], ancestral: Set[str]) -> str:
    if p.has_edge(other, node):
        return f"a parent of {node} in p"
    if p.has_edge(node, other):
        return f"a child of {node} in p"
    if came[other] == node:
        child = next(c for c in p.successors(node) if c in ancestral and p.has_edge(other, c))
        return f"shares the child {child} with {node}: each explains the other away"
    between: list[str] = []
    at = came[other]
    while at != node and len(between) <= SHOWN:
        between.append(at)
        at = came[at]
    dots = ["…"] * (len(between) > SHOWN)
    return f"reaches {node} through {', '.join(between[:SHOWN][::-1] + dots)}, drawn later"
