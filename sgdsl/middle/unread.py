"""A model with loops comes in; notes on the independences that a written q assumes and the posterior lacks go out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from sgdsl.base.diagnostics import Diagnostic
from sgdsl.middle import ir
from sgdsl.middle.copies import Copies
from sgdsl.middle.folding import Blankets, moved, relative
from sgdsl.middle.readings import At, Beyond, Crossed, Every, Near, Only, Reader, Reading
from sgdsl.middle.separation import add_ancestors, blanket
from sgdsl.middle.singles import Places, Singles

LISTED = 4  # missing parents with their reasons in one note


def remarks(model: ir.Model) -> tuple[Diagnostic, ...]:
    """N0501 for each written factor of q with a copy that does not read all it depends on, as in faithful.remarks."""
    singles = Singles(model, Copies(model))
    missing = _missing(singles)
    found = []
    for factor in (f for f in model.q if f.made is None):
        unread = {p: missing[p] for p in _copies(factor, singles) if missing.get(p)}
        if unread:
            node = model.node(factor.node)
            blankets = {singles.of[name].places: why for name, why in unread.items()}
            found.append(_Note(singles, factor, node, blankets).diagnostic())
    return tuple(found)


def _copies(factor: ir.Factor, singles: Singles) -> Iterator[str]:
    node = singles.model.node(factor.node)
    ends = []
    for where, r in zip(factor.place, node.axes, strict=True):
        short = singles.copies.axes[r.axis].short
        ends.append([short[where]] if isinstance(where, int) else range(short[where.first], short[where.last] + 1))
    for places in product(*ends):
        yield singles.name(node, places)


def _missing(singles: Singles) -> dict[str, dict[str, str]]:
    """What each copy depends on and does not read, given what is drawn before it; how many copies there are does not count."""
    model, of = singles.model, singles.of
    made = {f.node for f in model.q if f.made is not None}
    counts = {(a.count, a.name) for a in model.axes if a.count}
    place = {n.name: (n.name not in made, i) for i, n in enumerate(model.nodes)}
    known = dict.fromkeys(singles.known())
    ancestral: set[str] = set()
    add_ancestors(singles.p, known, ancestral)
    found = {}
    for copy in singles.q.order(lambda v: (*place[of[v].node.name], of[v].places)):
        if copy in known:
            continue
        add_ancestors(singles.p, (copy,), ancestral)
        why = blanket(singles.p, copy, known.keys(), ancestral)
        mine = {r.axis for r in of[copy].node.axes}
        theirs = {v: {r.axis for r in of[v].node.axes} for v in why}
        found[copy] = {
            v: w for v, w in why.items()
            if not singles.q.has_edge(v, copy)
            and not any((v, a) in counts for a in mine) and not any((copy, a) in counts for a in theirs[v])
        }  # fmt: skip
        known[copy] = None
    return found


def right_side(factor: ir.Factor) -> str:
    """As written where further parents reach its network unasked; else left open."""
    trunk = factor.trunk
    reads = tuple(i.name for i in trunk.inputs if isinstance(i, ir.Ref)) if trunk else ()
    sources = (ir.Head, ir.Default)
    grows = (
        trunk is not None and reads == factor.given and all(isinstance(p.source, sources) for p in factor.parameters)
    )
    return factor.text.split(" = ", 1)[1] if grows and "norm = batch" not in factor.text else "…"


@dataclass(frozen=True, slots=True)
class _Note:
    """What a factor does not read, for each of its copies that should."""

    singles: Singles
    factor: ir.Factor
    node: ir.Node
    blankets: Blankets

    def diagnostic(self) -> Diagnostic:
        found = self._readings()
        names = ", ".join(self._name(r, quoted=True) for r in found[:LISTED]) + (", …" if len(found) > LISTED else "")
        it = "it" if len(found) == 1 and not any(isinstance(a, Beyond | Every) for a in found[0].at) else "them"
        return Diagnostic(
            "N0501", f"in the posterior `{self._own()}` depends on {names}, and this factor does not read {it}",
            self.factor.span, "assumes independence",
            notes=tuple(f"{self._name(r)}: {self._why(r)}" for r in found[:LISTED]), hint=self._hint(found), severity="note",
        )  # fmt: skip

    def _readings(self) -> list[Reading]:
        of = self.singles.of
        pairs: dict[str, list[tuple[Places, Places]]] = {}
        for places, why in self.blankets.items():
            for name in why:
                pairs.setdefault(of[name].node.name, []).append((places, of[name].places))
        reader = Reader(self.singles, self.node, tuple(self.blankets))
        found = []
        for node in (n for n in self.singles.model.nodes if n.name in pairs):
            try:
                found += reader.readings(node, pairs[node.name])
            except Crossed:
                found.append(Reading(node, tuple(Every(r.axis, "stack") for r in node.axes)))
        return found

    def _own(self) -> str:
        index = [str(p) if isinstance(p, int) else p.axis for p in self.factor.place]
        return f"{self.node.name}[{', '.join(index)}]" if index else self.node.name

    def _name(self, reading: Reading, quoted: bool = False) -> str:
        """`z[t - 1]`; what is summed up by its next copy, and words."""
        mark = "`" if quoted else ""
        index = ", ".join(self._index(at) for at in reading.at)
        beyond = next((at for at in reading.at if isinstance(at, Beyond)), None)
        more = "" if beyond is None else " and later" if beyond.later else " and earlier"
        return f"{mark}{reading.node.name}[{index}]{mark}{more}" if index else f"{mark}{reading.node.name}{mark}"

    def _index(self, at: At) -> str:
        match at:
            case Near(axis, offset) | Beyond(axis, _, offset):
                i = [r.axis for r in self.node.axes].index(axis)
                where = self.factor.place[i]
                return str(where + offset) if isinstance(where, int) else moved(axis, offset)
            case Only(axis, place):
                return str(self.singles.copies.axes[axis].place[place])
            case _:
                return "*"

    def _why(self, reading: Reading) -> str:
        """The reason of the copy in the middle that does not read it."""
        reader = Reader(self.singles, self.node, tuple(self.blankets))
        copies = [p for p, why in self.blankets.items() if any(c in why for c in reader.covered(reading, p))]
        places = copies[len(copies) // 2]
        why = self.blankets[places]
        name = next(c for c in reader.covered(reading, places) if c in why)
        loops = zip(self.factor.place, self.node.axes, places, strict=True)
        return relative(why[name], {r.axis: p for where, r, p in loops if isinstance(where, ir.Range)}, self.singles)

    def _hint(self, readings: Sequence[Reading]) -> str:
        """The line to write, where it can name all; else the ways out."""
        if any(isinstance(a, Beyond) for r in readings for a in r.at) or not all(map(self._everywhere, readings)):
            return (
                "to assume less, leave q of this node out: the compiler makes one, and `sgdsl explain` shows its lines"
            )
        head = self.factor.text.split(") = ", 1)[0]
        more = ", ".join(self._name(r) for r in readings)
        return (
            f"to assume less, write `{head}{', ' if self.factor.given else ' | '}{more}) = {right_side(self.factor)}`"
        )

    def _everywhere(self, reading: Reading) -> bool:
        """Whether every copy of the factor can name it."""
        for at, r in zip(reading.at, reading.node.axes, strict=True):
            if isinstance(at, Near):
                i = [s.axis for s in self.node.axes].index(at.axis)
                where = self.factor.place[i]
                first, last = (where, where) if isinstance(where, int) else (where.first, where.last)
                if not (r.first <= first + at.offset and last + at.offset <= r.last):
                    return False
        return True
