"""The arguments of a family come in; which of them serves which parameter goes out (E0304)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Label
from sgdsl.catalog.families import FamilyRow
from sgdsl.frontend import syntax
from sgdsl.frontend.check.context import Context
from sgdsl.frontend.check.stages import is_network
from sgdsl.frontend.constants import constant
from sgdsl.frontend.report import did_you_mean, listed, refusal

_SYNONYMS = {
    "mu": "loc", "mean": "loc", "sigma": "scale", "std": "scale", "stddev": "scale", "sd": "scale", "p": "probs",
    "prob": "probs", "lambda": "rate", "nu": "df", "dof": "df", "n": "total_count", "logit": "logits", "v": "value",
    "pi": "gate",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """An argument for a parameter, by the name it was written for (`probs` serves logits)."""

    name: str
    expr: syntax.Expr


@dataclass(frozen=True, slots=True)
class Arguments:
    """`own`: by canonical parameter; `shared`: the one network that serves every other; `floor` and its place."""

    own: Mapping[str, Given] = field(default_factory=dict)
    shared: syntax.Expr | None = None
    floor: float | None = None
    floor_arg: syntax.Arg | None = None


def canonical(row: FamilyRow) -> dict[str, str]:
    """Every name that a parameter may be written by, and the parameter."""
    return {**{p.name: p.name for p in row.parameters}, **{other: name for other, name, _ in row.instead}}


def positions(row: FamilyRow) -> tuple[str, ...]:
    """The names in the order of torch.distributions, where a value without a name is probs rather than logits; a triangle has
    its name, since torch has a covariance in its place."""
    first = {name: other for other, name, _ in row.instead}
    return tuple(first.get(p.name, p.name) for p in row.parameters if p.domain != "triangle")


def arguments(row: FamilyRow, args: tuple[syntax.Arg, ...], context: Context) -> Arguments:
    """Raises Refused: E0304, E0305 (floor)."""
    names = canonical(row)
    positional = [a for a in args if a.name is None]
    own: dict[str, Given] = {}
    places: dict[str, syntax.Arg] = {}
    floor = None
    for arg in args:
        if arg.name is None:
            continue
        if arg.name.text == "floor":
            if floor is not None:
                raise refusal("E0304", "`floor` is given twice", arg.name.span, "again")
            floor = arg
            continue
        name = _parameter(row, arg.name, names)
        _once(name, arg, places)
        own[name] = Given(arg.name.text, arg.value)
    networks = [a for a in positional if is_network(a.value, context)]
    shared = None
    if networks:
        shared = _shared(row, positional, networks[0], own)
    else:
        for written, arg in zip(positions(row), positional, strict=False):
            _once(names[written], arg, places)
            own[names[written]] = Given(written, arg.value)
        if len(positional) > len(positions(row)):
            extra = positional[len(positions(row))]
            takes = listed(positions(row))
            named = ", ".join(f"`{p.name} = …`" for p in row.parameters if p.domain == "triangle")
            raise refusal("E0304", f"`{row.name}` takes {takes}, no further value", extra.span, "one too many",
                          hint=f"by its name: {named}" if named else "")  # fmt: skip
    return Arguments(own, shared, _floor(floor, context), floor)


def _parameter(row: FamilyRow, name: syntax.Name, names: Mapping[str, str]) -> str:
    if name.text not in names:
        otherwise = f"its parameters: {', '.join(names)}"
        raise refusal("E0304", f"`{row.name}` has no parameter `{name.text}`", name.span, "not a parameter",
                      hint=did_you_mean(name.text, [*names, "floor"], otherwise, _SYNONYMS))  # fmt: skip
    return names[name.text]


def _once(name: str, arg: syntax.Arg, places: dict[str, syntax.Arg]) -> None:
    if name in places:
        labels = [Label(places[name].span, "the first")]
        raise refusal("E0304", f"`{name}` is given twice", arg.span, "again", labels=labels)
    places[name] = arg


def _shared(row: FamilyRow, positional: list[syntax.Arg], network: syntax.Arg, own: Mapping[str, Given]) -> syntax.Expr:
    """One network without a name serves every parameter that is not named."""
    if len(positional) > 1:
        other = next(a for a in positional if a is not network)
        names = positions(row)
        example = ", ".join(f"{n} = …" for n in names[:2])
        raise refusal("E0304", "arguments without a name are either one network, or values", other.span, "beside a network",
                      labels=[Label(network.span, "the network")], hint=f"name them: `{row.name}({example})`")  # fmt: skip
    if all(p.name in own for p in row.parameters):
        raise refusal(
            "E0304", "every parameter is given by its name: the network serves none", network.span, "serves nothing"
        )
    return network.value


def _floor(arg: syntax.Arg | None, context: Context) -> float | None:
    if arg is None:
        return None
    value = constant(arg.value, context.draft.consts)
    if value <= 0:
        raise refusal("E0305", f"`floor` must be above 0, not {value:g}", arg.value.span, "not above 0")
    return float(value)
