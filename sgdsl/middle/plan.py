"""The plan of a step: the model and its graphs come in; which node is drawn, enumerated or weighed, and on which level
each term is evaluated, go out (docs/objective.md, sections 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sgdsl.base.diagnostics import Sink
from sgdsl.catalog.settings import resolve
from sgdsl.middle import estimators, ir, samples
from sgdsl.middle.coupled import coupled
from sgdsl.middle.doubly import check_doubly
from sgdsl.middle.elimination import Eliminator, Key, Message, Product, Scope
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.recombination import Recombination, recombination
from sgdsl.middle.rewrites import Closed, Fused, LookUp, Once, Rewrite
from sgdsl.middle.scopes import Scopes, scopes_of
from sgdsl.middle.standing import Term as Term
from sgdsl.middle.standing import every_level, shared
from sgdsl.middle.weights import Share, Weights


@dataclass(frozen=True, slots=True)
class Plan:
    """`draws`: q's nodes in order; `choices`: the estimator of each; `scopes`: the enumerated nodes that the value of a
    node or let depends on; `levels`: every level in use; `log_w`, `shares`: the log weight of a sample, and of each
    entry of a level within it; `drawn_shares`: the shares under the proposal (for jensen and clamped); `labels`: the
    known part of each log q; `log_v`: p over the density of what was drawn (for iw). `samples`: S; `groups`: what is
    recombined, None where there is one group of weights at most; `rewrites`: what the optimiser changed; `gradient`: plain
    or dreg."""

    draws: tuple[str, ...]
    choices: Mapping[str, estimators.Choice]
    scopes: Scopes
    terms: tuple[Term, ...]
    levels: tuple[Scope, ...]
    messages: tuple[Message, ...]
    log_w: Product
    shares: Mapping[Scope, Share]
    drawn_shares: tuple[Product, ...]
    labels: tuple[tuple[Key, Scope], ...]
    log_v: Product | None
    bound: str
    marginal: str
    samples: int
    groups: Recombination | None = None
    gradient: str = "plain"
    rewrites: tuple[Rewrite, ...] = ()
    _rewritten: frozenset[Rewrite | tuple[str, str]] = field(init=False, repr=False, compare=False)
    _once: Mapping[tuple[str, str], Once] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        looked_up = ((r.side, r.node) for r in self.rewrites if isinstance(r, LookUp))
        object.__setattr__(self, "_rewritten", frozenset((*self.rewrites, *looked_up)))
        object.__setattr__(self, "_once", {(r.side, r.node): r for r in self.rewrites if isinstance(r, Once)})

    def is_fused(self, kind: str, name: str) -> bool:
        """Whether the dense layers of a factor (kind "p" or "q") or let are one function."""
        return Fused(kind, name) in self._rewritten

    def is_looked_up(self, side: ir.Side, node: str) -> bool:
        """Whether a class is looked up in log probabilities below its level."""
        return (side, node) in self._rewritten

    def once(self, side: ir.Side, node: str) -> Once | None:
        """How a factor's parameters are computed once for all samples, where some are."""
        return self._once.get((side, node))

    def is_closed(self, node: str) -> bool:
        """Whether log p and log q of a node are averaged over q in closed form."""
        return Closed(node) in self._rewritten

    @property
    def scored(self) -> tuple[str, ...]:
        """The nodes whose gradient is a score term."""
        return tuple(v for v in self.draws if self.choices[v].name == "score")


def plan(model: ir.Model, graphs: Graphs, sink: Sink, sizes: Mapping[str, int] | None = None) -> Plan:
    """The plan of a checked model. Adds E05 for estimators that cannot be, W05 for labels that would not train.
    `sizes`: numbers of values that sums are ordered by, where not those of the model itself."""
    settings = resolve(model.objective, "objective")
    draws = tuple(n for n in graphs.order("q") if model.node(n).role in ("latent", "supervised"))
    together, chains = coupled(model)
    choices = estimators.choose(model, graphs, draws, together, chains, sink)
    chains = {n: c for n, c in chains.items() if choices[n].name == "enumerate"}
    choices |= {f.id: choices[f.node] for f in model.q if f.node in choices}
    scopes = scopes_of(model, graphs, draws, *estimators.listed(choices), chains)
    gradient = check_doubly(model, graphs, choices, sink)
    terms = _terms(model, graphs, scopes)
    terms = tuple(replace(t, level=shared(model, scopes, t.scope)) for t in terms) if model.axes else terms
    sizes = sizes or {n: estimators.entries(model, choices, n) for n in draws}
    sizes = {**sizes, **{r: sizes[c.node] for c in chains.values() for r in c.readings}}
    maker = Eliminator(sizes, scopes.place, *_stages(model, choices, scopes))
    inferred = tuple(f.id for v in draws for f in model.pieces("q", v))
    own = {f.id: scopes.own(f) for f in model.q}
    weights = Weights(model, inferred, choices, {t.node: t.scope for t in terms if t.side == "q"}, maker, own)
    counts = ((k,) for k in maker.ranges.values() if k)
    used = tuple(dict.fromkeys((*(t.level for t in terms if t.level), *counts)))
    log_w, shares = weights.posteriors(used)
    labels = tuple(weights.label(v) for v in inferred if model.node(v).role == "supervised")
    needed = tuple(dict.fromkeys((*used, *(s for _, s in labels if s))))
    bound, marginal = str(settings["bound"]), str(settings["marginal"])
    drawn = weights.proposals(needed) if bound == "clamped" or marginal == "jensen" else ()
    log_v = _log_v(terms, choices, maker) if bound == "iw" else None
    messages = _used(
        maker, [log_w, *(p for s in shares.values() for p in (s.own, s.whole)), *drawn, *([log_v] if log_v else [])]
    )
    estimators.check_size(model, [*(m.product.scope for m in messages), *used], maker, sink)
    count = samples.samples(model, graphs, draws, choices, settings, sink)
    levels = every_level(model, terms, messages, needed, scopes)
    found = Plan(
        draws, choices, scopes, terms, levels, messages, log_w, shares, drawn, labels, log_v, bound, marginal, count
    )  # fmt: skip
    return replace(_with_groups(model, graphs, found, maker), gradient=gradient)


