"""Off the hot path: the methods of a side come in, one that finds a factor's parameters from values by name goes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sgdsl.backend.calls import parameter_names
from sgdsl.backend.methods import Method, relaxed
from sgdsl.backend.names import Named
from sgdsl.backend.places import T
from sgdsl.backend.sequence import Loop, run_copies
from sgdsl.backend.step import Step, repr_scope
from sgdsl.backend.writer import Writer, quoted, tuple_of
from sgdsl.middle import ir
from sgdsl.middle.elimination import Scope
from sgdsl.middle.graphs import Graphs, carried, given_nodes
from sgdsl.middle.plan import Plan
from sgdsl.middle.scopes import scopes_of

Methods = Mapping[tuple[str, str], Method]


def emit_lookup(
    out: Writer, model: ir.Model, graphs: Graphs, plan: Plan, side: ir.Side, methods: Methods, named: Named
) -> None:
    """`parameters_p` or `parameters_q`: nothing is enumerated, and of a loop each value has all copies."""
    plain = replace(plan, scopes=scopes_of(model, graphs, plan.draws, ()), groups=None)
    alone = given_nodes(model, graphs.lets)
    out.at = 0
    out.raw()
    where = ", batch: Batch = FLAT" if model.axes else ""
    out.raw(f"def parameters_{side}(self, node: str, v: Values{where}) -> Parameters:", 4)
    out.raw(f'"""The parameters of {side}(node | …), in the order of its family."""', 8)
    if alone or any(isinstance(let.value, ir.View) and let.value.edges for let in model.lets):
        out.raw("rows = batch.rows", 8)
    factors = model.p if side == "p" else model.q
    if factors:
        out.raw("match node:", 8)
    for factor in factors:
        fresh = replace(named, locals=named.locals.inner())
        out.raw(f'case "{factor.id}":', 12)
        method = methods[side, factor.id]
        if not method.name:
            out.statement(f"return {tuple_of(method.constants)}", 16)
            continue
        found = _Lookup(model, plain, fresh, methods, out, carried=alone, sequence=run_copies)
        out.statement(f"return {found.returned(factor, method)}", 16)
    out.raw("raise KeyError(node)", 8)
    _emit_turns(_Lookup(model, plain, named, methods, out, carried=alone, sequence=run_copies), graphs, side)


def _emit_turns(step: _Lookup, graphs: Graphs, side: ir.Side) -> None:
    """`in_turn_p` or `in_turn_q`: copies that need one another, each drawn from what the places before it drew."""
    model, out = step.model, step.out
    sets = [(members, n) for members in carried(model, graphs.lets, side) if (n := _nodes(graphs, side, members))]
    if not sets:
        return
    out.raw()
    out.raw(f"def in_turn_{side}(self, first: str, v: Values, batch: Batch, draw: Turn) -> dict[str, Tensor]:", 4)
    out.raw(f'"""All copies of nodes of {side} that need one another, the first by name, drawn place by place."""', 8)
    out.raw("rows = batch.rows", 8)
    out.raw("match first:", 8)
    for members, nodes in sets:
        out.raw(f'case "{nodes[0]}":', 12)
        named = replace(step.named, locals=step.named.locals.inner())
        again = _Lookup(model, step.plan, named, step.methods, out, carried=step.carried, sequence=run_copies)
        loop = _Turns(again, members, side)
        loop.prepare()
        loop.emit()
        ends = {n: model.node(n).axes[-1] for n in nodes}
        found = ", ".join(f"{quoted(n)}: in_copies({loop.copies(n)}, {r.first}, {r.last})" for n, r in ends.items())
        out.statement(f"return {{{found}}}", 16)
    out.raw("raise KeyError(first)", 8)


def _nodes(graphs: Graphs, side: ir.Side, members: frozenset[str]) -> list[str]:
    return [n for n in graphs.order(side) if n in members]


def _weights(step: Step, node: ir.Node, text: str) -> str:
    """What networks read of a node's value: of a relaxed class its one-hot."""
    kind = node.type
    if not (relaxed(step.plan, node.name) and kind.one_hot):
        return text
    return f"one_hot({text}, {kind.values}{f', {kind.first}' if kind.first else ''})"


@dataclass(slots=True)
class _Turns(Loop):
    """A sequence that is drawn by `draw(piece, place, parameters)`."""

    def copies(self, name: str) -> str:
        """The variable of a node's copies by place."""
        return self._kept(self.step.named.values[name])

    def _argument(self, name: str) -> str:
        value, text = self.step.model.valued(name), Loop._argument(self, name)
        return _weights(self.step, value, text) if name in self.members and isinstance(value, ir.Node) else text

    def _draw(self, factor: ir.Factor, node: ir.Node) -> list[str]:
        step, method, scopes = self.step, self.step.methods[self.side, factor.id], self.step.plan.scopes
        drawn = f"{self.at(node.name)} = draw({quoted(factor.id)}, {T}, "
        if not method.name:
            return [f"{drawn}{tuple_of(method.constants)})"]
        level = self.outer(scopes.ordered({*scopes.union(method.reads), *method.copies}))
        scope, call = self.outer(scopes[node.name]), self._call(method)
        if level == scope[: len(level)]:
            return [f"{drawn}{call if len(method.free) > 1 else f'({call},)'})"]
        names = [step.named.locals.new(f"{self.side}_{factor.id}_{n}") for n in parameter_names(factor)]
        up = f"{step.level(scope)}.up({{}}, {repr_scope(level)})"
        lifted = (n if free else up.format(n) for n, free in zip(names, method.free, strict=True))
        return [f"{', '.join(names)} = {call}", f"{drawn}{tuple_of(lifted)})"]


@dataclass(slots=True)
class _Lookup(Step):
    """A step of one factor, whose nodes are all given in `v`."""

    found: set[str] = field(default_factory=set)

    def say(self, text: str, inside: int = 0) -> None:
        self.out.statement(text, 16 + inside)

    def returned(self, factor: ir.Factor, method: Method) -> str:
        """The parameters; those of the inner of two loops, of w[j] for x[i, j], at all copies of the factor: where
        they stand between these is lost in their shape."""
        for name in method.reads:
            self.let(name)
        call = self.call(method, "").removeprefix(" = ")
        scopes = self.plan.scopes
        level, scope = scopes.ordered({*scopes.union(method.reads), *method.copies}), scopes[factor.id]
        if level == scope[: len(level)]:
            return call if len(method.free) > 1 else f"({call},)"
        names = [self.named.locals.new(f"{factor.side}_{factor.id}_{n}") for n in parameter_names(factor)]
        self.say(f"{', '.join(names)} = {call}")
        return tuple_of(
            name if free else self.raised(name, level, scope) for name, free in zip(names, method.free, strict=True)
        )

    def level(self, scope: Scope) -> str:
        """The variable of a level, found when it is first used."""
        known = scope in self.levels
        name = "at_" + "_".join(scope)
        self.levels.setdefault(scope, name)
        if not known:
            self.say(f'{name} = batch.levels["{" ".join(scope)}"]')
        return name

    def value(self, name: str, soft: bool = False) -> str:
        """The variable of a node or let, from `v` when it is first read."""
        target = self.named.values[name]
        if name in self.found or ("let", name) in self.lets:
            return target
        self.found.add(name)
        node = self.model.node(name)
        value, kind = _weights(self, node, f'v["{name}"]'), node.type
        if kind.partial:
            target, value = (
                f"{target}, {self.named.derived['present', name]}",
                f'present_cells(self.NODES["{name}"], {value})',
            )
        self.say(f"{target} = {value}")
        return self.named.values[name]
