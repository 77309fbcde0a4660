"""Chains: finite nodes of loops whose neighbouring copies meet in factors. The model comes in; how each reader sees their copies,
or what reads more of them than the sums along the loop can hold, goes out (docs/objective.md, section 11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sgdsl.middle import ir
from sgdsl.middle.graphs import let_reads
from sgdsl.middle.nesting import crosses, depths


@dataclass(frozen=True, slots=True)
class Reading:
    """Copies of a node as a reader sees them: `offset` places behind (-1) or before each place of `range`, or without a range the
    one copy at the place `offset`. `name` stands for its values in scopes."""

    name: str
    node: str
    range: ir.Range | None
    offset: int

    @property
    def place(self) -> ir.Lag | int:
        """Where its copies are, in the node's own loop."""
        return ir.Lag(self.range, self.offset) if self.range else self.offset

    def beside(self, other: Reading) -> bool:
        """Whether their copies are neighbours at every place."""
        return self.range == other.range and abs(self.offset - other.offset) == 1


@dataclass(frozen=True, slots=True)
class Chain:
    """A node of a loop: `readings` by name, its own copies first; `of`: the reading that a let of other copies, or one of the
    node's pieces, is; `seen`: all that may depend on it; `pairs`: the factors that read two neighbours, by side and id."""

    node: str
    readings: Mapping[str, Reading]
    of: Mapping[str, str] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    pairs: frozenset[tuple[ir.Side, str]] = frozenset()

    def meets(self, factor: ir.Factor) -> bool:
        """Whether a factor depends on it."""
        return factor.node == self.node or not self.seen.isdisjoint((factor.node, *factor.given))


def chain(model: ir.Model, node: ir.Node) -> Chain | str:
    """The chain of a node; in words what reads its copies in a way that sums along its loop cannot hold, where something does."""
    if node.type.cells != 1:
        return f"copies that are read together have {node.type.cells} cells each, and one is summed along a loop"
    if any(isinstance(f.parameters[0].source, ir.Bayes) for f in model.pieces("q", node.name)):
        return "a posterior by Bayes' rule is not summed along a loop"
    plain = [ir.Lag(r) for r in node.axes[:-1]]
    for let, view in views(model, node.name):
        if list(view.at[:-1]) != plain or view.edges:
            return together(let.name)
    found = _read(model, node)
    if counted := _counted(model, node, found):
        return counted
    seen, wrong = _seen(model, found)
    pairs, deep = set(), depths(model)
    for factor in () if wrong else (*model.p, *model.q):
        own = found.of.get(factor.id, factor.node)
        read = {r for name in (own, *factor.given) for r in seen.get(name, ())}
        if read and crosses(deep, factor.axes, node.axes):
            return together(factor.head)
        if not _side_by_side([found.readings[n] for n in read], factor, node.axes[-1].axis):
            return f"{factor.head} reads copies that are no neighbours: a sum along the loop holds a copy and the next"
        pairs |= {(factor.side, factor.id)} if len(read) == 2 else set()
    return wrong or replace(found, seen=frozenset(seen), pairs=frozenset(pairs))


def together(reader: str) -> str:
    """Why copies that a let or factor reads are not enumerated."""
    return f"{reader} reads its copies together: they have too many joint cases"


def _counted(model: ir.Model, node: ir.Node, found: Chain) -> str:
    """Why a loop `1..k` is not summed along; "" where it is: k is given, and no copy that is there reads one that is not."""
    count = model.axis(node.axes[-1].axis).count
    if not count:
        return ""
    if model.node(count).role != "given":
        return (
            f"its loop ends at `{count}`, which is not given: neighbours are summed where every row knows their number"
        )
    least = model.node(count).type.first
    read = [r for r in found.readings.values() if r.offset > (0 if r.range else least)]
    return f"{read[0].node} is read at a place that a row of few copies does not have" if read else ""


def _read(model: ir.Model, node: ir.Node) -> Chain:
    """Every way in which the copies of a node are read."""
    own = node.axes[-1]
    taken = {v.name for v in model.values} | {f.id for f in (*model.p, *model.q)}
    found = {(own.name, 0): Reading(node.name, node.name, own, 0)}
    of = {}
    for factor in (*model.p, *model.q):
        if factor.node == node.name and factor.piece:
            at = factor.place[-1]
            place = (at.name, 0) if isinstance(at, ir.Range) else ("", at)
            new = Reading(factor.id, node.name, at if isinstance(at, ir.Range) else None, place[1])
            of[factor.id] = found.setdefault(place, new).name
    for let, view in views(model, node.name):
        last = view.at[-1]
        place, r = ((last.range.name, last.offset), last.range) if isinstance(last, ir.Lag) else (("", last), None)
        if place not in found:
            name = _name(node.name, r, place[1], taken)
            taken.add(name)
            found[place] = Reading(name, node.name, r, place[1])
        of[let.name] = found[place].name
    return Chain(node.name, {r.name: r for r in found.values()}, of)


def _name(node: str, r: ir.Range | None, offset: int, taken: set[str]) -> str:
    where = r.name if r and not offset else "before" if r and offset < 0 else "after"
    name = f"{node}_{where if r else offset}"
    if name in taken and r and offset:
        name += f"_{r.name}"
    while name in taken:
        name += "_"
    return name


def views(model: ir.Model, node: str) -> Iterator[tuple[ir.Let, ir.View]]:
    """Lets that are copies of a node at other places."""
    for let in model.lets:
        if isinstance(let.value, ir.View) and let.value.source.name == node:
            yield let, let.value


def is_chained(model: ir.Model, node: ir.Node) -> bool:
    """Whether copies of a node have factors of their own, or are read at other places."""
    pieces = any(f.piece for f in (*model.p, *model.q) if f.node == node.name)
    return bool(node.axes) and (pieces or any(True for _ in views(model, node.name)))


def _seen(model: ir.Model, found: Chain) -> tuple[dict[str, set[str]], str]:
    """The readings that the value of each let and node of q depends on; what reads copies of such a value together."""
    seen: dict[str, set[str]] = {n: {n} for n in found.readings} | {let: {r} for let, r in found.of.items()}
    fixed, changed = set(seen), True
    while changed:
        changed = False
        for let in model.lets:
            if let.name not in fixed:
                read = _union(seen, let_reads(let))
                if read and isinstance(let.value, ir.View | ir.Over):
                    return seen, together(let.name)
                changed |= _grown(seen, let.name, read)
        for factor in model.q:
            if factor.node != found.node:
                read = _union(seen, factor.given)
                if read and any(f.piece for f in (*model.p, *model.q) if f.node == factor.node):
                    return (
                        seen,
                        f"`{factor.node}`, drawn from it, has several factors: its copies stand on several levels",
                    )
                changed |= _grown(seen, factor.node, read)
    return seen, ""


def _union(seen: Mapping[str, set[str]], names: Iterable[str]) -> set[str]:
    return {r for name in names for r in seen.get(name, ())}


def _grown(seen: dict[str, set[str]], name: str, more: set[str]) -> bool:
    if more <= seen.get(name, set()):
        return False
    seen[name] = seen.get(name, set()) | more
    return True


def _side_by_side(read: list[Reading], factor: ir.Factor, axis: str) -> bool:
    """Whether a factor reads one copy at each place, or two neighbours."""
    if any(r.range is None for r in read) and any(r.axis == axis for r in factor.axes):
        return False
    return len(read) < 2 or (len(read) == 2 and read[0].beside(read[1]))