def _with_groups(model: ir.Model, graphs: Graphs, found: Plan, maker: Eliminator) -> Plan:
    """The plan with its groups of weights, and the levels that these stand on."""
    groups = _groups(model, graphs, found)
    apart = {level for level in groups.loops.values() if level} if groups else set()
    return replace(found, groups=groups, levels=_ordered({*found.levels, *apart}, maker))


def _groups(model: ir.Model, graphs: Graphs, plan: Plan) -> Recombination | None:
    """Groups serve the default bound: the others are defined by the weight of a whole sample, and so are sums along chains."""
    if (plan.bound, plan.marginal) != ("snis", "lse") or plan.samples == 1 or plan.scopes.chains:
        return None
    varying = [v for v in plan.draws if plan.choices[v].drawn]
    messages = {m.name: m for m in plan.messages}
    found = recombination(model, graphs, plan.draws, varying, plan.log_w, messages, plan.scopes.ranges)
    for term in plan.terms if found else ():
        assert found is not None
        mixed = term.side == "p" and not term.constant and found.mixed((term.node, *found.reads["p", term.node]))
        if mixed and found.carried("p", term.node, differing(model, plan, term)) is None:
            found.late_terms.add(term.node)
    return found


def differing(model: ir.Model, plan: Plan, term: Term) -> tuple[Key, ...]:
    """The log-factors of the weight of a term's entries: of its level's share, and of those of the values of k in `1..k`."""
    counts = (model.axis(r.axis).count for n in term.level if (r := plan.scopes.ranges.get(n)))
    levels = dict.fromkeys((term.level, *((k,) for k in counts if k and k not in term.level and (k,) in plan.shares)))
    return tuple(dict.fromkeys(key for level in levels if level for key in plan.shares[level].differing))


def _terms(model: ir.Model, graphs: Graphs, scopes: Scopes) -> tuple[Term, ...]:
    """log p of every modelled node in p's order, then log q of every inferred one in q's order."""
    sides: tuple[ir.Side, ...] = ("p", "q")
    factors = (f for side in sides for name in graphs.order(side) for f in model.pieces(side, name))
    found = []
    for factor in factors:
        if factor.family != "Delta":
            constant = factor.side == "p" and is_constant(factor) and not model.node(factor.node).type.partial
            constant = constant and factor.node not in scopes.chains
            scope = () if constant else scopes.factor(factor)
            found.append(Term(factor.side, factor.id, scope, constant, scope))
    return tuple(found)


Chained = dict[str, tuple[frozenset[str], frozenset[str]]]


def _stages(
    model: ir.Model, choices: Mapping[str, estimators.Choice], scopes: Scopes
) -> tuple[dict[str, int], dict[str, str | None], Chained]:
    """When each node and range is summed out; the enumerated node that counts the copies of each range; the readings and ranges
    of each chain."""
    counts = {name: model.axis(r.axis).count for name, r in scopes.ranges.items()}
    listed = {name: k if k and k in choices and choices[k].listed else None for name, k in counts.items()}
    stages = {name: scopes.stage(name) for name in scopes.place} if model.axes else {}
    axis = {name: model.node(name).axes[-1].axis for name in scopes.chains}
    own = {c: frozenset(n for n, r in scopes.ranges.items() if r.axis == axis[c]) for c in axis}
    return stages, listed, {c: (frozenset(found.readings), own[c]) for c, found in scopes.chains.items()}


def is_constant(factor: ir.Factor) -> bool:
    """Whether its log-probability is one number: the uniform Categorical, the fair Bernoulli of a binary node outside loops."""
    return (
        factor.family in ("Categorical", "Bernoulli")
        and not factor.axes
        and all(isinstance(p.source, ir.Default) for p in factor.parameters)
    )


def _used(maker: Eliminator, products: Iterable[Product]) -> tuple[Message, ...]:
    """The messages that products are made of, as they were made."""
    found: dict[str, Message] = {}
    todo = [key for product in products for key, _ in product.factors]
    while todo:
        key = todo.pop()
        if key.kind == "message" and key.node not in found:
            found[key.node] = maker.named[key.node][1]
            todo += [k for k, _ in found[key.node].product.factors]
    return tuple(m for m in maker.messages.values() if m.name in found)


def _log_v(terms: tuple[Term, ...], choices: Mapping[str, estimators.Choice], maker: Eliminator) -> Product:
    """log Σ over enumerated values of p / (density of what was drawn): by level, "f" holds the terms of one."""
    levels = dict.fromkeys(summed_scope(t, choices) for t in terms if t.side == "p" or choices[t.node].drawn)
    return maker.product({Key("f", " ".join(s)): s for s in levels}, ())


def summed_scope(term: Term, choices: Mapping[str, estimators.Choice]) -> Scope:
    """Where a term stands inside the logarithm: a constant p of an enumerated node is still summed over its values."""
    enumerated = term.node in choices and choices[term.node].name == "enumerate"
    return (term.node,) if term.constant and enumerated else term.scope


def _ordered(levels: Iterable[Scope], maker: Eliminator) -> tuple[Scope, ...]:
    """Small ones first."""
    return tuple(sorted(levels, key=lambda s: (len(s), [maker.place[c] for c in s])))
