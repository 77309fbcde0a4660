"""The graph of p and the factors of q that are written come in; a factor for each node without one goes out: its
parents, and why (docs/objective.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sgdsl.middle import ir
from sgdsl.middle.digraph import Digraph, digraph
from sgdsl.middle.moral import UNKNOWN, Roles
from sgdsl.middle.ordering import constraints, sampling_order
from sgdsl.middle.separation import add_ancestors, blanket

Parents = Mapping[str, tuple[str, ...]]


def propose(roles: Roles, p: Parents, written: Parents, after: bool = False) -> tuple[ir.Made, ...]:
    """The factors that q lacks, each after those it reads. `roles`: every node in the order of the file; `p`, `written`:
    the nodes that the factors of p and of q read. Empty where p or the written q has a cycle, which checks.py reports.

    The joint q asserts no independence that the posterior p(unknown | known) lacks, as far as written factors let it:
    a made factor reads the smallest set that separates its node from all nodes drawn before it."""
    graph = digraph(roles, ((parent, node) for node, parents in p.items() for parent in parents))
    if not graph.acyclic or all(v in written for v in graph if roles[v] in UNKNOWN):
        return ()
    barren = _barren(graph, roles, written)
    kept = graph.without(barren)
    needs = constraints(kept, roles, written, after)
    if not needs.acyclic:
        return ()
    order = sampling_order(kept, roles, written, needs)
    priors = (ir.Made(v, p[v], prior=True) for v in graph.generations() if v in barren and v in p)
    return (*_posteriors(kept, roles, order, written), *priors)


def in_words(model: ir.Model) -> list[str]:
    """What was made and why each parent, a line each; empty where every factor of q is written. Through loops it is the text
    that was made: statements that can stand in the file."""
    lines: list[str] = list(model.made)
    for factor in model.q if not model.made else ():
        if factor.made is not None:
            lines.append(factor.text)
            if factor.made.prior:
                lines.append("    as in p: no data and no label depend on it")
            elif not factor.made.given:
                lines.append("    reads nothing: it depends on nothing that is known before it")
            else:
                lines += [f"    {v}: {why}" for v, why in zip(factor.made.given, factor.made.why, strict=True)]
    return ["recognition made by the compiler", *(f"    {line}" for line in lines)] if lines else []


def _barren(p: Digraph, roles: Roles, written: Parents) -> set[str]:
    """The latents on which no datum, no label and no written factor of q depends: their posterior is their prior."""
    read = {u for parents in written.values() for u in parents}
    found: set[str] = set()
    for node in reversed(p.generations()):
        free = roles[node] == "latent" and node not in written and node not in read
        if free and found.issuperset(p.successors(node)):
            found.add(node)
    return found


def _posteriors(p: Digraph, roles: Roles, order: Iterable[str], written: Parents) -> Iterable[ir.Made]:
    """The factors of the nodes that the data say something about, in the order of drawing."""
    before = {v: i for i, v in enumerate(v for v in p if roles[v] not in UNKNOWN)}
    ancestral: set[str] = set()
    add_ancestors(p, before, ancestral)
    for node in order:
        add_ancestors(p, (node,), ancestral)
        if node not in written:
            why = blanket(p, node, before.keys(), ancestral)
            given = tuple(sorted(why, key=before.__getitem__))
            yield ir.Made(node, given, tuple(why[v] for v in given))
        before[node] = len(before)
