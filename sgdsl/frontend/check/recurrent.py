"""A gru among the parts of a network: its inputs come in; what runs to it, and the stage with its mode, go out (E0307)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsl.base.source import Span
from sgdsl.catalog.shapes import written
from sgdsl.frontend.check.context import Context, Flow
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


def has_gru(parts: Sequence[ir.Part], context: Context) -> bool:
    """Whether a gru stands among them, or in a net that they name."""
    return any(has_gru(context.plain[p.net], context) if isinstance(p, ir.NetUse) else p.kind == "gru" for p in parts)


def gru_inputs(inputs: Sequence[ir.Expr], widths: Sequence[int], span: Span) -> Flow:
    """One input: a sequence, read step by step; several: those of one step, the last of them the state."""
    if len(inputs) > 1:
        return Flow(None, sum(widths[:-1]), state=widths[-1])
    shape = inputs[0].shape
    if not shape:
        raise refusal("E0307", "a gru reads a sequence [T, …], or inputs and a state", span, "a single value",
                      hint="a sequence is a node such as `real[20, 8]`; one step is `gru(16)(x, h)`")  # fmt: skip
    return Flow(None, widths[0] // shape[0], steps=True)


def gru(stage: ir.Stage, flow: Flow) -> ir.Stage:
    """The stage with its mode and shapes. Raises Refused where neither a sequence nor a state of its size comes."""
    if len(stage.sizes) != 1:
        raise refusal("E0307", f"a gru has one size, not {len(stage.sizes)}", stage.span, "several sizes",
                      hint=f"layers of its steps stand in front: `mlp({stage.sizes[0]}) >> gru({stage.sizes[-1]})`")  # fmt: skip
    if not (flow.steps or flow.state):
        raise refusal("E0307", f"a gru reads a sequence or a state, not {flow}", stage.span, "nothing to go on with",
                      hint="a network has one gru; behind it stand `mlp` and `linear`")  # fmt: skip
    if flow.map is not None or (flow.state and (flow.state,) != stage.sizes):
        raise refusal("E0307", f"the state of `gru({stage.sizes[0]})` is {written(stage.sizes)}, not {flow.state} wide",
                      stage.span, "another size", hint="the last input is the state")  # fmt: skip
    mode = (("mode", "sequence" if flow.steps else "step"),)
    return replace(stage, options=mode, input=(flow.width,), output=stage.sizes)
