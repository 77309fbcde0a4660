"""A gru or lstm among the parts of a network: its inputs come in; what runs to it, the stage with its mode go out (E0307)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsl.base.source import Span
from sgdsl.catalog.networks import NETWORKS, state_size
from sgdsl.catalog.shapes import written
from sgdsl.frontend.check.context import Context, Flow
from sgdsl.frontend.report import refusal
from sgdsl.middle import ir


def recurrent_in(parts: Sequence[ir.Part], context: Context) -> str:
    """The kind of the recurrent stage among them, or in a net that they name; "" for none."""
    for part in parts:
        if isinstance(part, ir.NetUse):
            kind = recurrent_in(context.plain[part.net], context)
        else:
            kind = part.kind if NETWORKS[part.kind].reads == "steps" else ""
        if kind:
            return kind
    return ""


def recurrent_inputs(kind: str, inputs: Sequence[ir.Expr], widths: Sequence[int], span: Span) -> Flow:
    """One input: a sequence, read step by step; several: those of one step, the last of them the state."""
    if len(inputs) > 1:
        return Flow(None, sum(widths[:-1]), state=widths[-1])
    shape = inputs[0].shape
    if not shape:
        a = "an lstm" if kind == "lstm" else "a gru"
        raise refusal("E0307", f"{a} reads a sequence [T, …], or inputs and a state", span, "a single value",
                      hint=f"a sequence is a node such as `real[20, 8]`; one step is `{kind}(16)(x, h)`")  # fmt: skip
    return Flow(None, widths[0] // shape[0], steps=True)


def recurrent(stage: ir.Stage, flow: Flow) -> ir.Stage:
    """The stage with its mode and shapes. Raises Refused where neither a sequence nor a state of its size comes."""
    kind, a = stage.kind, "an lstm" if stage.kind == "lstm" else "a gru"
    if len(stage.sizes) != 1:
        hint = f"layers of its steps stand in front: `mlp({stage.sizes[0]}) >> {kind}({stage.sizes[-1]})`"
        raise refusal("E0307", f"{a} has one size, not {len(stage.sizes)}", stage.span, "several sizes", hint=hint)
    if not (flow.steps or flow.state):
        raise refusal("E0307", f"{a} reads a sequence or a state, not {flow}", stage.span, "nothing to go on with",
                      hint=f"a network has one {kind}; behind it stand `mlp` and `linear`")  # fmt: skip
    state = (state_size(kind, stage.sizes[0]),)
    if flow.map is not None or (flow.state and (flow.state,) != state):
        behind = ", its cells behind its hidden values" if kind == "lstm" else ""
        raise refusal("E0307", f"the state of `{kind}({stage.sizes[0]})` is {written(state)}, not {flow.state} wide",
                      stage.span, "another size", hint=f"the last input is the state{behind}")  # fmt: skip
    mode = (("mode", "sequence" if flow.steps else "step"),)
    return replace(stage, options=mode, input=(flow.width,), output=stage.sizes if flow.steps else state)
