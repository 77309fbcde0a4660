"""In which order loops nest: a model comes in, how deep each of its axes and ranges is goes out; E0420 where nodes differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sgdsl.base.diagnostics import Diagnostic, Label
from sgdsl.middle import ir


def depths(model: ir.Model) -> dict[str, int]:
    """How deep each axis stands, 1 for an outermost one. Nodes nest their loops in one order (E0420); a let may nest them in
    another, and stands where the nodes' copies do."""
    inner: dict[str, set[str]] = {axis.name: set() for axis in model.axes}
    for value in model.values:
        names = [r.axis for r in value.axes]
        for i, outer in enumerate(names):
            inner[outer] |= {n for n in names[i + 1 :] if outer not in _inside(inner, n)}
    found = dict.fromkeys(inner, 1)
    for _ in found:
        for outer, names_inside in inner.items():
            found |= {n: max(found[n], found[outer] + 1) for n in names_inside}
    return found


def _inside(inner: dict[str, set[str]], axis: str) -> set[str]:
    """All axes inside of one."""
    found, todo = set[str](), [axis]
    while todo:
        new = inner[todo.pop()] - found
        found |= new
        todo += new
    return found


def ranges_of(model: ir.Model) -> dict[str, tuple[int, ir.Range]]:
    """Every range by its name, with how deep it is nested: 1 for one of an outermost loop."""
    deep = depths(model)
    written = [n.axes for n in model.values] + [f.axes for f in (*model.p, *model.q)]
    return {r.name: (deep[r.axis], r) for axes in written for r in axes}


def innermost(deep: Mapping[str, int], axes: Iterable[ir.Range]) -> int:
    """How deep the innermost of some ranges is; 0 for none."""
    return max((deep[r.axis] for r in axes), default=0)


def crosses(deep: Mapping[str, int], axes: Sequence[ir.Range], own: Sequence[ir.Range]) -> str:
    """The axis of a reader in the loops `axes` that stands around a loop of `own`, though what it reads has no copy for it:
    a[i, j] of w[j]. "" for none."""
    mine = {r.axis for r in own}
    return next((r.axis for r in axes if r.axis not in mine and deep[r.axis] < innermost(deep, own)), "")


def turned(model: ir.Model) -> Iterator[Diagnostic]:
    """Nodes whose loops nest in another order than those of nodes before them."""
    deep = depths(model)
    for node in model.nodes:
        right = sorted(node.axes, key=lambda r: deep[r.axis])
        if tuple(right) != node.axes:
            names, own = ", ".join(r.axis for r in right), ", ".join(r.axis for r in node.axes)
            axes = {r.axis for r in node.axes}
            others = [n for n in model.nodes if n != node and len(axes & {r.axis for r in n.axes}) > 1]
            yield Diagnostic(
                "E0420", f"`{node.name}[{own}]` has its loops in another order than nodes before it", node.span,
                "another order", tuple(Label(n.span, "the first order") for n in others[:1]), (),
                f"declare `{node.name}[{names}]`",
            )  # fmt: skip
