"""Loops written out: a model with axes comes in; the same without, a node z over 1..3 as z[1], z[2] and z[3], goes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import assert_never

from sgdsl.base.diagnostics import Sink
from sgdsl.base.source import NOWHERE
from sgdsl.middle import ir, sides

Places = Mapping[str, int]  # of ranges, by name


@dataclass(frozen=True, slots=True)
class Unrolled:
    """`model` has no axes and owns no weights (no statements). `weights`: of each let ("h[2]") and factor ("p_z[2]") the let
    ("h") or factor ("p_z", "p_z_1") of the loops whose weights it uses; where those are stacked, the `copies` of a Network,
    Table, Learned or Weight are its place in the stack, counted from 0. `copies`: of each node its node of the loops, and
    its places there, from outside in."""

    model: ir.Model
    weights: Mapping[str, str]
    copies: Mapping[str, tuple[str, tuple[int, ...]]]


def unrolled(model: ir.Model, counts: Mapping[str, int] | None = None) -> Unrolled:
    """The model with its loops written out. `counts`: the value of each count node of a loop `1..k`; the copies beyond it do
    not exist: what reads one of them reads zeros, and reductions go over those that do. Names of copies are no identifiers."""
    made = _Copies(model, counts or {})
    nodes, copies, lets = [], {}, []
    weights: dict[str, str] = {}
    for node in model.nodes:
        for at in made.each(node.axes):
            nodes.append(replace(node, name=made.named(node, at), axes=()))
            copies[nodes[-1].name] = node.name, tuple(at[r.name] for r in node.axes)
    for let in (h for h in model.lets if not isinstance(h.value, ir.View)):
        for at in made.each(let.axes):
            lets.append(replace(let, name=made.named(let, at), value=made.let_value(let, at), axes=()))
            weights[lets[-1].name] = let.name
    names = [*copies, *weights]
    assert len(names) == len(set(names)), "two copies of one name"
    p, q = (tuple(made.factors(factors, weights)) for factors in (model.p, model.q))
    flat = replace(model, nodes=tuple(nodes), lets=tuple(lets), p=p, q=q, statements=(), data=None, axes=())
    sink = Sink(model.source)
    flat = sides.complete(flat, sink)
    sink.barrier()
    return Unrolled(flat, weights, copies)


@dataclass(frozen=True, slots=True)
class _Copies:
    """Where copies are, and what each reads."""

    model: ir.Model
    counts: Mapping[str, int]
    _valued: dict[str, ir.Node | ir.Let] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        valued: list[ir.Node | ir.Let] = [*self.model.nodes, *self.model.lets]
        object.__setattr__(self, "_valued", {v.name: v for v in valued})

    # --- places -----------------------------------------------------------------------------------------------

    def lives(self, r: ir.Range, place: int) -> bool:
        count = self.model.axis(r.axis).count
        return count is None or place <= self.counts[count]

    def each(self, axes: Iterable[ir.Range]) -> Iterator[dict[str, int]]:
        """The places of all copies that live, the innermost loop fastest."""
        axes = tuple(axes)
        for places in product(*([p for p in range(r.first, r.last + 1) if self.lives(r, p)] for r in axes)):
            yield {r.name: p for r, p in zip(axes, places, strict=True)}

    def named(self, valued: ir.Node | ir.Let, at: Places) -> str:
        index = ", ".join(str(at[r.name]) for r in valued.axes)
        return f"{valued.name}[{index}]" if index else valued.name

    def found(self, name: str, at: Places) -> str | None:
        """The name of the copy that a reader at these places means by a name; None where it does not live."""
        valued = self._valued[name]
        if isinstance(valued, ir.Let) and isinstance(valued.value, ir.View):
            return self._seen(valued.value, at)
        return self.named(valued, at) if all(self.lives(r, at[r.name]) for r in valued.axes) else None

    def _seen(self, view: ir.View, at: Places) -> str | None:
        axes = self._valued[view.source.name].axes
        places = [a if isinstance(a, int) else at[a.range.name] + a.offset for a in view.at]
        there = {**at, **{r.name: p for r, p in zip(axes, places, strict=True)}}
        for r, place in zip(axes, places, strict=True):
            count = self.model.axis(r.axis).count
            if count is not None and view.edges and r is axes[-1] and place > self.counts[count]:
                place = r.last + place - self.counts[count]  # behind the row's last copy as behind the last of all
            if not r.first <= place <= r.last:
                return self.found(dict(view.edges)[place].name, there)
        return self.found(view.source.name, there)

    # --- expressions ------------------------------------------------------------------------------------------

    def let_value(self, let: ir.Let, at: Places) -> ir.Expr:
        if isinstance(let.value, ir.Over):
            return self._over(let.value, at)
        return self.expr(let.value, at)

    def _over(self, over: ir.Over, at: Places) -> ir.Expr:
        """A stack is a vector of every place of the loop; else a function of those that live."""
        inner = self._valued[over.source.name].axes[-1]
        places = range(inner.first, inner.last + 1)
        items = tuple(self.expr(over.source, {**at, inner.name: p}) for p in places)
        if over.function == "stack":
            return ir.Vector(items, over.shape, over.span)
        living = tuple(i for i, p in zip(items, places, strict=True) if self.lives(inner, p))
        if not living:
            return _zeros(over.shape)
        return ir.Call(over.function, (ir.Vector(living, (len(living), *over.shape)),), 0, over.shape, over.span)

    def expr(self, expr: ir.Expr, at: Places) -> ir.Expr:
        """What a copy reads by an expression."""
        match expr:
            case ir.Number():
                return expr
            case ir.Ref():
                name = self.found(expr.name, at)
                return _zeros(expr.shape) if name is None else replace(expr, name=name)
            case ir.Operation() | ir.Call():
                return replace(expr, args=tuple(self.expr(a, at) for a in expr.args))
            case ir.Vector():
                return replace(expr, items=tuple(self.expr(i, at) for i in expr.items))
            case ir.Apply():
                return replace(expr, network=self.network(expr.network, at))
            case ir.Mean():
                return replace(expr, args=tuple((name, self.expr(value, at)) for name, value in expr.args))
            case ir.Weight():
                return replace(expr, copies=_stacked(expr.copies, at))
            case ir.Place():
                return ir.Number(at[expr.range.name] - expr.range.first)
            case ir.View() | ir.Over():
                raise AssertionError("the whole value of a let")
            case _:
                assert_never(expr)

    def network(self, network: ir.Network, at: Places) -> ir.Network:
        inputs = tuple(self._input(e, at) for e in network.inputs)
        return replace(network, inputs=inputs, copies=_stacked(network.copies, at))

    def _input(self, expr: ir.Expr, at: Places) -> ir.Expr:
        """Zeros have the width of the input form that they stand for."""
        dead = isinstance(expr, ir.Ref) and self.found(expr.name, at) is None
        if dead and isinstance(expr, ir.Ref) and len(expr.shape) != 3:
            return _zeros((expr.type.input_width,))
        return self.expr(expr, at)

    # --- factors ----------------------------------------------------------------------------------------------

    def factors(self, factors: Iterable[ir.Factor], weights: dict[str, str]) -> Iterator[ir.Factor]:
        """Those of all copies that live. Adds whose weights each uses."""
        for factor in factors:
            for copy in (self.factor(factor, at) for at in self.each(factor.axes)):
                if copy is not None:
                    weights[f"{copy.side}_{copy.node}"] = f"{factor.side}_{factor.id}"
                    yield copy

    def factor(self, factor: ir.Factor, at: Places) -> ir.Factor | None:
        """The factor of one copy; None where the copy does not live."""
        node = self._valued[factor.node]
        places = [p if isinstance(p, int) else at[p.name] for p in factor.place]
        there = {r.name: p for r, p in zip(node.axes, places, strict=True)}
        name = self.found(factor.node, there)
        if name is None:
            return None
        given = tuple(dict.fromkeys(g for g in (self.found(g, at) for g in factor.given) if g is not None))
        return replace(
            factor,
            node=name,
            given=given,
            parameters=self._parameters(factor.parameters, at),
            trunk=self.network(factor.trunk, at) if factor.trunk else None,
            given_spans=(NOWHERE,) * len(given),
            text="",
            place=(),
            piece="",
        )

    def _parameters(self, parameters: Iterable[ir.Parameter], at: Places) -> tuple[ir.Parameter, ...]:
        return tuple(replace(p, source=self._source(p.source, at)) for p in parameters)

    def _source(self, source: ir.ParameterSource, at: Places) -> ir.ParameterSource:
        match source:
            case ir.Own():
                return ir.Own(self.network(source.network, at))
            case ir.Table():
                parents = tuple(self.expr(ref, at) for ref in source.parents)
                assert all(isinstance(ref, ir.Ref) for ref in parents), "a table of a copy that does not exist"
                return ir.Table(tuple(r for r in parents if isinstance(r, ir.Ref)), _stacked(source.copies, at))
            case ir.Learned():
                return replace(source, copies=_stacked(source.copies, at))
            case ir.Value():
                return ir.Value(self.expr(source.expr, at))
            case ir.Product() | ir.Mixture():
                return replace(source, experts=tuple(self._expert(e, at) for e in source.experts))
            case ir.Used():
                return replace(source, args=tuple((name, self.expr(value, at)) for name, value in source.args))
            case ir.Bayes():
                return ir.Bayes()
            case ir.Head() | ir.Default():
                return source
            case _:
                assert_never(source)

    def _expert(self, expert: ir.Expert, at: Places) -> ir.Expert:
        trunk = self.network(expert.trunk, at) if expert.trunk else None
        return replace(expert, parameters=self._parameters(expert.parameters, at), trunk=trunk)


def _zeros(shape: ir.Shape) -> ir.Expr:
    return ir.Call("zeros", (), None, shape)


def _stacked(copies: tuple[ir.Range, ...], at: Places) -> tuple[ir.Range, ...]:
    """The place of a copy's weights in their stack."""
    places = ((r, at[r.name] - r.first) for r in copies)
    return tuple(replace(r, first=place, last=place) for r, place in places)
