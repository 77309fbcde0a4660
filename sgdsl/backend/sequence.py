"""Sequences in a step: nodes and lets whose copies need one another come in; a loop that makes values and q's parameters goes
out. All densities stay outside."""

from __future__ import annotations

from dataclasses import dataclass, field

from sgdsl.backend import calls
from sgdsl.backend.ahead import Parts, parts_ahead
from sgdsl.backend.infer import drawn_text, label_text
from sgdsl.backend.methods import Method
from sgdsl.backend.places import T, guarded
from sgdsl.backend.step import Step, repr_scope
from sgdsl.middle import ir
from sgdsl.middle.digraph import digraph
from sgdsl.middle.elimination import Scope
from sgdsl.middle.turns import directions, is_view, near, reads


def run_copies(step: Step, members: frozenset[str]) -> dict[str, list[str]]:
    """The loop, and the values of all copies behind it; the parameters of each factor of q."""
    found = Loop(step, members)
    found.prepare()
    found.emit()
    return found.gather()


@dataclass(slots=True)
class Loop:
    """`order`: nodes and lets as one copy computes them, from the place `first` to `last`; `each`: what holds copies by place."""

    step: Step
    members: frozenset[str]
    side: ir.Side = "q"
    order: tuple[str, ...] = ()
    first: int = 0
    last: int = 0
    each: dict[str, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    ahead: Parts = field(default_factory=dict)
    splits: dict[str, str] = field(
        default_factory=dict
    )  # values from outside by copy: how each is made, where it is read
    read: set[str] = field(default_factory=set)
    stored: dict[str, list[str]] = field(default_factory=dict)  # parameters of a factor, as they are kept

    def __post_init__(self) -> None:
        model = self.step.model
        own = [v for v in model.values if v.name in self.members and not is_view(v)]
        place = {v.name: i for i, v in enumerate(own)}
        edges = [(r, v.name) for v in own for r in near(model, self.side, v) if r in place]
        self.order = digraph(place, edges).order(place.__getitem__)
        ranges = [v.axes[-1] for v in own]
        self.first, self.last = min(r.first for r in ranges), max(r.last for r in ranges)

    # --- names ------------------------------------------------------------------------------------------------

    def at(self, name: str, place: str = T) -> str:
        """The variable of a member's copy at a place."""
        return f"{self._kept(self.step.named.values[name])}[{place}]"

    def _kept(self, variable: str) -> str:
        if variable not in self.each:
            self.each[variable] = self.step.named.locals.new(f"{variable}_at")
        return self.each[variable]

    def outer(self, scope: Scope) -> Scope:
        """A scope without the loop's own range."""
        return tuple(n for n in scope if n not in self._own_ranges())

    def _own_ranges(self) -> set[str]:
        axis = self.step.model.valued(self.order[0]).axes[-1].axis
        return {name for name, r in self.step.plan.scopes.ranges.items() if r.axis == axis}

    # --- the loop ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Values from outside, split by copy, and the lets that sequences start from."""
        step = self.step
        starts: dict[str, list[str]] = {}
        read = (r for name in self.order for r in reads(step.model, self.side, step.model.valued(name)))
        for name in (r for r in read if r not in self.members):
            step.let(name)
            self._split(name)
        for let in step.model.lets:
            if let.name in self.members and isinstance(let.value, ir.View):
                for place, edge in let.value.edges:
                    step.let(edge.name)
                    source = let.value.source.name
                    scope = self.outer(step.plan.scopes[source])
                    start = step.raised(step.whole(edge.name), step.plan.scopes[edge.name], scope)
                    starts.setdefault(source, []).append(f"{place}: {start}")
        for name in self.order:
            inner = ", ".join(dict.fromkeys(starts.get(name, [])))
            step.say(f"{self._kept(step.named.values[name])}: dict[int, Tensor] = {{{inner}}}")
        nodes = (n for n in step.model.nodes if n.name in self.order)
        self.ahead = parts_ahead(step, nodes, self.members, self.each, self.outer)

    def _split(self, name: str) -> None:
        """A value of every copy as a list with one for each; it is made where the loop reads it."""
        variable = self.step.value(name)
        own = [n for n in self.step.plan.scopes[name] if n in self._own_ranges()]
        masked = self.step.model.valued(name).type.partial
        for text in (variable, *([self.step.named.derived["present", name]] if masked else [])):
            if own and text not in self.each:
                self._by_copy(text, text, self.step.plan.scopes.ranges[own[0]])

    def _by_copy(self, variable: str, text: str, r: ir.Range) -> None:
        self.each[variable] = self.step.named.locals.new(f"{variable}_each")
        self.splits[variable] = f"{self.each[variable]} = each_copy({text}, {r.first}, {r.last})"

    def _here(self, variable: str) -> str:
        """A value from outside at the place of the loop."""
        self.read.add(variable)
        return f"{self.each[variable]}[{T}]" if variable in self.each else variable

    def emit(self) -> None:
        """The loop itself."""
        step, backward = self.step, -1 in directions(self.step.model, self.side, self.members)
        for name in self.order:
            value = step.model.valued(name)
            if isinstance(value, ir.Let):
                method = step.methods["let", name]
                self.body += guarded(value.axes[-1], self.first, self.last, [f"{self.at(name)} = {self._call(method)}"])
            else:
                for factor in step.model.pieces(self.side, name):
                    at = factor.place[-1]
                    self.body += guarded(at, self.first, self.last, self._draw(factor, value))
        for text in (line for variable, line in self.splits.items() if variable in self.read):
            step.say(text)
        span = f"range({self.last}, {self.first - 1}, -1)" if backward else f"range({self.first}, {self.last + 1})"
        step.say(f"for {T} in {span}:")
        for line in self.body:
            step.say(line.lstrip(), 4 + len(line) - len(line.lstrip()))

    def _argument(self, name: str) -> str:
        """What a method reads, at the place of the loop."""
        step = self.step
        value = step.model.valued(name)
        if isinstance(value, ir.Let) and isinstance(value.value, ir.View) and name in self.members:
            lag = value.value.at[-1]
            if isinstance(lag, int):
                return self.at(value.value.source.name, str(lag))
            place = f"{T} {'-' if lag.offset < 0 else '+'} {abs(lag.offset)}" if lag.offset else T
            return self._ahead(value, lag, place) if lag.offset > 0 else self.at(value.value.source.name, place)
        if name in self.members:
            return self.at(name)
        return self._here(step.value(name))

    def _ahead(self, view: ir.Let, lag: ir.Lag, place: str) -> str:
        """A copy ahead; of a loop `1..n` a row's last copy reads what stands behind the last of all."""
        step, count = self.step, self.step.model.axis(lag.range.axis).count
        assert isinstance(view.value, ir.View)
        source = view.value.source.name
        if count is None:
            return self.at(source, place)
        scope = self.outer(step.plan.scopes[source])
        number = f"{step.value(count)}[0]" + (f"[{step.level(scope)}.row]" if scope else "")
        return f"ahead({self._kept(step.named.values[source])}, {place}, {number}, {lag.range.last})"

    def _call(self, method: Method) -> str:
        step, scopes = self.step, self.step.plan.scopes
        level = self.outer(scopes.ordered({*scopes.union(method.reads), *method.copies}))
        texts = [self.ahead.get((method.name, n)) or self._argument(n) for n in method.reads]
        masks = (step.named.derived["present", n] for n in method.partial)
        texts += [self._here(mask) for mask in masks]
        for name in method.lifts:
            below = self.outer(scopes[name])
            if below != level and not step.is_free(name):
                texts.append(f"{step.named.derived['up', name]}={step.index(level, below)}")
        texts += [f"{step.named.derived['copy', r]}={self._copy(r, level)}" for r in method.copies]
        return f"self.{method.name}({', '.join(texts)})"

    def _copy(self, name: str, level: Scope) -> str:
        """Whose weights each entry reads: of the loop's own range those of this place."""
        found, entries = self.step.plan.scopes.ranges[name], f"{self.step.level(level)}.entries" if level else "rows"
        if name not in self._own_ranges():
            return self.step.by_copy(name, level)
        return f"alone({T} - {found.first}, {found.copies}, {entries}, batch.zeros.device)"

    def _draw(self, factor: ir.Factor, node: ir.Node) -> list[str]:
        """A copy's parameters and value."""
        step, choice = self.step, self.step.plan.choices[factor.node]
        method = step.methods["q", factor.id]
        kept = self._parameters(factor, method)
        lines = [f"{', '.join(kept)} = {self._call(method)}"] if method.name else []
        scope = self.outer(step.plan.scopes[factor.node])
        if choice.name == "delta":
            return [*lines, f"{self.at(node.name)} = {kept[0]}"]
        level = self.outer(method.level)
        texts = [
            text
            if free or level == scope or not method.name
            else f"{step.level(scope)}.up({text}{', ' + repr_scope(level) if level else ''})"
            for text, free in zip(kept, method.free, strict=True)
        ]
        drawn = drawn_text(step, factor, node, texts, f"{step.level(scope)}.entries" if scope else "rows")
        if node.role == "supervised":
            known, label = self._label(node, scope)
            drawn = f"where_known({known}, {label}, {drawn})"
        return [*lines, f"{self.at(node.name)} = {drawn}"]

    def _parameters(self, factor: ir.Factor, method: Method) -> list[str]:
        """Where a copy's parameters are kept: one that depends on no input, or on one place, in a variable of its own."""
        found = self.stored[factor.id] = [] if method.name else list(method.constants)
        for name, free in zip(calls.parameter_names(factor), method.free, strict=True) if method.name else ():
            variable = self.step.named.locals.new(f"q_{factor.id}_{name}")
            if free or isinstance(factor.place[-1], int):
                found.append(variable)
            else:
                found.append(f"{self._kept(variable)}[{T}]")
                self.step.say(f"{self._kept(variable)}: dict[int, Tensor] = {{}}")
        return found

    def _label(self, node: ir.Node, scope: Scope) -> tuple[str, str]:
        """The mask and the label of one copy at the level of its draw."""
        step, r, derived = self.step, node.axes[-1], self.step.named.derived
        known, label = derived["known", node.name], derived["label", node.name]
        whole = label_text(step, node, f'batch.values["{node.name}"]')
        for variable, text in ((known, f"{known}[None]"), (label, whole)):
            if variable not in self.each:
                self._by_copy(variable, text, r)
        lift = f".index_select(1, {step.level(scope)}.row)" if scope else ""
        return f"{self._here(known)}{lift}[0]", f"{self._here(label)}{lift}"

    # --- behind the loop --------------------------------------------------------------------------------------

    def gather(self) -> dict[str, list[str]]:
        """All copies of every value as one tensor, and of the parameters."""
        step = self.step
        for name in self.order:
            r = step.model.valued(name).axes[-1]
            variable = step.made[name, ()] = step.named.values[name]
            step.say(f"{variable} = in_copies({self._kept(variable)}, {r.first}, {r.last})")
        nodes = (n for n in self.order if isinstance(step.model.valued(n), ir.Node))
        return {f.id: self._all(f) for n in nodes for f in step.model.pieces("q", n)}

    def _all(self, factor: ir.Factor) -> list[str]:
        found, at = [], factor.place[-1]
        for text in self.stored[factor.id]:
            kept = next((v for v, k in self.each.items() if text == f"{k}[{T}]"), None)
            if kept is not None:
                assert isinstance(at, ir.Range)
                self.step.say(f"{kept} = in_copies({self.each[kept]}, {at.first}, {at.last})")
            found.append(kept or text)
        return found
