"""Proposals for factors of q come in; the draft with a factor for each, as if written in the file, goes out (W0503)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsl.base.diagnostics import Diagnostic, Sink
from sgdsl.base.source import Span
from sgdsl.catalog.families import FAMILIES, MADE
from sgdsl.frontend import syntax
from sgdsl.frontend.draft import Draft
from sgdsl.middle import ir

SIDE = 16  # height and width from which a map is read by a conv
FLAT = (("mlp", (256, 256)),)
MAPS = (("conv", (32, 64)), ("mlp", (256,)))
NO_MAPS = ("class", "range", "angle")


def write_made(draft: Draft, proposals: Sequence[ir.Made], sink: Sink) -> Draft:
    """The draft with the proposed factors in it, at its line `q auto` or at the end; their place in diagnostics and line
    maps is that line, or the declaration of their node. Adds W0503 for a `q auto` that has nothing to make."""
    written = draft.parents("q")
    unknown = [n for n, role in draft.roles.items() if role in ("latent", "supervised")]
    if draft.auto.span is not None and all(n in written for n in unknown):
        sink.add(
            Diagnostic("W0503", "every factor of q is written: `q auto` makes none", draft.auto.span, "nothing to make",
                       hint="remove it, or the lines that it should replace", severity="warning")
        )  # fmt: skip
    priors = {f.node.text: f for f in reversed(draft.factors) if f.side == "p"}
    factors = [_prior(draft, m, priors[m.node]) if m.prior else _posterior(draft, m) for m in proposals]
    place, made = draft.auto.place, {m.node: m for m in proposals}
    owners = tuple(("q", f.node.text) for f in factors)
    return replace(
        draft,
        factors=(*draft.factors, *factors),
        statements=(*draft.statements[:place], *owners, *draft.statements[place:]),
        made={f.text: made[f.node.text] for f in factors},
    )


def lacks(draft: Draft) -> bool:
    """Whether a factor of q is to be made."""
    written = draft.parents("q")
    return any(role in ("latent", "supervised") and n not in written for n, role in draft.roles.items())


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
    stages = MAPS if _has_map([draft.nodes[n].type for n in made.given]) else FLAT
    parts: list[syntax.Expr] = []
    for name, sizes in stages:
        layers = tuple(syntax.Arg(None, syntax.Number(n, place), place) for n in sizes)
        parts.append(syntax.Call(syntax.Name(name, place), layers, place))
    text = " >> ".join(f"{name}({', '.join(map(str, sizes))})" for name, sizes in stages)
    return (syntax.Pipe(parts[0], parts[1], place) if len(parts) > 1 else parts[0]), text


def _has_map(types: Sequence[ir.Type]) -> bool:
    """Whether one conv can read all maps among the parents, and these are large enough to be worth it."""
    sides = {t.event[1:] for t in types if len(t.event) == 3 and t.support not in NO_MAPS}
    return len(sides) == 1 and min(*sides.pop()) >= SIDE
