"""An embed at the start of a network: what it reads comes in; how many classes that has, and the stage, go out (E0307)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsl.base.source import Span
from sgdsl.frontend.check.context import Flow
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir

_HINT = "it reads one class or count(a, b) node; a network of more reads what it gives: `mlp(64)(embed(16)(word), x)`"


def classes_of(inputs: Sequence[ir.Expr], stateful: bool, span: Span) -> int:
    """The number of values of a cell of what is embedded; a state may stand behind it. Raises Refused."""
    read = inputs[:-1] if stateful and len(inputs) > 1 else inputs
    if len(read) != 1:
        raise refusal("E0307", f"an embed reads one node, and here are {len(read)}", span, "several", hint=_HINT)
    node = read[0]
    if not isinstance(node, ir.Ref) or not node.type.one_hot or node.type.partial:
        what = f"`{node.name}`, which is {node.type}" if isinstance(node, ir.Ref) else "a computed value"
        raise refusal("E0307", f"an embed reads classes, not {what}", span, "no classes", hint=_HINT)
    return node.type.values or 0


def embed(stage: ir.Stage, flow: Flow) -> ir.Stage:
    """The stage with its shapes: a vector for each cell, one behind the other. Raises Refused."""
    if not flow.classes:
        raise refusal("E0307", f"an embed reads classes, not {flow}", stage.span, "no classes", hint=_HINT)
    if len(stage.sizes) != 1:
        raise refusal("E0307", f"an embed has one size, not {len(stage.sizes)}", stage.span, "several sizes",
                      hint=f"layers stand behind it: `embed({stage.sizes[0]}) >> mlp({stage.sizes[-1]})`")  # fmt: skip
    width = flow.width // flow.classes * stage.sizes[0]
    return replace(stage, options=(("classes", flow.classes),), input=(flow.width,), output=(width,))
