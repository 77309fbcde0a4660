"""What the language has and this version does not: a form or a name comes in, the diagnostic E0190 goes out."""

from __future__ import annotations

from sgdsl.base.source import Span
from sgdsl.frontend import syntax
from sgdsl.frontend.report import Refused, refusal

_INSTEAD: dict[str, str] = {
    "Mixture": "write a latent class and `Normal(table)`",
    "Flow": "write `Normal`",
    "transformer": "write `mlp`",
    "extern": "write `mlp`, `conv` or `deconv`",
}
PLANNED_FAMILIES = ("Mixture", "Flow")
PLANNED_NETWORKS = ("transformer", "extern")
PLANNED_NAMES = frozenset((*PLANNED_FAMILIES, *PLANNED_NETWORKS))


def planned_name(name: syntax.Name) -> Refused:
    """E0190 for a family, network or function by its name."""
    return planned_at(name.text, name.span)


def planned_at(what: str, span: Span) -> Refused:
    """E0190 for a form or a name."""
    return refusal("E0190", f"`{what}` is planned, not here yet", span, "planned", hint=f"now: {_INSTEAD[what]}")
