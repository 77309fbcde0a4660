"""A model comes in, its picture as DOT goes out: roles as fillings, lets as diamonds, recognition dashed and red."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from graphviz import Digraph, escape

from sgdsl.backend.drawn import Edge, edges, plates, range_text
from sgdsl.base.source import Span
from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_reads
from sgdsl.middle.used import called

View = Literal["model", "recognition", "both"]
VIEWS: tuple[View, ...] = ("model", "recognition", "both")

_GREY = "gray80"
_ROLES: Mapping[ir.Role, Mapping[str, str]] = {
    "latent": {"shape": "circle", "style": "filled", "fillcolor": "white"},
    "observed": {"shape": "circle", "style": "filled", "fillcolor": _GREY},
    "supervised": {"shape": "circle", "style": "wedged", "fillcolor": f"{_GREY}:white"},
    "given": {"shape": "doublecircle", "style": "filled", "fillcolor": _GREY, "width": "0.5"},
}
_LET = {"shape": "diamond", "width": "0.5", "height": "0.5", "margin": "0.01"}
_RECOGNITION = {"style": "dashed", "color": "red", "fontcolor": "red"}
_PLATE = {
    "style": "rounded",
    "color": "gray40",
    "labelloc": "b",
    "labeljust": "r",
    "fontname": "Times-Italic",
    "fontsize": "13",
    "margin": "12",
}
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
    ends = {name for edge in shown for name in (edge.tail, edge.head)}
    _in_plates(graph, model, [n.name for n in model.nodes] + [h.name for h in model.lets if h.name in ends])
    lets, placed = {let.name: let for let in model.lets}, {edge.head for edge in generative}
    free = lets.keys() - placed - {e.head for e in shown if _level(model, e)} if model.axes else set()
    for edge in shown:
        if edge in generative and view != "recognition":
            graph.edge(edge.tail, edge.head, **_label(edge))
        else:
            ranks = view == "recognition" or edge.tail in free
            loose = {} if ranks else _LOOSE
            graph.edge(edge.tail, edge.head, **_recognition(edge), **loose)
            if view == "both" and edge.head in lets and edge.head not in placed and _level(model, edge):
                _beside(graph, edge)
                placed.add(edge.head)
    if view == "both":
        for edge in generative:
            if edge in recognition and edge.head not in lets:
                graph.edge(edge.tail, edge.head, **_recognition(edge), **_LOOSE)
    _others(graph, model, view, ends)
    return str(graph.source)


def _in_plates(graph: Digraph, model: ir.Model, names: Iterable[str]) -> None:
    """Every node and let, those of a loop in a box that says what its index runs over."""
    boxes: dict[tuple[str, ...], Digraph] = {(): graph}
    nests = plates(model, names)
    for path, inside in nests.items():
        box = boxes[path] = graph if not path else Digraph(f"cluster {' '.join(path)}")
        if path:
            box.attr(label=range_text(model, path[-1]), **_PLATE)
        for name in inside:
            _draw(box, model, model.valued(name))
    for path in sorted(boxes, key=len, reverse=True):
        if path:
            boxes[path[:-1]].subgraph(boxes[path])


def _draw(graph: Digraph, model: ir.Model, valued: ir.Node | ir.Let) -> None:
    if isinstance(valued, ir.Node):
        graph.node(valued.name, label(valued.name), tooltip=escape(_words(model, valued)), **_ROLES[valued.role])
    else:
        graph.node(valued.name, label(valued.name), tooltip=escape(_line(model, valued.span)), **_LET)


def _label(edge: Edge) -> dict[str, str]:
    return {"label": f" {edge.label} "} if edge.label else {}


def _recognition(edge: Edge) -> Mapping[str, str]:
    """Dashed and red; an edge to a later copy turns to the left, where the generative one turns to the right."""
    left = {"tailport": "w", "headport": "w"} if edge.tail == edge.head else {}
    return {**_RECOGNITION, **_label(edge), **left}


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
    graph.attr("edge", arrowsize="0.7", fontname="Times-Italic", fontsize="12")
    return graph


def _level(model: ir.Model, edge: Edge) -> bool:
    """Whether neither end stands in a plate."""
    return not model.valued(edge.tail).axes and not model.valued(edge.head).axes


def _beside(graph: Digraph, edge: Edge) -> None:
    """On one rank: a let that recognition alone reads stands by what it reads, as no generative edge places it."""
    with graph.subgraph(graph_attr={"rank": "same"}) as rank:
        rank.node(edge.tail)
        rank.node(edge.head)


def label(name: str) -> str:
    """A name as papers print it: z1 and z_1 are z₁."""
    name = name.replace("[", "").replace("]", "")
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
