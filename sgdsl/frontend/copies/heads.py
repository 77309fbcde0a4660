"""What a loop declares or equates comes in, `latent z[i]`, `let m[0]`, `p(z[1] | …)`; heads over ranges go out (E0420, E0421)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sgdsl.base.diagnostics import Label
from sgdsl.frontend import syntax
from sgdsl.frontend.constants import folded
from sgdsl.frontend.copies.axes import Axes, Symbol
from sgdsl.frontend.copies.places import At, Place, place
from sgdsl.frontend.copies.sites import Loops, Site
from sgdsl.frontend.copies.text import indices, text
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


def symbols(sites: Sequence[Site], consts: Constants) -> dict[str, Symbol]:
    """The nodes and lets that have copies, by name: the first declaration of each."""
    found: dict[str, Symbol] = {}
    edges: dict[str, dict[int, str]] = {}
    for site in sites:
        declared = site.statement
        if isinstance(declared, syntax.Let) and (at := edge(declared, consts)) is not None:
            edges.setdefault(declared.name.text, {}).setdefault(at, edge_name(declared, at))
        elif isinstance(declared, syntax.Var | syntax.Let) and site.loops and declared.name.index:
            name = declared.name
            found.setdefault(name.text, Symbol(name.text, site.loops, name.span, edges.setdefault(name.text, {})))
    return found


def edge(let: syntax.Let, consts: Constants) -> int | None:
    """The place of `let m[0] = …`: the last index is a number."""
    number = folded(let.name.index[-1], consts) if let.name.index else None
    return int(number) if number is not None and number == int(number) else None


def edge_name(let: syntax.Let, at: int) -> str:
    return let.name.text + indices((*let.name.index[:-1], syntax.Number(at, let.name.span)))


def declared_let(
    let: syntax.Let, loops: Loops, known: Mapping[str, Symbol], axes: Axes, consts: Constants
) -> syntax.Name:
    """The head of a let: `m` over its ranges, or `m[0]`. Raises Refused: E0420."""
    at = edge(let, consts)
    if at is None:
        return declared(let.name, "let", loops, axes)
    if let.name.text not in known:
        name = let.name.text
        raise refusal("E0420", f"`{text(let.name)}` is a copy, and no loop makes others of `{name}`", let.name.span,
                      "a copy of nothing", hint=f"write `let {name} = …`, or `let {name}[i] = …` in a loop")  # fmt: skip
    outer = replace(let.name, index=let.name.index[:-1])
    head = declared(outer, "let", loops, axes) if loops or outer.index else outer
    own = known[let.name.text]
    if axes.of(loops) != axes.of(own.loops)[:-1]:
        raise refusal("E0420", f"`{text(let.name)}` has other loops around it than `{own.name}`", let.name.span, "other loops",
                      labels=[Label(own.span, "declared here")])  # fmt: skip
    return replace(head, text=edge_name(let, at))


def declared(name: syntax.Name, what: str, loops: Loops, axes: Axes) -> syntax.Name:
    """`z[i, j]` in its loops, as z with their ranges. Raises Refused: E0420."""
    wanted = tuple(f.index for f in loops)
    given = tuple(i.text if isinstance(i, syntax.Name) and not i.index else "" for i in name.index)
    if given == wanted:
        return replace(name, index=tuple(syntax.Name(r.name, name.span) for r in axes.of(loops)))
    if not loops:
        raise refusal("E0420", f"`{text(name)}` has an index and stands in no loop", name.span, "no loop around it",
                      hint=f"put it into a loop, `for {given[0] or 'i'} in 1..5 {{ … }}`, or write `{name.text}`")  # fmt: skip
    right = f"{name.text}[{', '.join(wanted)}]"
    raise refusal("E0420", f"a {what} in a loop carries the loop's index: `{right}`", name.span, f"`{text(name)}`",
                  labels=[Label(f.head, "the loop") for f in loops[-1:]],
                  hint=f"write `{right}`, or move it out of the loop")  # fmt: skip


def factor_node(
    factor: syntax.Factor, loops: Loops, symbol: Symbol | None, axes: Axes, consts: Constants
) -> syntax.Name:
    """The node with the copies that a factor is of. Raises Refused: E0420, E0421."""
    node = factor.node
    own = axes.of(symbol.loops) if symbol else ()
    if len(node.index) != len(own):
        if symbol is None:
            raise refusal("E0420", f"`{node.text}` has no copies", node.span, "an index", hint=f"write `{node.text}`")
        wanted = ", ".join(f.index for f in symbol.loops)
        raise refusal("E0420", f"a factor of `{node.text}` says of which copy", node.span, "which copy?",
                      labels=[Label(symbol.span, "declared here")], hint=f"write `{factor.side}({node.text}[{wanted}] | …)` "
                      "in a loop, or a number for one copy")  # fmt: skip
    found: list[syntax.Expr] = []
    seen: set[str] = set()
    for item, axis in zip(node.index, own, strict=True):
        at = place(item, loops, consts)
        found.append(_factor_place(factor, item, at, axis, axes))
        if isinstance(at, At):
            seen.add(at.loop.index)
    left = [f for f in loops if f.index not in seen]
    if left:
        raise refusal("E0420", f"each `{left[0].index}` would give `{text(node)}` another factor", node.span,
                      f"without `{left[0].index}`", labels=[Label(left[0].head, "the loop")],
                      hint="move the line out of this loop")  # fmt: skip
    return replace(node, index=tuple(found))


def _factor_place(factor: syntax.Factor, item: syntax.Expr, at: Place, own: ir.Range, axes: Axes) -> syntax.Expr:
    node = factor.node
    match at:
        case int():
            first, last, result = at, at, syntax.Number(at, item.span)
            if (alone := axes.alone.get((own.axis, at))) is not None:
                result = syntax.Name(alone.name, item.span)  # type: ignore[assignment]
        case At(loop, 0):
            mine = axes.ranges[loop.number]
            first, last = mine.first, mine.last
            result = syntax.Name(mine.name, item.span)  # type: ignore[assignment]
        case _:
            raise refusal("E0420", "a factor is of the copy of its loop, or of one by its number", item.span, "no plain index",
                          hint="move the range of the loop instead")  # fmt: skip
    if first < own.first or last > own.last:
        copy = first if first < own.first else last
        raise refusal("E0421", f"there is no `{node.text}[{copy}]`", item.span, f"no copy {copy}",
                      notes=[f"the copies of `{node.text}` are {own.first}..{own.last}"],
                      hint="let the loop run over copies that are declared")  # fmt: skip
    return result


def with_pieces(factors: Sequence[syntax.Factor], axes: Axes, taken: set[str]) -> list[str]:
    """The piece of each factor: "" where it is of all copies, else its place in words."""
    number = Counter((f.side, f.node.text) for f in factors)
    alone = {r.name: str(r.first) for r in axes.alone.values()}
    return [_piece(f.node, alone, taken) if number[f.side, f.node.text] > 1 and f.node.index else "" for f in factors]


def _piece(node: syntax.Name, alone: Mapping[str, str], taken: set[str]) -> str:
    """Unique beside every name of the file: `z_1` may be a node."""
    words = [alone.get(i.text, i.text) if isinstance(i, syntax.Name) else text(i).replace("-", "m") for i in node.index]
    piece = "_".join(words)
    while f"{node.text}_{piece}" in taken:
        piece += "_"
    return piece
