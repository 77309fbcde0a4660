"""Values in a step: the plan comes in, statements that make each node's and let's value when it is first read go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sgdsl.backend.copies import read_copies
from sgdsl.backend.methods import Method
from sgdsl.backend.names import Named, word
from sgdsl.backend.writer import WIDTH, Writer, quoted
from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Message, Scope
from sgdsl.middle.graphs import let_reads
from sgdsl.middle.plan import Plan, Term

INDENT = 8


@dataclass(slots=True)
class Valued:
    """The values of nodes and lets, each at its level and made once. `methods[(kind, name)]`, kind p, q or let."""

    model: ir.Model
    plan: Plan
    named: Named
    methods: Mapping[tuple[str, str], Method]
    out: Writer
    made: dict[tuple[str, Scope], str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)  # recombined values
    levels: dict[Scope, str] = field(default_factory=dict)
    factors: dict[Key, str] = field(default_factory=dict)
    rests: dict[str, str] = field(default_factory=dict)  # log mass of the classes of which one is sampled
    inferred: dict[str, list[str]] = field(default_factory=dict)  # q's parameters of closed nodes
    late: bool = False  # after recombination
    view: Callable[[str], str] | None = None  # how a statement reads values, where not as they are (backend/doubly.py)
    carried: tuple[frozenset[str], ...] = ()  # what is computed copy by copy (backend/sequence.py)
    sequence: Callable[..., dict[str, list[str]]] | None = None
    shares: dict[tuple[str, str], str] = field(default_factory=dict)  # of nodes alone, by kind
    run: set[frozenset[str]] = field(default_factory=set)
    kept: dict[str, list[str]] = field(default_factory=dict)  # the parameters of q that sequences leave
    paths: dict[tuple[str, tuple[tuple[Key, Scope], ...]], str] = field(default_factory=dict)  # sums along chains
    messages: dict[str, Message] = field(init=False)
    lets: frozenset[tuple[str, str]] = field(init=False)
    terms: dict[tuple[str, str], Term] = field(init=False)

    def __post_init__(self) -> None:
        self.messages = {m.name: m for m in self.plan.messages}
        self.terms = {(t.side, t.node): t for t in self.plan.terms}
        self.lets = frozenset(("let", let.name) for let in self.model.lets)

    def say(self, text: str, inside: int = 0) -> None:
        self.out.statement(text, INDENT + inside)

    # --- levels -----------------------------------------------------------------------------------------------

    def level(self, scope: Scope) -> str:
        """The variable of a level."""
        if scope not in self.levels:
            self.levels[scope] = self.named.locals.new("at_" + "_".join(scope))
        return self.levels[scope]

    def index(self, scope: Scope, of: Scope) -> str:
        """The index that lifts from one level to another."""
        return f'{self.level(scope)}.index["{" ".join(of)}"]' if of else f"{self.level(scope)}.row"

    def raised(self, text: str, of: Scope, scope: Scope) -> str:
        """A value at level `of` as one at `scope`; lifted once."""
        if of == scope:
            return text
        if (text, scope) not in self.made:
            call = f"{self.level(scope)}.up({text}{', ' + repr_scope(of) if of else ''})"
            if not text.isidentifier():
                return call
            name = self.named.locals.new(f"{text}_{self.level(scope)}")
            self.say(f"{name} = {call}")
            self.made[text, scope] = name
        return self.made[text, scope]

    def loops(self, name: str) -> Scope:
        """The level of a node's own copies, where its mask stands."""
        return tuple(r.name for r in self.model.valued(name).axes)

    def known(self, node: str, scope: Scope) -> str:
        """The mask of a supervised node, or of a piece of it, at a level."""
        name, own = self.named.derived["known", node], self.loops(node)
        if scope == own:
            return name
        if (name, scope) not in self.made:
            self.made[name, scope] = self.named.locals.new(f"{name}_{self.level(scope)}")
            self.say(f"{self.made[name, scope]} = {name}[{self.index(scope, own)}]")
        return self.made[name, scope]

    def chained(self, name: str) -> bool:
        """The values of copies of a chain as a reader lists them; whether it is a chain's."""
        reading = next((c.of[name] for c in self.plan.scopes.chains.values() if name in c.of), None)
        if reading is not None:
            self.made[name, ()] = value = self.named.values[name]
            self.say(f"{value} = {self.level(self.plan.scopes[name])}.values[{quoted(reading)}]")
        return reading is not None

    def piece(self, factor: ir.Factor) -> None:
        """The values of the copies that a factor is of, from those of all copies of its node; once."""
        name = factor.id
        if (name, ()) in self.made or self.chained(name):
            return
        self.made[name, ()] = self.named.values[name]
        view = f'batch.views["{name}"]'
        self.say(f"{self.named.values[name]} = viewed({view}, {self.value(factor.node)})")
        if self.model.node(name).type.partial:
            present = self.named.derived["present", factor.node]
            self.say(f"{self.named.derived['present', name]} = viewed({view}, {present})")

    # --- recombined draws -------------------------------------------------------------------------------------

    def value(self, name: str, soft: bool = False) -> str:
        """The variable of a node or let, or of a relaxed node's probabilities, recombined where the statement is late and
        the value is not."""
        if self.view:
            return self.view(name)
        text, groups = self.named.derived["soft", name] if soft else self.named.values[name], self.plan.groups
        if not self.late or groups is None or name in groups.late:
            return text
        return self.recombined(text, groups.carriers.get(name, ()), self.plan.scopes[name])

    def recombined(self, text: str, carriers: Sequence[str], scope: Scope) -> str:
        """A value of a level at its group's sample of each recombination, made once."""
        if not carriers:
            return text
        if text not in self.again:
            assert self.plan.groups is not None
            own = self.plan.groups.block(tuple(carriers))
            row = f", row={self.index(scope, own)}" if scope != own else ""
            name = self.named.locals.new(f"{text}_recombined")
            self.say(f"{name} = weights.recombine({text}, {', '.join(map(quoted, carriers))}{row})")
            self.again[text] = name
        return self.again[text]

    def is_late(self, side: ir.Side, node: str) -> bool:
        """Whether a factor is evaluated on recombined draws."""
        return self.plan.groups is not None and self.plan.groups.is_late(side, node)

    # --- values and parameters --------------------------------------------------------------------------------

    def start(self) -> None:
        self.say("samples, rows, alpha = self.samples, batch.rows, self.alpha")
        for scope in self.plan.levels:
            text = f'{self.level(scope)} = batch.levels["{" ".join(scope)}"]'
            columns = f"  # (row, {', '.join(scope)})"
            self.say(text + columns if len(text + columns) <= WIDTH - INDENT else text)
        for node in self.model.nodes:
            if node.role in ("observed", "given"):
                self.say(f'{self.named.values[node.name]} = batch.values["{node.name}"]')
                if node.type.partial:
                    self.say(f'{self.named.derived["present", node.name]} = batch.present["{node.name}"]')
            elif node.role == "supervised":
                known = self.named.derived["known", node.name]
                self.say(f'{known} = batch.known["{node.name}"]')
                for name in (f.id for f in self.model.pieces("q", node.name) if f.piece):
                    self.say(f'{self.named.derived["known", name]} = {known}[batch.views["{name}"]]')

    def call(self, method: Method, target: str, detached: bool = False, owner: str = "self") -> str:
        """A call of a factor's or let's method; `detached`: no gradient reaches its inputs; `owner`: whose weights."""
        for name in method.reads:
            self.let(name)
        args = [self.value(n) + ".detach()" * detached for n in method.reads]
        args += [self.named.derived["present", n] for n in method.partial]
        level = self.plan.scopes.ordered({*self.plan.scopes.union(method.reads), *method.copies})
        args += [f"{self.named.derived['copy', r]}={self.by_copy(r, level)}" for r in method.copies]
        below = [(n, at) for n in method.lifts if (at := self.plan.scopes[n]) != level and not self.is_free(n)]
        args += [f"{self.named.derived['up', n]}={self.index(level, scope)}" for n, scope in below]
        return f"{target} = {owner}.{method.name}({', '.join(args)})"

    def by_copy(self, name: str, scope: Scope) -> str:
        """The variable of what tells the copies of a range apart at a level, made when first needed."""
        key = (f"copy {name}", scope)
        if key not in self.made:
            copies = self.plan.scopes.ranges[name].copies
            self.made[key] = self.named.locals.new(f"by_{word(name)}")
            level = self.level(scope)
            self.say(f'{self.made[key]} = by_copy({level}.copy["{name}"], {copies}, {level}.most["{name}"])')
        return self.made[key]

    def let(self, name: str) -> None:
        """Compute a let, once, when it is first read."""
        if (name, ()) in self.made or self.view is not None or ("let", name) not in self.lets:
            return
        outer, self.late = self.late, self.plan.groups is not None and name in self.plan.groups.late
        if not self.carry(name) or (name, ()) not in self.made:
            self.made[name, ()] = self.named.values[name]
            if ("let", name) in self.methods:
                self.say(self.call(self.methods["let", name], self.named.values[name]))
            else:
                self.copies(self.model.let(name))
        self.late = outer

    def carry(self, name: str) -> bool:
        """Whether a node or let is computed copy by copy; its loop is emitted when the first of its members is needed."""
        members = next((m for m in self.carried if name in m), None)
        if members is not None and members not in self.run:
            self.run.add(members)
            assert self.sequence is not None
            self.kept |= self.sequence(self, members)
        return members is not None

    def sequenced(self, factor: ir.Factor, scope: Scope, lifted: bool) -> list[str]:
        """The parameters that a sequence left for a factor, at a level or where its method computes them."""
        method = self.methods[factor.side, factor.id]
        return [
            name if free or not lifted or not method.name else self.raised(name, method.level, scope)
            for name, free in zip(self.kept[factor.id], method.free, strict=True)
        ]

    def copies(self, let: ir.Let) -> None:
        """A let that reads other copies, and its mask."""
        if self.chained(let.name):
            return
        scope, names = self.plan.scopes[let.name], let_reads(let)
        for name in names:
            self.let(name)
        values = [self.whole(name) for name in names]
        at = self.level(scope) if scope else ""
        self.say(f"{self.named.values[let.name]} = {read_copies(let, values, at)}")
        if let.type.partial:
            masks = [self.named.derived["present", name] for name in names]
            self.say(f"{self.named.derived['present', let.name]} = {read_copies(let, masks, at)}")

    def whole_of(self, node: str, pieces: Sequence[str]) -> None:
        """The value of all copies of a node from its pieces; of a chain where they are listed."""
        if (node, ()) not in self.made:
            self.made[node, ()] = self.named.values[node]
            text = f'viewed(batch.views["{node}"], {", ".join(self.named.values[name] for name in pieces)})'
            listed = node in self.plan.scopes.chains
            text = f"{self.level(self.plan.scopes[node])}.values[{quoted(node)}]" if listed else text
            self.say(f"{self.named.values[node]} = {text}")

    def is_free(self, name: str) -> bool:
        """Whether a let depends on no input: it has one entry at any level, and is read as it is."""
        method = self.methods.get(("let", name))
        return method is not None and not method.copies and all(map(self.is_free, method.reads))

    def whole(self, name: str) -> str:
        """A value at every entry of its level, also where it depends on no input."""
        value, scope = self.value(name), self.plan.scopes[name]
        entries = f"{self.level(scope)}.entries" if scope else "rows"
        return f"on_entries({value}, {entries})" if self.is_free(name) else value


def repr_scope(scope: Scope) -> str:
    return quoted(" ".join(scope))
