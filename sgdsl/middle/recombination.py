"""Groups of weights: the graph of q and the factors of log w come in; which draws carry a weight of their own, and what
must be evaluated on draws recombined by group, go out (docs/objective.md, section 2).

Which groups a row has depends on its labels and is found at run time; what is decided here holds for every pattern. The
carriers of a value are the weighed draws that it depends on, up to the next weighed one. Carriers are together when no
pattern of labels ever puts them into two groups. What reads carriers that are not together is late. So is what reads carriers
and draws that have none, where it would be moved as one: those draws are read elsewhere too, as they stand.

A name in a loop stands for the reader's own copy, where each copy is a group of its own (middle/plates.py); what reads others
than its own is late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sgdsl.middle import ir
from sgdsl.middle.elimination import Key, Message, Product, Scope, is_upto
from sgdsl.middle.graphs import Graphs
from sgdsl.middle.kin import Kin, Names, kin_of
from sgdsl.middle.plates import Readings, blocks, expand, readings, tied_by, ties


@dataclass(frozen=True, slots=True)
class Recombination:
    """`weighed`: the drawn nodes that labels may weigh, in q's order; `above`: the carriers that each reads; `joins`: the
    carriers of each factor of log w, which are one group wherever they are weighed; `carriers`: of the value of every
    node and let; `late`: nodes and lets that are computed after recombination; `free`: values that vary and have no carriers;
    `late_terms`: factors of p that only their shares put after recombination; `sums`: the carriers of each message,
    `late_sums`: those that are late, `free_sums`: those that read free values; `kin`: which carriers are together; `loops`: of
    each weighed draw those whose copies are groups of their own; `units`: the factors of log w, of rows and of copies."""

    weighed: Names
    above: Mapping[str, Names]
    joins: tuple[Names, ...]
    messages: Mapping[str, Message] = field(repr=False)
    reads: Mapping[tuple[ir.Side, str], Names] = field(repr=False)
    kin: Kin = field(repr=False)
    loops: Mapping[str, Scope] = field(default_factory=dict)
    units: tuple[tuple[Key, Scope], ...] = field(default=(), repr=False)
    carriers: dict[str, Names] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)
    late_terms: set[str] = field(default_factory=set)
    sums: dict[str, Names] = field(default_factory=dict, repr=False)
    late_sums: set[str] = field(default_factory=set, repr=False)
    free_sums: set[str] = field(default_factory=set, repr=False)

    def union(self, names: Iterable[str]) -> Names:
        """The carriers of some values together, in q's order."""
        return self.ordered(c for name in names for c in self.carriers.get(name, ()))

    def term(self, side: ir.Side, node: str) -> Names:
        """The carriers of a factor."""
        return self.union((node, *self.reads[side, node]))

    def block(self, carriers: Names) -> Scope:
        """The loops whose copies are groups of their own, of carriers that are together."""
        return self.loops.get(carriers[0], ()) if carriers else ()

    def is_late(self, side: ir.Side, node: str) -> bool:
        """Whether a factor is evaluated on recombined draws."""
        names = (node, *self.reads[side, node])
        if any(n in self.late for n in names) or not self.together(self.union(names)):
            return True
        return self.mixed(names) if side == "q" else node in self.late_terms

    def carried(self, side: ir.Side, node: str, keys: Iterable[Key]) -> Names | None:
        """What a factor and the log-factors of its shares read; None where they are recombined."""
        keys = tuple(keys)
        carriers = self.ordered((*self.term(side, node), *(c for key in keys for c in self.key(key))))
        late = self.is_late(side, node) or any(self.late_key(key) for key in keys)
        return None if late or not self.together(carriers) else carriers

    def mixed(self, names: Iterable[str]) -> bool:
        """Whether some of these values have carriers, and others vary without any."""
        read = set(names)
        return bool(self.union(read)) and not self.free.isdisjoint(read)

    def product(self, product: Product) -> Names:
        """The carriers of a log-product."""
        return self.ordered(c for key, _ in product.factors for c in self.key(key))

    def key(self, key: Key) -> Names:
        """The carriers of a log-factor."""
        return self.sums[key.node] if key.kind == "message" else self.term("q", key.node)

    def late_key(self, key: Key) -> bool:
        """Whether a log-factor is made of recombined draws."""
        return key.node in self.late_sums if key.kind == "message" else self.is_late("q", key.node)

    def _reads_free(self, key: Key) -> bool:
        """The known part of a label's log q does not vary with the label."""
        if key.kind == "message":
            return key.node in self.free_sums
        own = () if key.kind == "label" else (key.node,)
        return not self.free.isdisjoint((*own, *self.reads["q", key.node]))

    def together(self, carriers: Names) -> bool:
        """Whether every pair is in one group wherever both are weighed."""
        return self.kin.together(carriers)

    def ordered(self, names: Iterable[str]) -> Names:
        """Weighed nodes in q's order."""
        return self.kin.ordered(names)

    def add_up(self) -> None:
        """What messages read, each after those it is made of. Of labels up to each value of k nothing that bears on a value: they
        are known in rows that know k."""
        for name, message in self.messages.items():
            self.sums[name] = () if is_upto(message) else self.product(message.product)

    def find_late_sums(self) -> None:
        """The messages that are made of recombined draws, and those that read free values."""
        self.add_up()
        for name, message in self.messages.items():
            keys = [key for key, _ in message.product.factors if not is_upto(message)]
            if any(map(self._reads_free, keys)):
                self.free_sums.add(name)
            apart = not self.together(self.sums[name]) or (bool(self.sums[name]) and name in self.free_sums)
            if apart or any(map(self.late_key, keys)):
                self.late_sums.add(name)


