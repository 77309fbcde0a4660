"""`use` lines and the factors of other models, before any type is known: syntax comes in, options and E02, E06 go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sgdsl.base.diagnostics import Label
from sgdsl.frontend import syntax
from sgdsl.frontend.report import did_you_mean, refusal

MEMBERS = ("p", "q", "mean")
_OPTIONS = ("weights", "frozen")
_SYNONYMS = {"weight": "weights", "run": "weights", "checkpoint": "weights", "fixed": "frozen", "freeze": "frozen"}


@dataclass(frozen=True, slots=True)
class Options:
    """`weights`: a run folder, "" for none."""

    weights: str = ""
    frozen: bool = False


def options(use: syntax.Use) -> Options:
    """What stands in the brackets of a `use` line. Raises Refused: E0601, E0602, E0603, E0608."""
    found: dict[str, str | bool] = {}
    for arg in use.args:
        name = arg.name or (arg.value if isinstance(arg.value, syntax.Name) else None)
        if name is None or name.text not in _OPTIONS:
            place = name.span if name else arg.span
            text = f"`use` has no option `{name.text}`" if name else "options of `use` are written `name = value`"
            hint = did_you_mean(name.text if name else "", _OPTIONS, 'options: weights = "runs/x", frozen', _SYNONYMS)
            raise refusal("E0601", text, place, "not an option", hint=hint)
        if name.text in found:
            raise refusal("E0603", f"`{name.text}` is set twice", name.span, "again")
        found[name.text] = _option(name.text, arg)
    if found.get("frozen") and "weights" not in found:
        raise refusal("E0608", f"`{use.name.text}` is frozen without weights", use.span, "no weights",
                      hint='name the run that trained it, `weights = "runs/x"`, or leave `frozen` out')  # fmt: skip
    return Options(str(found.get("weights", "")), bool(found.get("frozen", False)))


def _option(name: str, arg: syntax.Arg) -> str | bool:
    value = arg.value
    if name == "weights":
        if isinstance(value, syntax.Text) and value.value:
            return value.value
        raise refusal("E0602", "`weights` must be the path of a run folder", value.span, "no path",
                      hint='for example `weights = "runs/digits"`')  # fmt: skip
    word = "true" if arg.name is None else value.text if isinstance(value, syntax.Name) else ""
    if word not in ("true", "false"):
        raise refusal("E0602", "`frozen` must be true or false", value.span, "neither", hint="or write `frozen` alone")
    return word == "true"


def check_mean(expr: syntax.Of | syntax.Member, declared: Mapping[str, object]) -> None:
    """A factor of another model in an expression: only its mean is a value. Raises Refused: E0201, E0205, E0221, E0222."""
    if isinstance(expr, syntax.Member):
        raise refusal("E0222", "a factor of another model is called with a node", expr.span, "not called",
                      hint="write `digit.mean(x | y = …)`")  # fmt: skip
    check_member(expr, declared)
    if expr.member.text != "mean":
        raise refusal("E0205", f"`{expr.model.text}.{expr.member.text}(…)` is a whole right-hand side", expr.span, "not a value",
                      hint=f"its mean is a value: `{expr.model.text}.mean(…)`")  # fmt: skip


def check_side(expr: syntax.Of, declared: Mapping[str, object]) -> tuple[syntax.Arg, ...]:
    """A factor of another model as a right-hand side; what its parents are. Raises Refused: E0201, E0205, E0221, E0222."""
    check_member(expr, declared)
    if expr.member.text == "mean":
        raise refusal("E0205", f"`{expr.model.text}.mean(…)` is a value, no family", expr.span, "no family",
                      hint=f"the factor itself is `{expr.model.text}.p(…)`; a value stands in a family, "
                      f"`Normal(loc = {expr.model.text}.mean(…), scale = 0.1)`")  # fmt: skip
    return expr.args


def check_member(expr: syntax.Of, declared: Mapping[str, object]) -> None:
    """The names of `model.member(node | …)`. Raises Refused: E0201, E0205, E0221, E0222."""
    _check_model(expr.model, declared)
    if expr.member.text not in MEMBERS:
        raise refusal("E0221", f"another model has p, q and mean, no `{expr.member.text}`", expr.member.span, "none of them",
                      hint=did_you_mean(expr.member.text, MEMBERS, f"write `{expr.model.text}.p(…)`"))  # fmt: skip
    if not isinstance(expr.node, syntax.Name):
        raise refusal("E0222", "a factor of another model is named by one of its nodes", expr.node.span, "no name",
                      hint=f"write `{expr.model.text}.{expr.member.text}(v | parent = …)`")  # fmt: skip


def _check_model(name: syntax.Name, declared: Mapping[str, object]) -> None:
    declaration = declared.get(name.text)
    if declaration is None:
        models = [n for n, d in declared.items() if isinstance(d, syntax.Use)]
        raise refusal("E0201", f"there is no model `{name.text}`", name.span, "not declared",
                      hint=did_you_mean(name.text, models, f'declare it: `use {name.text} = "file.sgm"`'))  # fmt: skip
    if not isinstance(declaration, syntax.Use):
        place = getattr(declaration, "name").span  # noqa: B009
        raise refusal("E0205", f"`{name.text}` is no other model: it has no factors", name.span, "no model",
                      labels=[Label(place, "declared here")])  # fmt: skip
