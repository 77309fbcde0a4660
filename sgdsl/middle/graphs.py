"""The two graphs of a model: the IR comes in, DAGs over its nodes go out, lets contracted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from sgdsl.middle import ir
from sgdsl.middle.digraph import Digraph, digraph


@dataclass(frozen=True, slots=True)
class Lets:
    """`graph`: an edge a → h: the let h reads the node or let a. `place`: of each node in the file."""

    graph: Digraph
    place: Mapping[str, int]

    def contracted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names of nodes and lets as names of nodes alone: a let stands for the nodes that it reads, transitively."""
        found: dict[str, None] = {}
        for name in names:
            if name in self.place:
                found[name] = None
            else:
                inner = (n for n in self.graph.ancestors(name) if n in self.place)
                found.update((n, None) for n in sorted(inner, key=self.place.__getitem__))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Graphs:
    """p and q over all nodes; an edge u → v: the factor of v reads u, directly or through lets. `lets`: what each let
    reads, nodes and lets, before contraction. Orders are topological, ties by declaration. In loops a node is all its copies,
    and edges from one to another copy that would close a cycle are left out; `carried`: the sets of q's nodes and lets whose
    copies need earlier ones of the same set, in no order."""

    p: Digraph
    q: Digraph
    lets: Lets
    carried: tuple[frozenset[str], ...] = ()

    def order(self, side: ir.Side) -> tuple[str, ...]:
        """All nodes in topological order of a side, ties by declaration."""
        graph = self.p if side == "p" else self.q
        place = {name: i for i, name in enumerate(graph)}
        return graph.order(place.__getitem__)

    def parents(self, side: ir.Side, node: str) -> tuple[str, ...]:
        """The node's parents on a side, in the order of its factor."""
        return tuple((self.p if side == "p" else self.q).predecessors(node))


def walk(expr: ir.Expr) -> Iterator[ir.Expr]:
    """An expression and all its parts, the inputs of networks among them, from the outside in and in order."""
    yield expr
    match expr:
        case ir.Ref() | ir.Number() | ir.Weight() | ir.Place():
            inner: tuple[ir.Expr, ...] = ()
        case ir.View():
            inner = (expr.source, *(ref for _, ref in expr.edges))
        case ir.Over():
            inner = (expr.source,)
        case ir.Operation() | ir.Call():
            inner = expr.args
        case ir.Vector():
            inner = expr.items
        case ir.Apply():
            inner = expr.network.inputs
        case ir.Mean():
            inner = tuple(value for _, value in expr.args)
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


def evaluates(expr: ir.Expr) -> bool:
    """Whether an expression applies a network, its own or another model's."""
    return any(isinstance(part, ir.Apply | ir.Mean) for part in walk(expr))


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
            case ir.Used():
                yield from (value for _, value in source.args)
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


def let_graph(model: ir.Model, same: bool = False) -> Lets:
    """What each let reads; `same`: without what it reads of other copies of a loop."""
    names = (*(n.name for n in model.nodes), *(h.name for h in model.lets))
    reads = [
        (name, let.name)
        for let in model.lets
        if not (same and _is_shifted(let))
        for name in let_reads(let)
        if not (same and here(model, let.axes, name) is None)
    ]
    reads += [(count, let.name) for let in model.lets if (count := counted(model, let))]
    return Lets(digraph(names, reads), {n.name: i for i, n in enumerate(model.nodes)})


def _is_shifted(let: ir.Let) -> bool:
    """Whether its copies are other copies of a node or let: z[t - 1]."""
    return isinstance(let.value, ir.View) and any(isinstance(at, ir.Lag) and at.offset for at in let.value.at)


def here(model: ir.Model, place: Sequence[ir.Range | int], name: str) -> str | None:
    """What a reader at a place reads there by a name: by z[1] at 1, and by z in a loop over a part of its copies, it reads z; by
    z[t - 1], or z[1] at another place than 1, no copy there."""
    value = model.valued(name)
    if not isinstance(value, ir.Let) or not isinstance(value.value, ir.View):
        return name
    if _is_shifted(value) or any(map(_is_elsewhere, value.value.at, place)):
        return None
    return value.value.source.name


def _is_elsewhere(at: ir.Lag | int, place: ir.Range | int) -> bool:
    if isinstance(at, ir.Lag):
        return False
    return not place.first <= at <= place.last if isinstance(place, ir.Range) else at != place


def counted(model: ir.Model, let: ir.Let) -> str | None:
    """The node that says how many copies a reduction takes together, or behind which copy one that looks ahead is at the end."""
    match let.value:
        case ir.Over(_, source, _, _):
            return model.axis(model.valued(source.name).axes[-1].axis).count
        case ir.View(_, (*_, ir.Lag(found, offset)), _, _, _) if offset > 0:
            return model.axis(found.axis).count
        case _:
            return None


def factor_graph(factors: Iterable[ir.Factor], model: ir.Model, lets: Lets) -> Digraph:
    """The graph of one side. May have cycles: see checks.py."""
    edges = ((parent, factor.node) for factor in factors for parent in lets.contracted(factor.given))
    return digraph((n.name for n in model.nodes), edges)


def _same_copies(factors: Iterable[ir.Factor], model: ir.Model) -> Digraph:
    """The same without what is read of other copies of a loop."""
    lets = let_graph(model, same=True)
    near = (
        replace(f, given=tuple(n for n in f.given if here(model, f.place, n) is not None), given_spans=())
        for f in factors
    )
    return factor_graph(near, model, lets)


def within_copies(factors: Iterable[ir.Factor], model: ir.Model, lets: Lets) -> Digraph:
    """The graph of one side without the edges between copies that would close a cycle."""
    factors = tuple(factors)
    every = factor_graph(factors, model, lets)
    if not model.axes or every.acyclic:
        return every
    same = _same_copies(factors, model)
    part = {v: i for i, found in enumerate(every.components()) for v in found}
    kept = (e for e in every.edges if same.has_edge(*e) or part.get(e[0], -1) != part.get(e[1], -2))
    return digraph(every, kept)


def carried(model: ir.Model, lets: Lets, side: ir.Side) -> tuple[frozenset[str], ...]:
    """Nodes and lets on a cycle of one side through other copies of themselves."""
    if not model.axes:
        return ()
    factors = model.p if side == "p" else model.q
    edges = [*lets.graph.edges, *((name, f.node) for f in factors for name in f.given)]
    return tuple(digraph(lets.graph, edges).components())


def given_nodes(model: ir.Model, lets: Lets) -> tuple[frozenset[str], ...]:
    """Lets on a cycle through other copies of themselves, where all nodes are given."""
    if not model.axes:
        return ()
    inner = {let.name for let in model.lets}
    return tuple(lets.graph.without(v for v in lets.graph if v not in inner).components())


def build(model: ir.Model) -> Graphs:
    """The graphs of a model that passed checks.check_graph."""
    lets = let_graph(model)
    p, q = (within_copies(factors, model, lets) for factors in (model.p, model.q))
    return Graphs(p, q, lets, carried(model, lets, "q"))
