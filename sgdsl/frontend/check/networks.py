"""Parts and inputs of a network come in; the ir.Network with the shape of every stage goes out (E0307, E0309, E0316).

A deconv that stands last before a head: its linear layer makes the map [c1, ⌊h/2ⁿ⌋, ⌊w/2ⁿ⌋] of the node's [c, h, w]; the
first n − 1 transposed layers go to c2, …, cn, and the last one, from cn to the parameter's channels, is the head itself,
one for each parameter of the trunk. Its Stage keeps the written sizes (c1, …, cn); `output` is the parameter's shape.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sgdsl.base.diagnostics import Label
from sgdsl.base.source import Span
from sgdsl.catalog.networks import MOST_WEIGHTS, NETWORKS, weights
from sgdsl.catalog.shapes import Misfit, Shape, written
from sgdsl.frontend.check.context import Context, Flow, Use
from sgdsl.frontend.check.embedded import classes_of, embed
from sgdsl.frontend.check.recurrent import recurrent, recurrent_in, recurrent_inputs
from sgdsl.frontend.report import Refused, refusal
from sgdsl.middle import ir

_NO_MAPS = ("class", "range", "angle")
DEEPEST = 100


def network(
    parts: tuple[ir.Part, ...],
    inputs: tuple[ir.Expr, ...],
    context: Context,
    span: Span,
    head: Shape | None = None,
    copies: tuple[ir.Range, ...] = (),
) -> ir.Network:
    """The network applied to inputs; `head`: the shape of the parameter whose head follows, None for a value; `copies`:
    as in ir.Network.
    Raises Refused: E0301, E0306, E0307, E0309, E0316, E0429."""
    if not inputs:
        raise refusal("E0306", "the network reads the factor's parents, and there are none", span, "reads nothing",
                      hint="write `learned` for free parameters, or add a parent behind the bar")  # fmt: skip
    if head is not None and len(parts) > 0 and _bare(parts[-1]) and not (len(parts) > 1 and _is_deconv(parts[-2])):
        parts = parts[:-1]
    if copies:
        _check_copies(parts, span)
    flow = _inputs(parts, inputs, context, span)
    resolved, flow = _run(parts, flow, context, head)
    if head is not None and not (parts and _is_deconv(parts[-1])) and flow.flat * math.prod(head) > MOST_WEIGHTS:
        raise _too_many(span, flow.flat * math.prod(head))
    return ir.Network(resolved, inputs, flow.shape, span, copies)


def _check_copies(parts: tuple[ir.Part, ...], span: Span) -> None:
    """E0429: only the layers of `linear` and `mlp` have weights for each copy."""
    for part in parts:
        if isinstance(part, ir.NetUse):
            raise refusal("E0429", f"all uses of the net `{part.net}` share its weights: it has none for each copy", span,
                          "a net in it", hint="write its layers out, or give the index to what follows it alone")  # fmt: skip
        where, hint = (
            part.span,
            "read the index instead, `q(… | …, i)`; or let `h[i]` be this, and `mlp(64)[i]` read `h[i]`",
        )
        if part.kind not in ("linear", "mlp"):
            raise refusal(
                "E0429", f"`{part.kind}` has no weights for each copy", where, "shared by all copies", hint=hint
            )
        if ("norm", "batch") in part.options:
            raise refusal("E0429", "`norm = batch` has no weights for each copy", where, "shared by all copies",
                          hint="write `norm = layer`, or none")  # fmt: skip


def _bare(part: ir.Part) -> bool:
    """`linear` without sizes: the head alone."""
    return isinstance(part, ir.Stage) and not part.sizes


def _is_deconv(part: ir.Part) -> bool:
    return isinstance(part, ir.Stage) and part.kind == "deconv"


def _first(parts: tuple[ir.Part, ...], context: Context) -> str:
    """The kind of the first stage; "" for none."""
    first = parts[0] if parts else None
    while isinstance(first, ir.NetUse):
        first = _parts_of_net(first, context)[0]
    return first.kind if first is not None else ""


def _reads_map(parts: tuple[ir.Part, ...], context: Context) -> bool:
    """Whether the first stage is a conv or resnet."""
    kind = _first(parts, context)
    return bool(kind) and NETWORKS[kind].reads == "map"


def _parts_of_net(use: ir.NetUse, context: Context) -> tuple[ir.Part, ...]:
    """The parts of a net. Raises Refused, silently, for a net that was refused before."""
    if not context.plain[use.net]:
        raise Refused()
    return context.plain[use.net]


def _width(expr: ir.Expr) -> int:
    return expr.type.input_width if isinstance(expr, ir.Ref) else math.prod(expr.shape)


def _is_map(expr: ir.Expr) -> bool:
    return len(expr.shape) == 3 and not (isinstance(expr, ir.Ref) and expr.type.support in _NO_MAPS)


def _inputs(parts: tuple[ir.Part, ...], inputs: tuple[ir.Expr, ...], context: Context, span: Span) -> Flow:
    classes = classes_of(inputs, bool(recurrent_in(parts, context)), span) if _first(parts, context) == "embed" else 0
    if kind := recurrent_in(parts, context):
        return replace(recurrent_inputs(kind, inputs, [_width(i) for i in inputs], span), classes=classes)
    if not _reads_map(parts, context):
        return Flow(None, sum(_width(i) for i in inputs), classes=classes)
    maps = [i for i in inputs if _is_map(i)]
    if not maps:
        seen = ", ".join(_described(i) for i in inputs)
        what = f"a {_first(parts, context)} reads a map [c, h, w], and there is none among {seen}"
        raise refusal("E0307", what, span, "no map to read",
                      labels=_labels(inputs[:1], context),
                      hint="declare the node as a map, `unit[1, 28, 28]`, or use `mlp`")  # fmt: skip
    first = maps[0].shape
    for other in maps[1:]:
        if other.shape[1:] != first[1:]:
            raise refusal("E0307", f"the maps {written(first)} and {written(other.shape)} differ in height or width", span,
                          "reads both", labels=_labels((maps[0], other), context),
                          hint="maps that one conv reads are joined over their channels")  # fmt: skip
    width = sum(_width(i) for i in inputs if not _is_map(i))
    return Flow((sum(_channels(m) for m in maps), *first[1:]), width)


def _channels(expr: ir.Expr) -> int:
    """The channels of a map; a partial node's mask stands behind its own."""
    return expr.shape[0] * (2 if isinstance(expr, ir.Ref) and expr.type.partial else 1)


