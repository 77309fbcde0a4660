"""One written setting and its row of the catalog come in, its value goes out; E0602 where it is not legal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from sgdsl.catalog.settings import SettingRow
from sgdsl.frontend import syntax
from sgdsl.frontend.constants import constant
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.report import Refused, closest, did_you_mean, refusal
from sgdsl.middle import ir

Value = str | float | int | bool | tuple[tuple[str, float], ...]
_SYNONYMS = {
    "iwae": "iw", "elbo": "snis", "sgdm": "clamped", "gpu": "cuda", "bfloat16": "bf16", "float32": "highest",
    "tf32": "medium", "on": "dynamic", "off": "none", "false": "none", "no": "none", "null": "none",
}  # fmt: skip


def value_of(row: SettingRow, expr: syntax.Expr, consts: Constants, nodes: Mapping[str, ir.Node]) -> Value:
    """Raises Refused: E0602, E0605 (labels of a node that is not supervised)."""
    if isinstance(expr, syntax.Name) and expr.text not in consts:
        return _word(row, expr)
    match row.kind:
        case "word":
            raise _illegal(row, expr)
        case "text" | "path":
            if not isinstance(expr, syntax.Text):
                raise _illegal(row, expr)
            return expr.value
        case "int" | "float":
            return _number(row, expr, consts)
        case "labels":
            return _labels(row, expr, consts, nodes)
        case _:
            assert_never(row.kind)


def _word(row: SettingRow, name: syntax.Name) -> str:
    if name.text in row.words:
        return name.text
    meant = closest(name.text, row.words, _SYNONYMS)
    raise _illegal(row, name, f"did you mean `{meant}`?" if meant else "")


def _illegal(row: SettingRow, expr: syntax.Expr, hint: str = "") -> Refused:
    return refusal("E0602", f"`{row.name}` must be {row.range}", expr.span, f"not legal for `{row.name}`",
                   hint=hint or f"{row.name}: {row.help}")  # fmt: skip


def _number(row: SettingRow, expr: syntax.Expr, consts: Constants) -> float:
    if isinstance(expr, syntax.Text | syntax.Items | syntax.Call | syntax.Pipe):
        raise _illegal(row, expr)
    value = constant(expr, consts)
    if not row.holds(value) or (row.kind == "int" and value != int(value)):
        raise _illegal(row, expr)
    return int(value) if row.kind == "int" else float(value)


def _labels(row: SettingRow, expr: syntax.Expr, consts: Constants, nodes: Mapping[str, ir.Node]) -> Value:
    if isinstance(expr, syntax.Call) and isinstance(expr.function, syntax.Name) and expr.function.text == "each":
        if not expr.args:
            raise _illegal(row, expr)
        found: dict[str, float] = {}
        for arg in expr.args:
            name = _labelled(arg, nodes)
            if name in found:
                raise refusal("E0603", f"`{name}` is given twice", arg.span, "again")
            found[name] = _share(row, arg.value, consts)
        return tuple(found.items())
    return _share(row, expr, consts)


def _labelled(arg: syntax.Arg, nodes: Mapping[str, ir.Node]) -> str:
    supervised = [n for n, node in nodes.items() if node.role == "supervised"]
    if arg.name is None:
        raise refusal("E0602", "each(…) names its nodes", arg.span, "no name", hint="write each(y1 = 100, y2 = 0.1)")
    if arg.name.text not in supervised:
        otherwise = f"supervised nodes: {', '.join(supervised)}" if supervised else "declare a supervised node"
        raise refusal("E0605", f"`{arg.name.text}` is no supervised node", arg.name.span, "has no labels",
                      hint=did_you_mean(arg.name.text, supervised, otherwise))  # fmt: skip
    return arg.name.text


def _share(row: SettingRow, expr: syntax.Expr, consts: Constants) -> float:
    """An int counts rows; a float is a rate."""
    if isinstance(expr, syntax.Text | syntax.Items | syntax.Call | syntax.Pipe):
        raise _illegal(row, expr)
    value = constant(expr, consts)
    if value < 0 or value > 10**9:
        raise _illegal(row, expr)
    if isinstance(value, float) and value > 1:
        raise refusal("E0602", f"a rate of labels is at most 1, not {value:g}", expr.span, "more than every row",
                      hint=f"a number without a point counts rows: `{value:.0f}`")  # fmt: skip
    return value
