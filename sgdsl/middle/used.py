"""Calls of other models: a model comes in; which of its lets and factors call which factor, with which values, go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sgdsl.middle import ir
from sgdsl.middle.graphs import factor_expressions, factor_reads, let_reads, networks, walk


@dataclass(frozen=True, slots=True)
class Called:
    """`owner`, ("let", h), ("p", v) or ("q", v), calls the factor `side`, `node` of the model `use`; `mean`: for
    its mean."""

    owner: tuple[str, str]
    use: str
    side: ir.Side
    node: str
    args: tuple[tuple[str, ir.Expr], ...]
    mean: bool = False


def called(model: ir.Model) -> tuple[Called, ...]:
    """Every call, in the order of lets, p, q."""
    found: list[Called] = []
    for let in model.lets:
        found += _means(("let", let.name), (let.value,))
    for factor in (*model.p, *model.q):
        owner, source = (factor.side, factor.id), factor.parameters[0].source
        if isinstance(source, ir.Used):
            found.append(Called(owner, source.use, source.side, source.node, source.args))
        found += _means(owner, factor_expressions(factor))
    return tuple(found)


def _means(owner: tuple[str, str], exprs: Iterator[ir.Expr] | tuple[ir.Expr, ...]) -> Iterator[Called]:
    for expr in exprs:
        for part in walk(expr):
            if isinstance(part, ir.Mean):
                yield Called(owner, part.use, "p", part.node, part.args, True)


def expressions_of(model: ir.Model, owner: tuple[str, str]) -> tuple[ir.Expr, ...]:
    """The expressions of a let or factor, by its kind and name."""
    kind, name = owner
    if kind == "let":
        return (model.let(name).value,)
    return tuple(factor_expressions(model.factor("p" if kind == "p" else "q", name)))


def networks_of(model: ir.Model, owner: tuple[str, str]) -> Iterator[ir.Network]:
    """The networks of its own that a let or factor applies."""
    for expr in expressions_of(model, owner):
        yield from networks(expr)


def reached(model: ir.Model, owners: Iterable[tuple[str, str]]) -> dict[tuple[str, str], None]:
    """The lets and factors that some evaluate, themselves among them, in the order of lets, q, p."""
    found: set[tuple[str, str]] = set()
    todo = list(owners)
    lets = {h.name for h in model.lets}
    while todo:
        kind, name = todo.pop()
        if (kind, name) in found:
            continue
        found.add((kind, name))
        if kind == "let":
            todo += [("let", n) for n in let_reads(model.let(name)) if n in lets]
            continue
        factor = model.factor("p" if kind == "p" else "q", name)
        todo += [("let", n) for n in factor_reads(factor) if n in lets]
        todo += [("p", n) for n in _p_factors(factor)]
        todo += [("let", n) for f in _p_factors(factor) for n in factor_reads(model.factor("p", f)) if n in lets]
    order = (
        *(("let", h.name) for h in model.lets),
        *(("q", f.id) for f in model.q),
        *(("p", f.id) for f in model.p),
    )
    return dict.fromkeys(owner for owner in order if owner in found)


def _p_factors(factor: ir.Factor) -> tuple[str, ...]:
    """The nodes whose p-factors a factor of q evaluates."""
    match factor.parameters[0].source:
        case ir.Bayes() as source:
            return (factor.node, *source.factors)
        case ir.Product(prior=True):
            return (factor.node,)
        case _:
            return ()


def others_in_words(model: ir.Model) -> list[str]:
    """Each model that is used with its weights, then what is taken from it: its factor there, its file and line."""
    lines = []
    for use in model.uses:
        weights = f"weights of {use.weights}" if use.weights else "weights of its own"
        lines.append(
            f"{use.name}: {use.model.name}, {use.model.source.name}, {weights}, {'frozen' if use.frozen else 'trained'}"
        )
        for what, factor in _taken(model, use):
            line, _ = use.model.source.position(factor.span.start)
            lines.append(f"    {what}: line {line}, {factor.text or factor.head}")
    return lines


def _taken(model: ir.Model, use: ir.Use) -> Iterator[tuple[str, ir.Factor]]:
    """What takes a factor of another model, and that factor."""
    for factor in (*model.p, *model.q):
        if factor.used and factor.used.use == use.name:
            yield factor.head, use.model.factor(factor.used.side, factor.used.node)
    for call in called(model):
        kind, name = call.owner
        if call.mean and call.use == use.name:
            what = f"let {name}" if kind == "let" else model.factor("p" if kind == "p" else "q", name).head
            yield f"mean in {what}", use.model.factor("p", call.node)
