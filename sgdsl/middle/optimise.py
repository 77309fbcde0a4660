"""The optimiser: a plan comes in, the same plan with its rewrites goes out (docs/architecture.md, the optimiser).

Fused, LookUp and Once move work to where its inputs vary and leave every number as it is, up to rounding. Closed replaces
an estimate by its expectation: the bound's value at given draws changes, its expectation and that of its gradient do not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from sgdsl.catalog.settings import resolve
from sgdsl.middle import ir
from sgdsl.middle.elimination import Product
from sgdsl.middle.estimators import Choice
from sgdsl.middle.graphs import Graphs, build, factor_expressions, factor_reads, networks
from sgdsl.middle.once import once
from sgdsl.middle.plan import Plan
from sgdsl.middle.rewrites import Closed, Fused, LookUp, Rewrite
from sgdsl.middle.scopes import Scopes
from sgdsl.middle.stacks import factor_copies


def optimise(model: ir.Model, graphs: Graphs, plan: Plan) -> Plan:
    """The plan with the rewrites of its level: 0 none, 1 those that keep its numbers, 2 closed forms too."""
    level = int(str(resolve(model.objective, "objective")["optimise"]))
    found: list[Rewrite] = []
    if level > 0:
        found += [*_fused(model, plan), *_look_ups(model, plan), *once(model, graphs, plan)]
    if level > 1:
        found += _closed(model, graphs, plan)
    return replace(plan, rewrites=tuple(found))


def plan_of_used(model: ir.Model, soft: Collection[str], rewrites: Collection[Rewrite]) -> Plan:
    """A plan for the methods of a model that another one uses: every value on one level, nothing drawn. `soft`: nodes whose
    values come as vectors of weights; layers are fused where `rewrites` of the other one fuse any."""
    names = (*(n.name for n in model.nodes), *(h.name for h in model.lets))
    choices = {n: Choice("gumbel", "given as weights") for n in soft}
    scopes = Scopes(build(model), {}, dict.fromkeys(names, ()))
    found = Plan((), choices, scopes, (), (), (), Product((), ()), {}, (), (), None, "snis", "lse", 1)
    fused = any(isinstance(r, Fused) for r in rewrites)
    return replace(found, rewrites=tuple(_fused(model, found)) if fused else ())


def _fused(model: ir.Model, plan: Plan) -> Iterator[Fused]:
    for factor in (*model.p, *model.q):
        if any(not n.copies for expr in factor_expressions(factor) for n in networks(expr)):
            yield Fused(factor.side, factor.id)
    for let in model.lets:
        if any(not n.copies for n in networks(let.value)):
            yield Fused("let", let.name)
    yield from (Fused("baseline", v) for v in plan.scored)


def _look_ups(model: ir.Model, plan: Plan) -> Iterator[LookUp]:
    for term in plan.terms:
        factor, node = model.factor(term.side, term.node), model.node(term.node)
        below = plan.scopes.ordered(
            {*plan.scopes.union(factor_reads(factor)), *(r.name for r in factor_copies(factor))}
        )
        choice = plan.choices.get(term.node)
        drawn = choice is not None and (choice.relaxed or (term.side == "q" and not choice.listed))  # at its own level
        plain = factor.family == "Categorical" and not (factor.mixture or node.type.partial or drawn)
        if plain and factor_reads(factor) and below != term.scope:
            yield LookUp(term.side, term.node, below, term.scope)


def _closed(model: ir.Model, graphs: Graphs, plan: Plan) -> Iterator[Closed]:
    """Latent Normals whose draw neither a weight, a share nor a parameter of their own prior depends on (docs/objective.md,
    closed forms)."""
    if plan.bound == "iw" or plan.groups is not None or model.axes:
        return
    weighing = {n.name for n in model.nodes if n.role == "supervised"} | {
        v for v, c in plan.choices.items() if c.listed
    }
    above = weighing | graphs.q.ancestors(*weighing)
    for name in plan.draws:
        node, choice = model.node(name), plan.choices[name]
        if node.role != "latent" or node.type.partial or choice.name != "reparam":
            continue
        p, q = model.factor("p", name), model.factor("q", name)
        normal = all(f.family == "Normal" and not f.mixture for f in (p, q))
        if normal and name not in above and not _read_by_prior(graphs, plan, name):
            yield Closed(name)


def _read_by_prior(graphs: Graphs, plan: Plan, name: str) -> bool:
    """Whether a parent in p depends on the node in q; what is drawn behind the last parent need not be looked at."""
    place = plan.scopes.place
    parents = {p for p in graphs.parents("p", name) if place.get(p, -1) > place[name]}
    last, todo, seen = max((place[p] for p in parents), default=-1), [name], {name}
    while todo:
        new = [c for c in graphs.q.successors(todo.pop()) if c not in seen and place[c] <= last]
        seen.update(new)
        todo += new
    return not parents.isdisjoint(seen)
