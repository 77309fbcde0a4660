"""Which name reads which comes in; an order in which each reads only earlier ones, and the cycles, go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


def ordered(reads: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The order holds the names that are on no cycle; each cycle is a path whose members read the next one, and the
    last the first."""
    graph = {name: [r for r in dict.fromkeys(read) if r in reads] for name, read in reads.items()}
    cycles: list[tuple[str, ...]] = []
    while True:
        try:
            return tuple(TopologicalSorter(graph).static_order()), tuple(cycles)
        except CycleError as error:
            path = tuple(reversed(error.args[1][1:]))
            cycles.append(path)
            graph = {n: [r for r in read if r not in path] for n, read in graph.items() if n not in path}