def _described(expr: ir.Expr) -> str:
    return f"`{expr.name}` ({expr.type})" if isinstance(expr, ir.Ref) else written(expr.shape)


def _labels(exprs: tuple[ir.Expr, ...], context: Context) -> tuple[Label, ...]:
    return tuple(label for e in exprs if isinstance(e, ir.Ref) for label in context.declared(e.name))


def _run(
    parts: tuple[ir.Part, ...], flow: Flow, context: Context, head: Shape | None
) -> tuple[tuple[ir.Part, ...], Flow]:
    """Every part with its shapes, and what comes out at the end."""
    found: list[ir.Part] = []
    for i, part in enumerate(parts):
        match part:
            case ir.NetUse():
                found.append(part)
                flow = _use(part, flow, context)
            case ir.Stage():
                stage, flow = _stage(part, flow, head if i == len(parts) - 1 else None)
                found.append(stage)
    return tuple(found), flow


def _stage(stage: ir.Stage, flow: Flow, head: Shape | None) -> tuple[ir.Stage, Flow]:
    row = NETWORKS[stage.kind]
    if _bare(stage):
        raise refusal("E0306", f"`{stage.kind}` needs a size here", stage.span, "no size",
                      hint=f"only the last part before a head stands alone: `{stage.kind}(64)`")  # fmt: skip
    try:
        match stage.kind:
            case "conv" | "resnet":
                if flow.map is None:
                    steps = "the steps of a sequence are no maps"
                    raise refusal("E0307", f"a {stage.kind} reads a map [c, h, w], not {flow}", stage.span, "no map to read",
                                  hint=steps if flow.steps or flow.state else f"put the {stage.kind} first")  # fmt: skip
                source, result = flow.map, Flow(row.rule(flow.map, stage.sizes), flow.width)
                done = replace(stage, input=source, output=result.map or ())
            case "deconv":
                target = _target(stage, head)
                start = row.rule(target, stage.sizes)
                source, result = (flow.flat,), Flow(target, 0)
                if flow.flat * math.prod(start) > MOST_WEIGHTS:
                    raise _too_many(stage.span, flow.flat * math.prod(start))
                done = replace(stage, input=source, output=target)
            case "gru" | "lstm":
                done = recurrent(stage, flow)
                source, result = done.input, Flow(None, done.output[0])
            case "embed":
                done = embed(stage, flow)
                source, result = (flow.classes,), replace(flow, width=done.output[0], classes=0)
            case _:
                width = row.rule((flow.flat,), stage.sizes)[0]
                source, result = (flow.flat,), replace(flow, map=None, width=width, classes=0)
                done = replace(stage, input=source, output=result.shape)
    except Misfit as misfit:
        raise refusal("E0307", str(misfit), stage.span, "too many layers",
                      hint="a layer halves both sides, rounding down") from None  # fmt: skip
    if weights(stage.kind, source, stage.sizes) > MOST_WEIGHTS:
        raise _too_many(stage.span, weights(stage.kind, source, stage.sizes))
    return done, result


def _target(stage: ir.Stage, head: Shape | None) -> Shape:
    if head is None:
        raise refusal("E0307", "a deconv makes the map of a node: it stands last in the network before a head",
                      stage.span, "not before a head",
                      hint="write it in the factor: `Normal(loc = trunk >> deconv(64, 32), scale = 0.1)`")  # fmt: skip
    if len(head) != 3:
        raise refusal("E0307", f"a deconv makes a map [c, h, w], and the parameter is {written(head)}", stage.span,
                      "no map",
                      hint="declare the node as a map, `unit[1, 28, 28]`, or use `mlp`")  # fmt: skip
    return head


def _use(use: ir.NetUse, flow: Flow, context: Context) -> Flow:
    """A use of a net: the first one gives it its shape. Raises Refused: E0309 at a use of another shape."""
    known = context.uses.get(use.net)
    parts = _parts_of_net(use, context)
    if known is None:
        if not _reads_map(parts, context) and flow.map is not None:
            flow = Flow(None, flow.flat)
        resolved, output = _run(parts, flow, context, None)
        context.uses[use.net] = Use(flow, resolved, output, use.span)
        return output
    if not _reads_map(parts, context):
        flow = Flow(None, flow.flat)
    if flow != known.input:
        raise refusal("E0309", f"`{use.net}` reads {flow} here, but {known.input} at another use", use.span, f"reads {flow}",
                      labels=[Label(known.span, f"reads {known.input}")],
                      hint="uses of a net share its weights: declare a second net")  # fmt: skip
    return known.output


def _too_many(span: Span, count: int) -> Exception:
    return refusal("E0316", f"a layer of {count:,} weights is too large", span, f"more than {MOST_WEIGHTS:,}",
                   hint="put a smaller layer in between, or use conv")  # fmt: skip
