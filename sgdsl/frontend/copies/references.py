"""Expressions with indices come in; the same without, names of lets in place of copies, go out (E0420, E0421, E0424, E0429)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.networks import NETWORKS, SOURCES
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import Axes, Symbol, indexed
from sgdsl.frontend.copies.made import Made, Ranges
from sgdsl.frontend.copies.outside import no_copy
from sgdsl.frontend.copies.places import ALL, At, is_star
from sgdsl.frontend.copies.positions import check_number, places_of, title
from sgdsl.frontend.copies.sites import For, Loops
from sgdsl.frontend.copies.stars import REDUCTIONS, starred, starred_names
from sgdsl.frontend.copies.text import text
from sgdsl.frontend.copies.weights import weights
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.names import RESERVED
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


@dataclass(frozen=True, slots=True)
class Resolver:
    """`made` collects the lets; `declared`: all names of the file. Methods raise Refused."""

    symbols: Mapping[str, Symbol]
    declared: Mapping[str, syntax.Statement]
    axes: Axes
    consts: Constants
    made: Made

    def expression(self, expr: syntax.Expr, loops: Loops, stars: Ranges = ()) -> syntax.Expr:
        """`stars`: what `*` stands for inside of a reduction."""
        match expr:
            case syntax.Name():
                return self.name(expr, loops, stars)
            case syntax.Number() | syntax.Text() | syntax.Member():
                return expr
            case syntax.Unary(arg, _):
                return replace(expr, arg=self.expression(arg, loops, stars))
            case syntax.Binary(_, left, right, _) | syntax.Pipe(left, right, _):
                return replace(
                    expr, left=self.expression(left, loops, stars), right=self.expression(right, loops, stars)
                )
            case syntax.Items(items, _):
                return replace(expr, items=tuple(self.expression(i, loops, stars) for i in items))
            case syntax.Item(value, index, _):
                return replace(
                    expr, value=self.expression(value, loops), index=weights(expr, index, loops, self.axes, self.consts)
                )
            case syntax.Call():
                return self._call(expr, loops, stars)
            case syntax.Of(_, _, _, args, _):
                return replace(expr, args=tuple(replace(a, value=self.expression(a.value, loops, stars)) for a in args))
            case syntax.View() | syntax.Over() | syntax.Place():
                raise AssertionError("made here")
            case _:
                assert_never(expr)

    def name(self, name: syntax.Name, loops: Loops, stars: Ranges = ()) -> syntax.Expr:
        symbol = self.symbols.get(name.text)
        if symbol is not None:
            return self._copies(name, symbol, loops, stars) if name.index else self._bare(name, symbol, loops)
        if name.index and (name.text in NETWORKS or name.text in SOURCES):
            return syntax.Item(
                replace(name, index=()), weights(name, name.index, loops, self.axes, self.consts), name.span
            )
        if name.index:
            return self._without(name)
        loop = next((f for f in loops if f.index == name.text), None)
        if loop is None and name.text not in self.declared and name.text in {a.name for a in self.axes.axes}:
            each = f"`let e[{name.text}] = …`"
            hint = f"name it in the loop, {each}, and take `e[*]` together" if stars else "write it in the loop"
            raise refusal(
                "E0420", f"outside of its loop there is no index `{name.text}`", name.span, "no index here", hint=hint
            )
        return self.made.place(self.axes.ranges[loop.number], name.span) if loop else name

    def parent(self, name: syntax.Name, loops: Loops) -> syntax.Name:
        """A name behind the bar: there `z[*]` is all copies."""
        symbol = self.symbols.get(name.text)
        if symbol is not None and any(map(is_star, name.index)):
            return self._reduced("stack", name, name, loops)
        found = self.name(name, loops)
        assert isinstance(found, syntax.Name), "consts and networks are refused with an index"
        return found

    def _without(self, name: syntax.Name) -> syntax.Name:
        """The name alone, where it is unknown, which is found later."""
        found = self.declared.get(name.text)
        if found is None and name.text in RESERVED:
            raise refusal(
                "E0429",
                f"`{name.text}` has neither copies nor weights",
                name.span,
                "an index",
                hint=f"write `{name.text}`",
            )
        if found is None:
            return replace(name, index=())
        if isinstance(found, syntax.Net):
            raise refusal("E0429", f"`{name.text}` is a net, and its uses share weights", name.span, "weights for each copy",
                          labels=[Label(found.name.span, "declared here")],
                          hint="write the network out, `mlp(64)[i]`")  # fmt: skip
        assert isinstance(found, syntax.Const | syntax.Var | syntax.Let)
        raise refusal("E0420", f"`{name.text}` has no copies", name.span, "an index",
                      labels=[Label(found.name.span, "declared here")], hint=f"write `{name.text}`")  # fmt: skip

    def _call(self, call: syntax.Call, loops: Loops, stars: Ranges) -> syntax.Expr:
        function = call.function
        if (
            isinstance(function, syntax.Name)
            and function.text in REDUCTIONS
            and any(starred(a.value) for a in call.args)
        ):
            if len(call.args) > 1:
                raise refusal("E0424", f"`{function.text}` over copies takes one value", call.span, "several",
                              hint=f"write `{function.text}(z[*])`")  # fmt: skip
            return self._reduced(function.text, call.args[0].value, call, loops)
        options = isinstance(function, syntax.Name) and function.text in NETWORKS
        args = tuple(
            a if options and a.name else replace(a, value=self.expression(a.value, loops, stars)) for a in call.args
        )
        if not isinstance(function, syntax.Name) or function.index:
            function = self.expression(function, loops, stars)
        return replace(call, function=function, args=args)

    # --- one copy, or each of a range -------------------------------------------------------------------------

    def _copies(self, name: syntax.Name, symbol: Symbol, loops: Loops, stars: Ranges) -> syntax.Name:
        places = places_of(name, symbol, loops, self.consts)
        if ALL in places and not stars:
            raise refusal("E0424", "`*`, all copies, stands inside of sum, mean, max, last or stack", name.span,
                          "not inside of one", hint=f"write `stack({text(name)})`, or `mean(f({text(name)}))`")  # fmt: skip
        starts = iter(stars)
        at: list[ir.Lag | int] = []
        for where in places:
            match where:
                case int():
                    at.append(where)
                case At(loop, offset):
                    at.append(ir.Lag(self.axes.ranges[loop.number], offset))
                case _:
                    at.append(ir.Lag(next(starts), 0))
        own = self.axes.of(symbol.loops)
        if tuple(at) == tuple(ir.Lag(r, 0) for r in own):
            return replace(name, index=())
        if (
            isinstance(at[-1], int)
            and at[-1] in symbol.edges
            and all(a == ir.Lag(r, 0) for a, r in zip(at[:-1], own, strict=False))
        ):
            return replace(name, text=symbol.edges[at[-1]], index=())
        edges = self._inside(name, symbol, tuple(at))
        lags = [a.range for a in at if isinstance(a, ir.Lag)]
        around = (*self.axes.of(loops), *stars)
        axes = tuple(sorted(dict.fromkeys(lags), key=around.index))
        return self.made.view(symbol.name, tuple(at), edges, axes, title(name, tuple(at), own), name.span)

    def _inside(self, name: syntax.Name, symbol: Symbol, at: tuple[ir.Lag | int, ...]) -> dict[int, str]:
        """The copies written alone that are met. Raises Refused: E0421 for a copy that does not exist."""
        met: dict[int, str] = {}
        for i, (where, own) in enumerate(zip(at, self.axes.of(symbol.loops), strict=True)):
            first, last = (where, where) if isinstance(where, int) else (
                where.range.first + where.offset, where.range.last + where.offset)  # fmt: skip
            edges = symbol.edges if i == len(at) - 1 else {}
            met.update({p: e for p, e in edges.items() if first <= p <= last})
            outside = [
                p
                for p in (*range(first, min(last + 1, own.first)), *range(max(first, own.last + 1), last + 1))
                if p not in edges
            ]
            if outside:
                raise no_copy(name, symbol, i, where, outside, own)
        return met

    # --- all copies -------------------------------------------------------------------------------------------

    def _bare(self, name: syntax.Name, symbol: Symbol, loops: Loops) -> syntax.Name:
        """Outside of its loops a name alone is all its copies."""
        axes = {r.axis for r in self.axes.of(symbol.loops)}
        shared = [f for f in loops if self.axes.ranges[f.number].axis in axes]
        if shared:
            own = [_met(f, self.axes, loops) for f in symbol.loops]
            raise refusal("E0420", f"`{name.text}` has a copy for each `{shared[0].index}`", name.span, "which copy?",
                          labels=[Label(symbol.span, "declared here")],
                          hint=f"write `{name.text}[{', '.join(own)}]`, or `stack({name.text}[{', '.join('*' * len(own))}])` "
                               "for all of them")  # fmt: skip
        stars = tuple(syntax.Name("*", name.span) for _ in symbol.loops)
        return self._reduced("stack", replace(name, index=stars), name, loops)

    def _reduced(self, function: str, inner: syntax.Expr, whole: syntax.Expr, loops: Loops) -> syntax.Name:
        """`sum(f(z[*]))`: f over all copies is a let, and each star takes its innermost loop away."""
        ranges = self._stars(inner)
        span, whole_text = whole.span, f"{function}({text(inner)})"
        if isinstance(inner, syntax.Name) and any(map(is_star, inner.index)):
            found = self._copies(inner, self.symbols[inner.text], loops, ranges)
            source, outer = found.text, self._outer(inner, loops, ranges)
        else:
            outer = self._outer(inner, loops, ranges)
            source = self.made.mapped(self.expression(inner, loops, ranges), (*outer, *ranges), text(inner), span)
        for i in range(len(ranges) - 1, -1, -1):
            name = whole_text if i == 0 else f"{function}({text(inner)}) over {ranges[i].name}"
            result = self.made.over(function, source, (*outer, *ranges[:i]), name, span)
            source = result.text
        return result

    def _stars(self, inner: syntax.Expr) -> Ranges:
        """What the stars of an expression stand for: the same loops in all of it."""
        found: dict[Ranges, syntax.Name] = {}
        for name in starred_names(inner):
            symbol = self.symbols.get(name.text)
            if symbol is None:
                raise refusal(
                    "E0420", f"`{name.text}` has no copies", name.span, "no copies", hint=f"write `{name.text}`"
                )
            check_number(name, symbol)
            own = self.axes.of(symbol.loops)
            found.setdefault(own[len(own) - sum(map(is_star, name.index)) :], name)
        if len(found) > 1:
            first, second = list(found.values())[:2]
            raise refusal("E0424", f"`{text(first)}` and `{text(second)}` have different copies", second.span, "other copies",
                          labels=[Label(first.span, "beside these")], hint="take each together on its own")  # fmt: skip
        return next(iter(found))

    def _outer(self, inner: syntax.Expr, loops: Loops, stars: Ranges) -> Ranges:
        """The reader's loops that the expression needs."""
        used = {n.text for n in indexed(inner)}
        outer = self.axes.of(f for f in loops if f.index in used)
        clash = next((r for r in outer if r.axis in {s.axis for s in stars}), None)
        if clash is not None:
            raise refusal("E0424", "one copy and all copies of the same loop stand in one expression", inner.span, "both",
                          hint="name what all copies make together by a `let` of its own")  # fmt: skip
        return outer


def _met(loop: For, axes: Axes, loops: Loops) -> str:
    """The reader's index on the axis of a loop."""
    axis = axes.ranges[loop.number].axis
    return next((f.index for f in loops if axes.ranges[f.number].axis == axis), loop.index)
