"""Calls of a family's runtime functions as text: a factor's node, value and parameters come in, a density or a draw goes out."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsl.backend.writer import tuple_of
from sgdsl.catalog.families import FAMILIES
from sgdsl.middle import ir

WEIGHTS = "weights"  # the first parameter of a mixture


def parameter_names(factor: ir.Factor) -> tuple[str, ...]:
    """What the factor's method returns."""
    names = tuple(p.name for p in FAMILIES[factor.family].parameters)
    return (WEIGHTS, *names) if factor.mixture else names


def runtime_family(factor: ir.Factor) -> str:
    """The family's name in NodeInfo."""
    prefix = FAMILIES[factor.family].runtime
    return f"mixture_{prefix}" if factor.mixture else prefix


def log_prob(
    factor: ir.Factor,
    node: ir.Node,
    value: str,
    parameters: Sequence[str],
    present: str,
    soft: bool,
    entry: str = "",
    up: str = "",
) -> str:
    """log p or log q, [S or 1, entries]. `present`: the mask of a partial node, whose missing cells leave the sum; `soft`:
    the value is a vector of weights; `entry`: the index of the parameters' entries, "" where they stand at the value's; `up`:
    that of the value's, "" where it stands at the parameters'."""
    prefix, dims = FAMILIES[factor.family].runtime, len(node.type.event)
    if soft and node.type.one_hot:
        prefix = "categorical_soft"
    elif node.type.first and prefix == "categorical":
        value = f"{value} - {node.type.first}"
    if factor.mixture:
        weights, *rest = parameters
        return f"mixture_log_prob({weights}, {prefix}_log_prob(among({value}), {', '.join(rest)}, event={dims}))"
    if present:
        cells = f"{prefix}_log_prob({value}, {', '.join(parameters)})"
        return f"over_present({present}, {cells}, event={dims})"
    if up:
        return f"{prefix}_log_prob_lifted({value}, {up}, {', '.join(parameters)}, event={dims})"
    at, where = ("_at", f"{entry}, ") if entry else ("", "")
    return f"{prefix}_log_prob{at}({value}, {', '.join(parameters)}, {where}event={dims})"


def expected_log_prob(node: ir.Node, q: Sequence[str], p: Sequence[str]) -> str:
    """log p, or log q where `p` is empty, averaged over a Normal q with parameters `q`, [S or 1, entries]."""
    name = "normal_expected_log_prob" if p else "normal_negative_entropy"
    return f"{name}({', '.join((*q, *p))}, event={tuple_of(map(str, node.type.event))})"


def draw(factor: ir.Factor, node: ir.Node, prefix: str, entries: str, parameters: Sequence[str], options: str) -> str:
    """A draw of the factor's node, [S, entries, *event]."""
    if factor.mixture:
        weights, *rest = parameters
        size = ("samples", entries, len(factor.mixture.experts), *node.type.event)
        return f"draws.mixture({weights}, draws.{prefix}(({', '.join(map(str, size))}), {', '.join(rest)}))"
    size = ("samples", entries, *node.type.event)
    return f"draws.{prefix}(({', '.join(map(str, size))}), {', '.join(parameters)}{options})"
