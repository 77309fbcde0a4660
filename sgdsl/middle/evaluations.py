"""How often the networks run: a plan and a pattern of labels come in, evaluations a row of each method go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from sgdsl.middle import ir
from sgdsl.middle.doubly import passes
from sgdsl.middle.estimators import entries
from sgdsl.middle.graphs import Graphs, evaluates, factor_expressions, factor_reads, let_reads
from sgdsl.middle.plan import Plan
from sgdsl.middle.stacks import factor_copies, let_copies
from sgdsl.middle.written import word


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`method` of the emitted model is evaluated on `entries` values a row, `sampled`: on each of S samples of them; `once` of
    these are computed once for all samples."""

    method: str
    entries: int
    sampled: bool
    once: int = 0

    def times(self, samples: int) -> int:
        """Evaluations a row."""
        return self.once + (self.entries - self.once) * (samples if self.sampled else 1)

    def text(self, times: str) -> str:
        """The same in words; `times`: "× S"."""
        if not self.sampled:
            return str(self.entries)
        return f"{self.once} + {self.entries - self.once}{times}" if self.once else f"{self.entries}{times}"


def entries_of(model: ir.Model, plan: Plan, name: str) -> int:
    """The entries of a row at a listed node, its values, or at a range, its copies."""
    found = plan.scopes.ranges.get(name)
    return found.copies if found else entries(model, plan.choices, plan.scopes.node(name))


def evaluations(model: ir.Model, graphs: Graphs, plan: Plan, known: tuple[str, ...]) -> tuple[Evaluation, ...]:
    """The methods of a step that own a network or a table, or call another model's: lets, then q's, then p's, in order."""
    sampled = _sampled(model, graphs, plan)
    scored = {t.node for t in plan.terms if t.side == "p" and not t.constant}
    times = passes(model, graphs, plan.choices, scored) if plan.gradient == "dreg" else {}
    found = []
    for method in _methods(model, graphs, plan):
        scope = plan.scopes.ordered({*plan.scopes.union(method.reads), *(r.name for r in method.copies)})
        sizes = {c: 1 if plan.scopes.node(c) in known else entries_of(model, plan, c) for c in scope}
        number, once = prod(sizes.values()) * times.get(method.name, 1), _once(plan, method.factor, sizes, known)
        drawn = any(v in sampled for v in graphs.lets.contracted(method.reads)) and once < number
        found.append(Evaluation(method.name, number, drawn, once if drawn else 0))
        if method.factor and method.factor.side == "q":
            found += _in_bayes(model, graphs, plan, method.factor, found[-1], sampled)
    return tuple(found)


def _once(plan: Plan, factor: ir.Factor | None, sizes: Mapping[str, int], known: tuple[str, ...]) -> int:
    """The entries of a row whose parameters are the same for all samples: the label, or the likeliest class."""
    rewrite = plan.once(factor.side, factor.id) if factor else None
    if rewrite is None or any(n not in known and n not in sizes for n in rewrite.nodes):
        return 0
    return prod(1 if n in rewrite.nodes else size for n, size in sizes.items())


def _in_bayes(
    model: ir.Model, graphs: Graphs, plan: Plan, factor: ir.Factor, whole: Evaluation, sampled: set[str]
) -> Iterator[Evaluation]:
    """What the posterior of a node evaluates again: its prior for each entry, all else once a value of the node."""
    node, source = factor.node, factor.parameters[0].source
    if not isinstance(source, ir.Bayes):
        return
    children = {n: factor_reads(model.factor("p", n)) for n in source.factors if _owns(model.factor("p", n))}
    read = {name for reads in children.values() for name in reads}
    calls = {
        f"let_{h.name}": let_reads(h)
        for h in model.lets
        if node in graphs.lets.contracted([h.name]) and read & {h.name, *graphs.lets.graph.descendants(h.name)}
        if evaluates(h.value)
    }
    calls |= {f"decode_{n}": reads for n, reads in children.items()}
    for method, reads in calls.items():
        values = 1 if method == f"decode_{node}" else model.node(node).type.values or 1
        drawn = any(v in sampled for v in graphs.lets.contracted(reads) if v != node)
        yield Evaluation(f"{method} in {whole.method}", whole.entries * values if reads else 1, drawn)


def _sampled(model: ir.Model, graphs: Graphs, plan: Plan) -> set[str]:
    """Nodes whose value differs from sample to sample: what is drawn, and a Delta of it."""
    found: set[str] = set()
    for name in plan.draws:
        match plan.choices[name].name:
            case "enumerate":
                pass
            case "delta":
                found |= {name} if found & set(graphs.parents("q", name)) else set()
            case _:
                found.add(name)
    return found


@dataclass(frozen=True, slots=True)
class _Method:
    """`copies`: the ranges whose copies have weights of their own in it; `factor`: whose it is, if not a let's."""

    name: str
    reads: tuple[str, ...]
    copies: tuple[ir.Range, ...]
    factor: ir.Factor | None = None


def _methods(model: ir.Model, graphs: Graphs, plan: Plan) -> Iterator[_Method]:
    """Each method that a step calls."""
    terms = {(t.side, t.node) for t in plan.terms if not t.constant}
    q = [f for v in plan.draws for f in model.pieces("q", v)]
    p = [f for v in graphs.order("p") for f in model.pieces("p", v) if ("p", f.id) in terms]
    read = {name for factor in (*q, *p) for name in factor_reads(factor)}
    for let in model.lets:
        used = read & {let.name, *graphs.lets.graph.descendants(let.name)}
        if used and evaluates(let.value):
            yield _Method(f"let_{word(let.name)}", let_reads(let), let_copies(let))
    for factor in (*q, *p):
        if _owns(factor) or isinstance(factor.parameters[0].source, ir.Bayes):
            name = f"{'encode' if factor.side == 'q' else 'decode'}_{factor.id}"
            yield _Method(name, factor_reads(factor), factor_copies(factor), factor)


def _owns(factor: ir.Factor) -> bool:
    """Whether a factor owns a network or a table, or calls another model's."""
    tables = any(isinstance(p.source, ir.Table | ir.Used) for p in factor.parameters)
    return tables or any(evaluates(e) for e in factor_expressions(factor))
