"""The two graphs of a model: the IR comes in, frozen networkx DAGs over its nodes go out, lets contracted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

import networkx as nx

from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Graphs:
    """p and q over all nodes; an edge u → v: the factor of v reads u, directly or through lets. `lets`: what each let
    reads, nodes and lets, before contraction. Orders are topological, ties by declaration."""

    p: nx.DiGraph
    q: nx.DiGraph
    lets: nx.DiGraph

    def order(self, side: ir.Side) -> tuple[str, ...]:
        """All nodes in topological order of a side, ties by declaration."""
        graph = self.p if side == "p" else self.q
        place = {name: i for i, name in enumerate(graph.nodes)}
        return tuple(nx.lexicographical_topological_sort(graph, key=place.__getitem__))

    def parents(self, side: ir.Side, node: str) -> tuple[str, ...]:
        """The node's parents on a side, in the order of its factor."""
        return tuple((self.p if side == "p" else self.q).predecessors(node))


def walk(expr: ir.Expr) -> Iterator[ir.Expr]:
    """An expression and all its parts, the inputs of networks among them, from the outside in and in order."""
    yield expr
    match expr:
        case ir.Ref() | ir.Number() | ir.Weight():
            inner: tuple[ir.Expr, ...] = ()
        case ir.Operation() | ir.Call():
            inner = expr.args
        case ir.Vector():
            inner = expr.items
        case ir.Apply():
            inner = expr.network.inputs
        case _:
            assert_never(expr)
    for part in inner:
        yield from walk(part)


def references(expr: ir.Expr) -> Iterator[ir.Ref]:
    """Every node and let that an expression reads, in order."""
    return (part for part in walk(expr) if isinstance(part, ir.Ref))


def networks(expr: ir.Expr) -> Iterator[ir.Network]:
    """Every network that an expression applies, in order."""
    return (part.network for part in walk(expr) if isinstance(part, ir.Apply))


def factor_expressions(factor: ir.Factor) -> Iterator[ir.Expr]:
    """Every expression of a factor: its networks as applied, the parents of its tables, its values."""
    yield from expressions(factor.trunk, factor.parameters)


def expressions(trunk: ir.Network | None, parameters: Iterable[ir.Parameter]) -> Iterator[ir.Expr]:
    if trunk:
        yield ir.Apply(trunk)
    sources = {id(p.source): p.source for p in parameters}  # experts serve several parameters
    for source in sources.values():
        match source:
            case ir.Own():
                yield ir.Apply(source.network)
            case ir.Table():
                yield from source.parents
            case ir.Value():
                yield source.expr
            case ir.Product() | ir.Mixture():
                for expert in source.experts:
                    yield from expressions(expert.trunk, expert.parameters)
            case _:
                pass


def factor_reads(factor: ir.Factor) -> tuple[str, ...]:
    """The nodes and lets that a factor's parameters really read, in the order of its parents."""
    found = {ref.name for expr in factor_expressions(factor) for ref in references(expr)}
    for parameter in factor.parameters:
        if isinstance(parameter.source, ir.Bayes | ir.Product):
            found |= set(parameter.source.reads)
        if isinstance(parameter.source, ir.Product | ir.Mixture):
            found |= {name for expert in parameter.source.experts for name in expert.partial}
    return tuple(dict.fromkeys((*(g for g in factor.given if g in found), *sorted(found - set(factor.given)))))


def let_reads(let: ir.Let) -> tuple[str, ...]:
    """The nodes and lets that a let reads, in order."""
    return tuple(dict.fromkeys(ref.name for ref in references(let.value)))


def let_graph(model: ir.Model) -> nx.DiGraph:
    """An edge a → h: the let h reads the node or let a."""
    graph = nx.DiGraph()
    graph.add_nodes_from(n.name for n in model.nodes)
    graph.add_nodes_from(h.name for h in model.lets)
    for let in model.lets:
        graph.add_edges_from((name, let.name) for name in let_reads(let))
    return graph


def contracted(names: Iterable[str], model: ir.Model, lets: nx.DiGraph) -> tuple[str, ...]:
    """Names of nodes and lets as names of nodes alone: a let stands for the nodes that it reads, transitively."""
    nodes = {n.name for n in model.nodes}
    found: dict[str, None] = {}
    for name in names:
        if name in nodes:
            found[name] = None
        else:
            found.update((n, None) for n in lets if n in nodes and nx.has_path(lets, n, name))
    return tuple(found)


def factor_graph(factors: Iterable[ir.Factor], model: ir.Model, lets: nx.DiGraph) -> nx.DiGraph:
    """The graph of one side. May have cycles: see checks.py."""
    graph = nx.DiGraph()
    graph.add_nodes_from(n.name for n in model.nodes)
    for factor in factors:
        graph.add_edges_from((parent, factor.node) for parent in contracted(factor.given, model, lets))
    return graph


def build(model: ir.Model) -> Graphs:
    """The graphs of a model that passed checks.check_graph."""
    lets = let_graph(model)
    p, q = (factor_graph(side, model, lets) for side in (model.p, model.q))
    return Graphs(nx.freeze(p), nx.freeze(q), nx.freeze(lets))
