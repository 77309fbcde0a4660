"""`by ESTIMATOR(options)` comes in, an ir.Estimator with every option goes out (E0502)."""

from __future__ import annotations

from sgdsl.catalog.estimators import ESTIMATORS, EstimatorOption, EstimatorRow
from sgdsl.frontend import syntax
from sgdsl.frontend.constants import constant
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.planned import planned_at
from sgdsl.frontend.report import did_you_mean, refusal
from sgdsl.middle import ir

_SYNONYMS = {"tau": "temperature", "temp": "temperature", "t": "temperature"}


def estimator(by: syntax.By, consts: Constants) -> ir.Estimator:
    """Raises Refused: E0190, E0502."""
    row = ESTIMATORS[by.name.text]
    given: dict[str, syntax.Expr] = {}
    for i, arg in enumerate(by.args):
        name = _name(row, by, arg, i)
        if name in given:
            raise refusal("E0502", f"`{name}` is given twice", arg.span, "again")
        given[name] = arg.value
    options = tuple((o.name, _option(row, o, given.get(o.name), by, consts)) for o in row.options)
    return ir.Estimator(row.name, options, by.span)


def _name(row: EstimatorRow, by: syntax.By, arg: syntax.Arg, place: int) -> str:
    names = [o.name for o in row.options]
    if arg.name is None:
        if place >= len(names):
            takes = f"takes {len(names)} option{'s' if len(names) > 1 else ''}" if names else "takes no options"
            raise refusal(
                "E0502", f"`{row.name}` {takes}", arg.span, "one too many", hint=f"write `by {_example(row)}`"
            )
        return names[place]
    if arg.name.text not in names:
        otherwise = f"its options: {', '.join(names)}" if names else f"write `by {row.name}`"
        raise refusal("E0502", f"`{row.name}` has no option `{arg.name.text}`", arg.name.span, "not an option",
                      hint=did_you_mean(arg.name.text, names, otherwise, _SYNONYMS))  # fmt: skip
    return arg.name.text


def _option(
    row: EstimatorRow, option: EstimatorOption, expr: syntax.Expr | None, by: syntax.By, consts: Constants
) -> str | float:
    if expr is None:
        if option.default is None:
            raise refusal("E0502", f"`{row.name}` needs its {option.name}", by.span, f"no {option.name}",
                          hint=f"write `by {_example(row)}`")  # fmt: skip
        return option.default
    if option.kind == "number":
        value = constant(expr, consts)
        if value <= 0:
            raise refusal("E0502", f"the {option.name} must be above 0, not {value:g}", expr.span, "not above 0")
        return float(value)
    if isinstance(expr, syntax.Name) and expr.text in option.planned:
        raise planned_at(f"{option.name} = {expr.text}", expr.span)
    if not isinstance(expr, syntax.Name) or expr.text not in option.choices:
        raise refusal("E0502", f"`{option.name}` is one of: {', '.join((*option.choices, *option.planned))}", expr.span,
                      "none of them")  # fmt: skip
    return expr.text


def _example(row: EstimatorRow) -> str:
    if not row.options:
        return row.name
    option = row.options[0]
    return f"{row.name}(0.66)" if option.kind == "number" else f"{row.name}({option.name} = {option.default})"
