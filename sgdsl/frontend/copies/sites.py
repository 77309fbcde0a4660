"""The statements of a file come in; all but loops, each with the loops around it, go out (E0422, E0425, E0427)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Label, Sink
from sgdsl.base.source import Span
from sgdsl.frontend import syntax
from sgdsl.frontend.constants import folded, integer
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.names import RESERVED
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.frontend.types import resolve_type

MOST_COPIES = 100_000
_FURTHEST = 10**9
_OUTSIDE = {
    syntax.Const: "const", syntax.Net: "net", syntax.Data: "data", syntax.Section: "settings", syntax.Auto: "q auto",
    syntax.ModelLine: "model",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class For:
    """One loop of the file with its bounds; `number` tells loops of one index apart; `count` as in ir.Axis, at least `least`."""

    number: int
    index: str
    first: int
    last: int
    count: str | None
    head: Span = field(compare=False)
    least: int = 0

    @property
    def copies(self) -> int:
        return self.last - self.first + 1


Loops = tuple[For, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A statement and its loops, from outside in."""

    statement: syntax.Statement
    loops: Loops


@dataclass(slots=True)
class _Walk:
    consts: Constants
    names: Mapping[str, syntax.Statement]
    sink: Sink
    numbers: int = 0
    hidden: set[str] = field(default_factory=set)

    def sites(self, statements: Sequence[syntax.Statement], loops: Loops) -> Iterator[Site]:
        for statement in statements:
            if isinstance(statement, syntax.Loop):
                try:
                    inner = self._loop(statement, loops)
                except Refused as refused:
                    report(self.sink, refused)
                    continue
                yield from self.sites(statement.body, (*loops, inner))
            elif loops and type(statement) in _OUTSIDE:
                report(self.sink, _stands_outside(statement))
            else:
                yield Site(statement, loops)

    def _loop(self, loop: syntax.Loop, around: Loops) -> For:
        """Raises Refused: E0422, E0425, and what the bounds lack."""
        self._check_index(loop.index, around)
        first = integer(loop.low, self.consts, "the first copy", -_FURTHEST, _FURTHEST, "E0422")
        last, count, least = self._last(loop)
        if last < first:
            raise refusal("E0422", f"the range {first}..{last} is empty", loop.low.span.to(loop.high.span), "no copies",
                          hint="a range counts up, both ends in it: `1..3` is 1, 2, 3")  # fmt: skip
        if last - first >= MOST_COPIES:
            raise refusal("E0422", f"a loop of {last - first + 1:,} copies is too long", loop.low.span.to(loop.high.span),
                          f"more than {MOST_COPIES:,}")  # fmt: skip
        self.numbers += 1
        return For(self.numbers, loop.index.text, first, last, count, loop.head, least)

    def _check_index(self, index: syntax.Name, around: Loops) -> None:
        outer = next((f for f in around if f.index == index.text), None)
        if outer is not None:
            raise refusal("E0425", f"the index `{index.text}` is that of the loop around it", index.span, "again",
                          labels=[Label(outer.head, "the outer loop")], hint="an inner loop has an index of its own")  # fmt: skip
        taken = self.names.get(index.text)
        if index.text in self.hidden:
            raise Refused()
        if taken is not None or index.text in RESERVED:
            self.hidden.add(index.text)
        if isinstance(taken, syntax.Const | syntax.Var | syntax.Let | syntax.Net):
            raise refusal("E0425", f"the index `{index.text}` hides another name", index.span, "taken",
                          labels=[Label(taken.name.span, "declared here")], hint="choose another index")  # fmt: skip
        if index.text in RESERVED:
            raise refusal("E0425", f"the index `{index.text}` hides a word of the language", index.span, "reserved",
                          hint="choose another index")  # fmt: skip

    def _last(self, loop: syntax.Loop) -> tuple[int, str | None, int]:
        """The last copy, and the count node that says how many there are, with its least value."""
        high = loop.high
        if isinstance(high, syntax.Name) and high.text not in self.consts:
            found = self.names.get(high.text)
            if isinstance(found, syntax.Var):
                least, most = self._counted(high, found)
                return most, high.text, least
        if folded(high, self.consts) is None:
            raise refusal("E0422", "the end of a range is a number known at compile time, or a count node", high.span,
                          "neither", hint="declare `const N = 5`, or `latent k : count(1, 3)` outside the loop")  # fmt: skip
        return integer(high, self.consts, "the last copy", -_FURTHEST, _FURTHEST, "E0422"), None, 0

    def _counted(self, high: syntax.Name, node: syntax.Var) -> tuple[int, int]:
        here = [Label(node.name.span, "declared here")]
        if node.name.index or high.index:
            raise refusal("E0422", f"`{high.text}` is in a loop: a count of copies stands outside of all loops", high.span,
                          "has copies itself", labels=here)  # fmt: skip
        kind = resolve_type(node.type, self.consts)
        if kind.support != "range" or kind.shape:
            raise refusal("E0422", f"`{high.text}` is {kind}: only a count(a, b) says how many copies there are", high.span,
                          "no count(a, b)", labels=here, hint=f"declare `{node.role} {high.text} : count(1, 3)`")  # fmt: skip
        return kind.sizes[0], kind.sizes[1]


def sites(statements: Sequence[syntax.Statement], consts: Constants, sink: Sink) -> list[Site]:
    """Every statement but the loops themselves, in the order of the file."""
    names: dict[str, syntax.Statement] = {}
    for statement in _everything(statements):
        if isinstance(statement, syntax.Const | syntax.Var | syntax.Let | syntax.Net):
            names.setdefault(statement.name.text, statement)
    return list(_Walk(consts, names, sink).sites(statements, ()))


def _everything(statements: Sequence[syntax.Statement]) -> Iterator[syntax.Statement]:
    for statement in statements:
        yield statement
        if isinstance(statement, syntax.Loop):
            yield from _everything(statement.body)


def _stands_outside(statement: syntax.Statement) -> Refused:
    what = _OUTSIDE[type(statement)]
    hint = "uses of one net share its weights; `mlp(64)[i]` has weights for each copy" if what == "net" else (
        "move it out of the loop")  # fmt: skip
    return refusal("E0427", f"`{what}` stands outside of all loops", statement.span, "in a loop", hint=hint)
