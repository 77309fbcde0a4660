"""Which nodes of loops have copies that a term reads together: the model comes in, names go out.

A finite node of a loop is summed over a copy at a time. That is right where every copy's value reaches terms of its own
copy alone. Where neighbours meet, sums run along the loop (middle/chains.py); where others do, values of one copy would have
to be listed beside those of all others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sgdsl.middle import ir
from sgdsl.middle.chains import Chain, chain, is_chained, together
from sgdsl.middle.graphs import factor_reads, let_reads
from sgdsl.middle.nesting import crosses, depths
from sgdsl.middle.used import called


def coupled(model: ir.Model) -> tuple[dict[str, str], dict[str, Chain]]:
    """For each such node of q what reads its copies together, in words; and the chains, whose neighbours alone meet."""
    found: dict[str, str] = {}
    chains: dict[str, Chain] = {}
    reads = {let.name: frozenset(let_reads(let)) for let in model.lets}
    deep = depths(model)
    for node in model.nodes:
        if node.axes and node.role in ("latent", "supervised"):
            chained = node.type.cardinality is not None and is_chained(model, node)
            reader = None if chained else _meeting(model, reads, node, deep)
            made = chain(model, node) if chained else together(reader) if reader else None
            if isinstance(made, Chain):
                chains[node.name] = made
            elif made:
                found[node.name] = made
    return found, chains


def read_apart(model: ir.Model, node: ir.Node) -> str | None:
    """The first shift of a node's own copies, or of a class their reduction too, that something reads, as written; or another
    model with loops that is given it."""
    kinds = (ir.View, ir.Over) if node.type.one_hot else (ir.View,)
    own = [let.name for let in model.lets if isinstance(let.value, kinds) and node.name in let_reads(let)]
    read = {name for let in model.lets for name in let_reads(let)}
    read |= {name for factor in (*model.p, *model.q) for name in factor_reads(factor)}
    for call in called(model):
        if model.use(call.use).model.axes and any(isinstance(v, ir.Ref) and v.name == node.name for _, v in call.args):
            return f"`{call.use}`, which has loops,"
    return next((name for name in own if name in read), None)


def _meeting(
    model: ir.Model, reads: Mapping[str, Collection[str]], node: ir.Node, deep: Mapping[str, int]
) -> str | None:
    """The first let or factor that reads several copies of a value that depends on one copy of the node, or one copy in each of
    a loop that stands around the node's own, as written; None where every reader keeps to its copy."""
    loops = {r.axis for r in node.axes}
    seen, todo = {node.name}, [node.name]
    while todo:
        name = todo.pop()
        for let in model.lets:
            if name not in reads[let.name] or let.name in seen:
                continue
            if isinstance(let.value, ir.View | ir.Over):
                return let.name
            seen.add(let.name)
            todo.append(let.name)
        for factor in (*model.p, *model.q):
            if name not in factor.given:
                continue
            if not loops <= {r.axis for r in factor.axes} or crosses(deep, factor.axes, node.axes):
                return factor.head
            if factor.side == "q" and factor.node not in seen:
                seen.add(factor.node)
                todo.append(factor.node)
    return None
