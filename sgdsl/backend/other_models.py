"""Calls of other models' factors as text: a method's inputs and the values given come in, statements and a call go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sgdsl.backend.calls import runtime_family
from sgdsl.backend.features import Input, sizes, strip
from sgdsl.backend.names import SubMethod, SubModel
from sgdsl.catalog.families import FAMILIES
from sgdsl.middle import ir


class Body(Protocol):
    """The method that calls, as in code.Code."""

    inputs: dict[str, Input]
    uses: Mapping[str, SubModel]

    def assign(self, value: str) -> str: ...

    def tensor(self, expr: ir.Expr) -> str: ...


def used(body: Body, name: str, side: ir.Side, node: str, args: Sequence[tuple[str, ir.Expr]]) -> tuple[str, SubMethod]:
    """The call of a factor, and its method; "" where its parameters are numbers."""
    sub = body.uses[name]
    method = sub.methods[side, node]
    if not method.name:
        return "", method
    given = {n: _argument(body, sub, n, e) for n, e in args}
    if any(n not in given for n in method.reads):  # a let of the other model reads them too
        given = {n: (text if text.isidentifier() else body.assign(text), mask) for n, (text, mask) in given.items()}
    return _call(body, sub, method, given), method


def _call(body: Body, sub: SubModel, method: SubMethod, given: dict[str, tuple[str, str]]) -> str:
    for name in method.reads:
        if name not in given:
            given[name] = body.assign(_call(body, sub, sub.methods["let", name], given)), ""
    texts = [given[n][0] for n in method.reads] + [given[n][1] for n in method.partial]
    return f"self.{sub.attribute}.{method.name}({', '.join(texts)})"


def _argument(body: Body, sub: SubModel, name: str, expr: ir.Expr) -> tuple[str, str]:
    """A value for a node of another model, in its form there, and its mask where that node is partial."""
    kind = sub.use.node(name).type
    if not (kind.one_hot or kind.support == "binary") or not isinstance(expr, ir.Ref):
        text = strip(body.tensor(expr))
    else:
        known = body.inputs[expr.name]
        hard = name in sub.soft and kind.one_hot and not known.relaxed
        text = f"one_hot({known.lifted}, {kind.values}, {kind.first})" if hard else known.lifted
    if not kind.partial:
        return text, ""
    seen = body.inputs[expr.name] if isinstance(expr, ir.Ref) else None
    if seen is None or not seen.present:
        return text, f"torch.ones_like({text}, dtype=torch.bool)"
    return text, f"lift({seen.present}, {seen.up})" if seen.up else seen.present


def mean(body: Body, expr: ir.Mean) -> str:
    """The mean of another model's node, [S or 1, entries, *shape]; of a class its probabilities."""
    sub = body.uses[expr.use]
    factor, kind = sub.use.factor("p", expr.node), sub.use.node(expr.node).type
    call, method = used(body, expr.use, "p", expr.node, expr.args)
    if not call:
        call = ", ".join(_full(t, p.shape) for t, p in zip(method.constants, factor.parameters, strict=True))
    elif len(method.free) > 1 and not factor.mixture:
        call = f"*{call}"
    if factor.mixture:
        text = f'mean_of("{runtime_family(factor)}", {call})'
    elif kind.support == "range":
        text = f"range_mean({call}, {kind.first})"
    else:
        text = f"{FAMILIES[factor.family].runtime}_mean({call})"
    whole = all(isinstance(p.source, ir.Head | ir.Own | ir.Table) for p in factor.parameters)
    return text if whole or not expr.shape else f"{text}.expand(-1, -1, {sizes(expr.shape)})"


def _full(number: str, shape: ir.Shape) -> str:
    """A parameter that is a number, as a tensor."""
    if "(" in number:
        return number
    return f"constant(self, {', '.join(filter(None, (number, sizes(shape))))})"
