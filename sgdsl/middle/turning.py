"""Angles that are read as numbers: a model and an angle come in, what reads it so goes out.

A draw that moves past π goes on at −π. What reads it by its sine and cosine does not notice; what reads the number jumps
there, and a gradient through the draw, which does not see the jump, would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

from sgdsl.middle import ir
from sgdsl.middle.graphs import Graphs, references

_PERIODIC = ("sin", "cos")


def jump(model: ir.Model, graphs: Graphs, node: ir.Node) -> str:
    """Why a gradient through draws of a node would be wrong; "" where it is right."""
    reader = _reader(model, graphs, node.name) if node.type.support == "angle" else ""
    return f"{reader} reads `{node.name}` as a number, which jumps from π to −π" if reader else ""


def _reader(model: ir.Model, graphs: Graphs, node: str) -> str:
    """The first factor or let, as written, that reads an angle as a number; "" for none. Networks read (cos, sin); sums and
    differences of angles are read right by `sin`, `cos` and the loc of a VonMises."""
    angles = {h.name for h in model.lets if h.type.support == "angle" and node in graphs.lets.contracted([h.name])}
    names = frozenset((node, *angles))
    for factor in (*model.p, *model.q):
        if any(_jumps(model, expr, names, periodic) for expr, periodic in _read(factor.family, factor)):
            return factor.head
    for let in model.lets:
        if let.type.support != "angle" and _jumps(model, let.value, names, False):
            return f"let {let.name}"
    return ""


def _read(family: str, of: ir.Factor | ir.Expert) -> Iterator[tuple[ir.Expr, bool]]:
    """Every expression of a factor, and whether a whole turn more of it changes nothing."""
    if of.trunk:
        yield ir.Apply(of.trunk), False
    for parameter in of.parameters:
        match parameter.source:
            case ir.Own(network):
                yield ir.Apply(network), False
            case ir.Value(expr):
                yield expr, family == "VonMises" and parameter.name == "loc"
            case ir.Product() | ir.Mixture() as source:
                for expert in source.experts:
                    yield from _read(expert.family, expert)
            case ir.Used() as source:
                for _, value in source.args:
                    yield value, isinstance(value, ir.Ref)
            case _:
                pass


def _jumps(model: ir.Model, expr: ir.Expr, names: frozenset[str], periodic: bool) -> bool:
    """Whether an expression reads one of the angles as a number. `periodic`: it stands where whole turns change nothing."""
    match expr:
        case ir.Ref():
            return expr.name in names and not periodic
        case ir.Operation("add" | "sub" | "neg", args):
            return any(_jumps(model, a, names, periodic) for a in args)
        case ir.Call(function, args):
            return any(_jumps(model, a, names, function in _PERIODIC) for a in args)
        case ir.Operation(_, args) | ir.Vector(args):
            return any(_jumps(model, a, names, False) for a in args)
        case ir.Apply():
            return any(_jumps(model, i, names, isinstance(i, ir.Ref)) for i in expr.network.inputs)
        case _:
            return any(ref.name in names for ref in references(expr))
