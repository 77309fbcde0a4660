"""Checks of the graph: a model whose names are resolved comes in, diagnostics E04 and W04 go out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sgdsl.base.diagnostics import Diagnostic, Label, Sink
from sgdsl.base.source import Span
from sgdsl.middle import graphs, ir
from sgdsl.middle.copies import Copies
from sgdsl.middle.coverage import alike, doubled, missing
from sgdsl.middle.digraph import Digraph
from sgdsl.middle.graphs import Lets
from sgdsl.middle.lifeless import lifeless
from sgdsl.middle.nesting import turned
from sgdsl.middle.turns import unordered
from sgdsl.middle.used import called

NEEDS_Q = ("supervised", "latent")


def check_graph(model: ir.Model, sink: Sink) -> None:
    """Every node has the factors of its role, once (what q lacked was made before); lets, p and q are acyclic; the latents
    reach the data."""
    _check_factors(model, sink)
    lets = graphs.let_graph(model)
    if model.axes:
        if _check_copies(model, sink):
            inferred = {n.name for n in model.nodes if n.role in NEEDS_Q}
            _finish(model, inferred, lets, sink)
        return
    spans = {n.name: n.span for n in model.nodes} | {h.name: h.span for h in model.lets}
    same = graphs.let_graph(model, same=True)
    if _check_cycle(same.graph, "E0406", "the lets", spans, sink):
        return
    acyclic = True
    inferred = {n.name for n in model.nodes if n.role in NEEDS_Q}
    for side, factors in (("p", model.p), ("q", tuple(f for f in model.q if f.node in inferred))):
        graph = graphs.within_copies(factors, model, lets)
        acyclic &= not _check_cycle(graph, "E0401", side, {f.node: f.span for f in factors}, sink)
    if acyclic:
        _finish(model, inferred, lets, sink)


def _finish(model: ir.Model, inferred: set[str], lets: Lets, sink: Sink) -> None:
    assert inferred == {f.node for f in model.q} & inferred, "a factor of q was not made"
    _check_reach(model, graphs.factor_graph(model.p, model, lets), lets, sink)
    _check_use(model, lets, sink)


def _check_copies(model: ir.Model, sink: Sink) -> bool:
    """Whether no copy reads itself: E0406 and E0401 of single copies; a copy without a factor reads nothing."""
    copies = Copies(model)
    lets = copies.lets()
    places = {copies.named(n, at.values()): n.span for n in copies.valued for at in copies.each(n.axes)}
    if _check_cycle(lets, "E0406", "the lets", places, sink):
        return False
    acyclic = True
    for side, factors in (("p", model.p), ("q", model.q)):
        graph, of = copies.factors(factors, lets)
        acyclic &= not _check_cycle(graph, "E0401", side, {name: f.span for name, f in of.items()}, sink)
    if acyclic:
        for refused in (*turned(model), *unordered(model, graphs.let_graph(model)), *lifeless(model)):
            sink.add(refused)
            acyclic = False
    for factor in model.q:
        axis = alike(factor, model)
        if axis is not None and factor.made is None:
            sink.add(
                Diagnostic("W0504", f"every copy of `{factor.node}` has the same q", factor.span, f"the same for every `{axis}`",
                           (), ("it reads nothing that belongs to its copy",),
                           f"let it read a node or let of its copy, or the index: `| …, {axis}`", "warning")
            )  # fmt: skip
    return acyclic


def _check_factors(model: ir.Model, sink: Sink) -> None:
    for side, factors in (("p", model.p), ("q", model.q)):
        by_node: dict[str, list[ir.Factor]] = {}
        for factor in factors:
            by_node.setdefault(factor.node, []).append(factor)
        for node in model.nodes:
            found = by_node.get(node.name, [])
            _check_node(node, side, found, sink)


def _check_node(node: ir.Node, side: str, found: Sequence[ir.Factor], sink: Sink) -> None:
    needed = node.role in NEEDS_Q if side == "q" else node.role != "given"
    declared = (Label(node.span, f"{node.role}"),)
    if found and not needed:
        why = (
            "a given node is conditioned on and never modelled"
            if node.role == "given"
            else "an observed node is never inferred"
        )
        sink.add(
            Diagnostic("E0404", f"`{node.name}` has a {side} factor, but it is {node.role}", found[0].span,
                       f"{side} of {node.role}", declared, (why,),
                       f"remove this line, or declare `{node.name}` latent or supervised")
        )  # fmt: skip
    if node.axes and found and needed:
        _check_each(node, side, found, sink)
        return
    for again in found[1:]:
        sink.add(
            Diagnostic("E0403", f"`{node.name}` has two {side} factors", again.span, "the second",
                       (Label(found[0].span, "the first"),), (), "keep one of them")
        )  # fmt: skip
    if side == "p" and needed and not found:
        sink.add(
            Diagnostic("E0402", f"`{node.name}` has no p factor", node.span, "needs p",
                       hint=f"add a line `p({node.name}) = …`")
        )  # fmt: skip


def _check_each(node: ir.Node, side: str, found: Sequence[ir.Factor], sink: Sink) -> None:
    """E0423: a copy has one factor on a side."""
    twice = doubled(found)
    if twice is not None:
        copy, first, again = twice
        sink.add(
            Diagnostic("E0423", f"`{copy}` has two {side} factors", again.span, "the second",
                       (Label(first.span, "the first"),), (), "let each copy have one: move the range of one of the loops")
        )  # fmt: skip
    without = missing(node, found)
    if without:
        sink.add(
            Diagnostic("E0423", f"no {side} factor for {', '.join(f'`{c}`' for c in without[:3])}", node.span,
                       f"copies without {side}", tuple(Label(f.span, "the others have this one") for f in found[:1]), (),
                       f"add `{side}({without[0].split(' … ')[0]}) = …`, or move the range of the loop")
        )  # fmt: skip


def _check_cycle(graph: Digraph, code: str, what: str, spans: dict[str, Span], sink: Sink) -> bool:
    """Report one cycle for each strongly connected part that has one; of copies of the same names, one."""
    seen: set[frozenset[str]] = set()
    for cycle in graph.cycles():
        names = frozenset(n.partition("[")[0] for n in cycle)
        if names in seen:
            continue
        seen.add(names)
        edges = list(pairwise((*cycle, cycle[0])))
        path, head = " → ".join((*cycle, cycle[0])), cycle[0]
        labels = tuple(
            Label(spans[edge[0]], f"reads {_read(edge[0], edges)}") for edge in edges[1:] if edge[0] in spans
        )
        sink.add(
            Diagnostic(code, f"a cycle in {what}: {path}", spans.get(head), f"reads {_read(head, edges)}", labels, (),
                       "a node's factor may read only nodes that do not depend on it on that side: drop one of these edges")
        )  # fmt: skip
    return bool(seen)


def _read(name: str, edges: Sequence[tuple[str, str]]) -> str:
    return f"`{next(edge[0] for edge in edges if edge[1] == name)}`"


def _check_reach(model: ir.Model, p: Digraph, lets: Lets, sink: Sink) -> None:
    """E0405 when no latent or supervised node reaches an observed one; W0401 for a latent that reaches no data in p
    and that no other factor of q reads (one that q reads is auxiliary: it makes q richer)."""
    inner = [n for n in model.nodes if n.role in NEEDS_Q]
    observed = [n for n in model.nodes if n.role == "observed"]
    if not observed:
        span = model.nodes[0].span if model.nodes else None
        sink.add(
            Diagnostic(
                "E0405", "the model has no observed node", span, "", (), (), "declare the data: `observed x : real[16]`"
            )
        )
    elif inner and p.ancestors(*(n.name for n in observed)).isdisjoint(n.name for n in inner):
        names = ", ".join(f"`{n.name}`" for n in inner)
        sink.add(
            Diagnostic("E0405", f"no path in p from {names} to the data", observed[0].span, "depends on none of them", (), (),
                       f"let the factor of `{observed[0].name}` read one of them: `p({observed[0].name} | {inner[0].name}) = …`")
        )  # fmt: skip
    else:
        useful = p.ancestors(*(n.name for n in model.nodes if n.role in ("observed", "supervised")))
        auxiliary = {name for f in model.q if not f.made for name in lets.contracted(f.given)}
        for node in inner:
            if node.role == "latent" and node.name not in useful and node.name not in auxiliary:
                sink.add(
                    Diagnostic("W0401", f"no observed or supervised node depends on `{node.name}` in p", node.span,
                               "does nothing", (), ("its best q is its p, and the data say nothing about it",),
                               "remove it, or let another factor of p read it", "warning")
                )  # fmt: skip


def _check_use(model: ir.Model, lets: Lets, sink: Sink) -> None:
    """W0401 for a let, a given node, a net or another model that nothing reads."""
    read = {name for f in (*model.p, *model.q) for name in (*f.given, *graphs.factor_reads(f))}
    used = read | lets.graph.ancestors(*read) | {a.count for a in model.axes if a.count}
    idle = [("let", h.name, h.span) for h in model.lets if h.name not in used]
    idle += [("given", n.name, n.span) for n in model.nodes if n.role == "given" and n.name not in used]
    used_models = {call.use for call in called(model)}
    idle += [("model", u.name, u.span) for u in model.uses if u.name not in used_models]
    idle += [("net", n.name, n.span) for n in model.nets if not n.used]
    for kind, name, span in idle:
        sink.add(
            Diagnostic("W0401", f"nothing reads the {kind} `{name}`", span, "not used", (), (), "remove it", "warning")
        )
