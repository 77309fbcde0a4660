"""A model comes in, its picture as DOT goes out: roles as fillings, lets as diamonds, recognition dashed and red."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

from graphviz import Digraph, escape

from sgdsl.base.source import Span
from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_reads, references
from sgdsl.middle.used import called

View = Literal["model", "recognition", "both"]
VIEWS: tuple[View, ...] = ("model", "recognition", "both")
Edge = tuple[str, str]

_GREY = "gray80"
_ROLES: Mapping[ir.Role, Mapping[str, str]] = {
    "latent": {"shape": "circle", "style": "filled", "fillcolor": "white"},
    "observed": {"shape": "circle", "style": "filled", "fillcolor": _GREY},
    "supervised": {"shape": "circle", "style": "wedged", "fillcolor": f"{_GREY}:white"},
    "given": {"shape": "doublecircle", "style": "filled", "fillcolor": _GREY, "width": "0.5"},
}
_LET = {"shape": "diamond", "width": "0.5", "height": "0.5", "margin": "0.01"}
_RECOGNITION = {"style": "dashed", "color": "red"}
_LOOSE = {"constraint": "false"}
_OTHER = {
    "shape": "box",
    "style": "rounded",
    "fontname": "Helvetica",
    "fontsize": "11",
    "margin": "0.08,0.04",
    "color": "gray40",
}
_TAKEN = {"dir": "none", "style": "dotted", "color": "gray40"}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def dot(model: ir.Model, view: View = "both") -> str:
    """DOT text; in `both` the generative edges alone set the ranks. Needs only names: any lowered model will do."""
    generative, recognition = edges(model, "p"), edges(model, "q")
    shown = {"model": generative, "recognition": recognition, "both": generative | recognition}[view]
    graph = _canvas(model)
    for node in model.nodes:
        graph.node(node.name, label(node.name), tooltip=escape(_words(model, node)), **_ROLES[node.role])
    ends = {name for edge in shown for name in edge}
    for let in model.lets:
        if let.name in ends:
            graph.node(let.name, label(let.name), tooltip=escape(_line(model, let.span)), **_LET)
    lets, placed = {let.name for let in model.lets}, {edge[1] for edge in generative}
    for tail, head in shown:
        if (tail, head) in generative and view != "recognition":
            graph.edge(tail, head)
        else:
            graph.edge(tail, head, **_RECOGNITION, **({} if view == "recognition" else _LOOSE))
            if view == "both" and head in lets and head not in placed:
                _beside(graph, tail, head)
                placed.add(head)
    if view == "both":
        for edge in generative:
            if edge in recognition and edge[1] not in lets:
                graph.edge(*edge, **_RECOGNITION, **_LOOSE)
    _others(graph, model, view, ends)
    return str(graph.source)


def _others(graph: Digraph, model: ir.Model, view: View, ends: Collection[str]) -> None:
    """A box for each model that is used, tied to the nodes and lets that take its factors or means."""
    sides = {"model": ("p",), "recognition": ("q",), "both": ("p", "q")}[view]
    for use in model.uses:
        taken = [f.node for f in (*model.p, *model.q) if f.side in sides and f.used and f.used.use == use.name]
        means = dict.fromkeys(call.owner for call in called(model) if call.mean and call.use == use.name)
        taken += [name for kind, name in means if kind == "let" and name in ends]
        for factor in (f for f in (*model.p, *model.q) if f.side in sides):
            hidden = {("let", n) for n in factor_reads(factor) if n not in ends}
            taken += [factor.node] if means.keys() & {(factor.side, factor.id), *hidden} else []
        if taken:
            name = f"use {use.name}"
            shown = f"{use.name}\n{use.file}{' (frozen)' if use.frozen else ''}"
            graph.node(name, escape(shown).replace("\n", "\\n"), tooltip=escape(_line(model, use.span)), **_OTHER)
            for owner in dict.fromkeys(taken):
                graph.edge(name, owner, **_TAKEN)


def _canvas(model: ir.Model) -> Digraph:
    graph = Digraph(model.name)
    graph.attr("graph", tooltip=escape(model.doc or model.name), nodesep="0.4", ranksep="0.5", pad="0.1")
    graph.attr("node", fontname="Times-Italic", fontsize="16", width="0.6", margin="0.03")
    graph.attr("edge", arrowsize="0.7")
    return graph


def _beside(graph: Digraph, *names: str) -> None:
    """On one rank: a let that recognition alone reads stands by what it reads, as no generative edge places it."""
    with graph.subgraph(graph_attr={"rank": "same"}) as rank:
        for name in names:
            rank.node(name)


def edges(model: ir.Model, side: ir.Side) -> dict[Edge, None]:
    """The edges of a side as written: what each factor names, and what the lets among that read. Ordered, once each."""
    lets = {let.name: let for let in model.lets}
    found: dict[Edge, None] = {}
    for factor in model.p if side == "p" else model.q:
        found |= dict.fromkeys((name, factor.node) for name in factor.given)
        found |= dict.fromkeys(_reads(factor.given, lets))
    return found


def _reads(names: Iterable[str], lets: Mapping[str, ir.Let], seen: frozenset[str] = frozenset()) -> Iterator[Edge]:
    for name in names:
        if name in lets and name not in seen:  # a let in a loop may read its own copy before
            read = [ref.name for ref in references(lets[name].value)]
            yield from ((r, name) for r in read)
            yield from _reads(read, lets, seen | {name})


def label(name: str) -> str:
    """A name as papers print it: z1 and z_1 are z₁."""
    stem = name.rstrip("0123456789")
    if not stem.strip("_") or stem == name:
        return name
    return stem.removesuffix("_") + name[len(stem) :].translate(_SUBSCRIPTS)


def _words(model: ir.Model, node: ir.Node) -> str:
    """What a pointer over the node shows: its declaration and its factors."""
    factors = [f.text for f in (*model.p, *model.q) if f.node == node.name and f.text]
    return "\n".join([f"{node.role} {node.name} : {node.type}", *factors])


def _line(model: ir.Model, span: Span) -> str:
    return model.source.line(model.source.position(span.start)[0]).split("#")[0].strip()
