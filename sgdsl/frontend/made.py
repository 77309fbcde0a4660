"""Proposals for factors of q come in; the draft with a factor for each, as if written in the file, goes out (E0190)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsl.base.diagnostics import Diagnostic, Sink
from sgdsl.base.source import Span
from sgdsl.catalog.families import FAMILIES, MADE
from sgdsl.frontend import syntax
from sgdsl.frontend.draft import Draft
from sgdsl.frontend.report import Refused, refusal, report
from sgdsl.middle import ir

SIDE = 16  # height and width from which a map is read by a conv
_FLAT = (("mlp", (256, 256)),)
_MAPS = (("conv", (32, 64)), ("mlp", (256,)))
_NO_MAPS = ("class", "range", "angle")


def write_made(draft: Draft, proposals: Sequence[ir.Made], sink: Sink) -> Draft:
    """The draft with the proposed factors in it, at its line `q auto` or at the end; their place in diagnostics and line
    maps is that line, or the declaration of their node. Adds E0190 for a family that is not here yet, W0503 for a
    `q auto` that has nothing to make."""
    written = draft.parents("q")
    unknown = [n for n, role in draft.roles.items() if role in ("latent", "supervised")]
    if draft.auto.span is not None and all(n in written for n in unknown):
        sink.add(
            Diagnostic("W0503", "every factor of q is written: `q auto` makes none", draft.auto.span, "nothing to make",
                       hint="remove it, or the lines that it should replace", severity="warning")
        )  # fmt: skip
    if draft.axes and any(n not in written for n in unknown):
        _refuse_loops(draft, next(n for n in unknown if n not in written), sink)
        return draft
    factors: list[syntax.Factor] = []
    priors = {f.node.text: f for f in reversed(draft.factors) if f.side == "p"}
    for made in proposals:
        try:
            factors.append(_prior(draft, made, priors[made.node]) if made.prior else _posterior(draft, made))
        except Refused as refused:
            report(sink, refused)
    place = draft.auto.place
    owners = tuple(("q", f.node.text) for f in factors)
    return replace(
        draft,
        factors=(*draft.factors, *factors),
        statements=(*draft.statements[:place], *owners, *draft.statements[place:]),
        made={made.node: made for made in proposals},
    )


def _refuse_loops(draft: Draft, name: str, sink: Sink) -> None:
    node = draft.nodes[name]
    report(sink, refusal("E0190", "a recognition model made through loops is planned, not here yet", node.span, "has no q line",
                         hint=f"write it, `q({name} | …) = …`"))  # fmt: skip


def _place(draft: Draft, node: ir.Node) -> Span:
    return draft.auto.span or node.span


def _prior(draft: Draft, made: ir.Made, p: syntax.Factor) -> syntax.Factor:
    """q is p: the same right-hand side."""
    place = _place(draft, draft.nodes[made.node])
    return replace(p, side="q", by=None, head=place, text=f"q{p.text[1:]}", span=place)


def _posterior(draft: Draft, made: ir.Made) -> syntax.Factor:
    node = draft.nodes[made.node]
    place, family = _place(draft, node), MADE[node.type.support]
    assert family in FAMILIES, f"{node.type} has a p, but no family for q"
    network, text = _network(draft, made, place)
    given = f" | {', '.join(made.given)}" if made.given else ""
    value = syntax.Call(syntax.Name(family, place), (syntax.Arg(None, network, place),), place)
    names = tuple(syntax.Name(n, place) for n in made.given)
    line = f"q({node.name}{given}) = {family}({text})"
    return syntax.Factor("q", syntax.Name(node.name, place), names, value, None, place, line, place)


def _network(draft: Draft, made: ir.Made, place: Span) -> tuple[syntax.Expr, str]:
    """The network of a made factor and its text: as `q auto` says, else by what it reads."""
    if not made.given:
        return syntax.Name("learned", place), "learned"
    if draft.auto.network is not None:
        return draft.auto.network, draft.auto.text
    stages = _MAPS if _has_map([draft.nodes[n].type for n in made.given]) else _FLAT
    parts: list[syntax.Expr] = []
    for name, sizes in stages:
        layers = tuple(syntax.Arg(None, syntax.Number(n, place), place) for n in sizes)
        parts.append(syntax.Call(syntax.Name(name, place), layers, place))
    text = " >> ".join(f"{name}({', '.join(map(str, sizes))})" for name, sizes in stages)
    return (syntax.Pipe(parts[0], parts[1], place) if len(parts) > 1 else parts[0]), text


def _has_map(types: Sequence[ir.Type]) -> bool:
    """Whether one conv can read all maps among the parents, and these are large enough to be worth it."""
    sides = {t.event[1:] for t in types if len(t.event) == 3 and t.support not in _NO_MAPS}
    return len(sides) == 1 and min(*sides.pop()) >= SIDE
