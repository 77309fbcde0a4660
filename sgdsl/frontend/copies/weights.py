"""`mlp(64)[i]` comes in; the loops whose copies have weights of their own go out (E0429)."""

from __future__ import annotations

from sgdsl.catalog.networks import NETWORKS, SOURCES
from sgdsl.frontend import syntax
from sgdsl.frontend.copies.axes import Axes
from sgdsl.frontend.copies.places import At, place
from sgdsl.frontend.copies.sites import Loops
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import refusal


def weights(
    whole: syntax.Expr, index: tuple[syntax.Expr, ...], loops: Loops, axes: Axes, consts: Constants
) -> tuple[syntax.Expr, ...]:
    """The ranges. Raises Refused."""
    value = whole.value if isinstance(whole, syntax.Item) else whole
    head = value.function if isinstance(value, syntax.Call) else value
    known = isinstance(value, syntax.Pipe) or (
        isinstance(head, syntax.Name) and (head.text in NETWORKS or head.text in SOURCES)
    )
    if not known:
        raise refusal("E0429", "an index stands behind a network or the name of what has copies", whole.span, "neither",
                      hint="`mlp(64)[i]`, `table[i]` and `learned[i]` have weights for each copy")  # fmt: skip
    found: list[syntax.Expr] = []
    for item in index:
        at = place(item, loops, consts)
        if not isinstance(at, At) or at.offset:
            raise refusal("E0429", "weights for each copy: the index of a loop stands alone behind the network", item.span,
                          "no index", hint="write `mlp(64)[i]`")  # fmt: skip
        found.append(syntax.Name(axes.ranges[at.loop.number].name, item.span))
    return tuple(found)