def recombination(
    model: ir.Model,
    graphs: Graphs,
    draws: Names,
    drawn: Iterable[str],
    log_w: Product,
    messages: Mapping[str, Message],
    ranges: Iterable[str] = (),
) -> Recombination | None:
    """None where every pattern of labels has one group at most. `drawn`: the nodes that vary from sample to sample; `ranges`:
    those of loops."""
    varying = set(drawn)
    weighed = weighed_draws(model, graphs, draws, varying)
    if len(weighed) < 2 and not any(model.node(v).axes for v in weighed):
        return None
    found = _ungrouped(model, graphs, draws, weighed, varying, messages)
    units = expand(log_w, messages, ranges)
    joins = tuple(dict.fromkeys(found.key(key) for key, _ in units if len(found.key(key)) > 1))
    kin = kin_of(model, weighed, found.above, joins)
    read = _readings(model, draws, weighed, varying)
    loops = blocks(model, weighed, ties(read, weighed, units, messages)) if model.axes else {}
    if kin.together(weighed) and not any(loops.values()):
        return None
    made = replace(found, joins=joins, kin=kin, loops=loops, units=units, sums={})
    _find_late(made, model, graphs, draws, read)
    made.find_late_sums()
    return made


def weighed_draws(model: ir.Model, graphs: Graphs, draws: Names, drawn: Collection[str]) -> Names:
    """The drawn nodes that labels may weigh, in q's order."""
    supervised = [n.name for n in model.nodes if n.role == "supervised"]
    above_labels = graphs.q.ancestors(*supervised)
    return tuple(v for v in draws if v in above_labels and v in drawn)


def _readings(model: ir.Model, draws: Names, weighed: Names, drawn: Collection[str]) -> Readings:
    passing = (v for v in draws if v in drawn or model.factor("q", v).family == "Delta")
    return readings(model, draws, weighed, passing)


def copies_tied(
    model: ir.Model,
    graphs: Graphs,
    draws: Names,
    drawn: Collection[str],
    log_w: Product,
    messages: Mapping[str, Message],
) -> dict[str, str]:
    """Of each weighed draw in a loop whose copies are not all groups of their own what ties them: a factor of q, by its node or
    piece, or a node whose values are summed over."""
    weighed = weighed_draws(model, graphs, draws, drawn)
    read = _readings(model, draws, weighed, drawn)
    ranges = {r.name for v in weighed for r in model.node(v).axes}
    tied = ties(read, weighed, expand(log_w, messages, ranges), messages)
    loops = blocks(model, weighed, tied)
    return {v: tied_by(model, v, tied) for v in weighed if len(loops[v]) < len(model.node(v).axes)}


def _ungrouped(
    model: ir.Model, graphs: Graphs, draws: Names, weighed: Names, varying: set[str], messages: Mapping[str, Message]
) -> Recombination:
    """The carriers of what labels may weigh, of labels and of lets, where nothing is late."""
    reads: dict[tuple[ir.Side, str], Names] = {(f.side, f.id): f.given for f in model.p}
    for f in model.q:  # the pieces of a node's copies are inferred together
        given = tuple(dict.fromkeys(g for piece in model.pieces("q", f.node) for g in piece.given))
        reads["q", f.id] = reads["q", f.node] = given
    carriers: dict[str, Names] = {}
    above: dict[str, Names] = {}
    kin = Kin({v: i for i, v in enumerate(weighed)})
    for name in draws:  # what labels may weigh, and labels: never late
        read = kin.ordered(v for p in graphs.parents("q", name) for v in carriers.get(p, ()))
        if name in kin.place:
            above[name], carriers[name] = read, (name,)
        elif name in varying or model.factor("q", name).family == "Delta":
            carriers[name] = read
    for let in model.lets:
        inner = graphs.lets.contracted([let.name])
        carriers[let.name] = kin.ordered(c for p in inner for c in carriers.get(p, ()))
    carriers |= {f.id: carriers.get(f.node, ()) for f in (*model.p, *model.q) if f.piece}
    found = Recombination(weighed, above, (), messages, reads, kin, carriers=carriers)
    found.add_up()
    return found


def _find_late(found: Recombination, model: ir.Model, graphs: Graphs, draws: Names, read: Readings) -> None:
    """Nodes below every label that read carriers which are not together, or carriers and values without any, or several copies
    that are groups of their own, and all below them: they carry no weight."""
    for name in draws:
        if name in found.carriers and name not in found.kin.place:
            varies = model.factor("q", name).family != "Delta"
            _place(found, name, graphs.parents("q", name), varies, _meet(found, read.reads[name]))
    for let in model.lets:
        _place(found, let.name, graphs.lets.contracted([let.name]), False, _meet(found, read.of([let.name])))
    for f in (*model.p, *model.q):
        if f.piece and (f.node in found.late or any(found.loops.get(c) for c in found.carriers[f.id])):
            found.late.add(f.id)


def _meet(found: Recombination, reading: Mapping[str, int]) -> bool:
    """Whether copies that are groups of their own are read together."""
    return any(depth < len(found.loops.get(carrier, ())) for carrier, depth in reading.items())


def _place(found: Recombination, name: str, read: Iterable[str], varies: bool, meet: bool) -> None:
    """A value that reads others is late, free, or has their carriers; `varies`: with noise of its own; `meet`: of several."""
    read = tuple(read)
    carriers = found.union(read)
    late = meet or any(n in found.late for n in read) or not found.together(carriers) or found.mixed(read)
    found.carriers[name] = () if late else carriers
    if late:
        found.late.add(name)
    elif not carriers and (varies or not found.free.isdisjoint(read)):
        found.free.add(name)
