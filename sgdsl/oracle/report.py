"""A report of what was compared comes in; a page of text, or values for JSON, go out."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sgdsl.oracle.cases import Case, Report

CHECKS = {
    "tables": "over all draws: the finite model, expectations by enumeration (float64, to 1e-10)",
    "as it is": "at the same draws: the model as it is, bounds by a plain loop (float64, to 1e-10)",
    "real draws": "the runtime's draws beside those of torch.distributions (within 4 standard errors)",
}
HEAD = ("bound", "labels", "S", "", "expected", "found", "error")


def page(report: Report) -> str:
    """The plan, a table a check with the worst case of each line, what was left out, and the verdict."""
    lines = [f"{report.model}: the emitted objective against exact values", ""]
    lines += _plan(report)
    table = [(case, _columns(case, samples)) for case, samples in report.worst()]
    widths = [max(len(row[i]) for row in (HEAD, *(columns for _, columns in table))) for i in range(len(HEAD))]
    for check, title in CHECKS.items():
        rows = [(case, columns) for case, columns in table if case.check == check]
        if rows:
            lines += ["", title, _line(HEAD, widths)]
            lines += [_line(columns, widths) + _mark(case) for case, columns in rows]
    lines += ["", *_left_out(report)] if report.skipped or report.biased else [""]
    wrong = sum(not case.right for case in report.cases)
    verdict = (
        f"all {len(report.cases)} comparisons agree"
        if not wrong
        else f"OFF: {wrong} of {len(report.cases)} comparisons"
    )
    if not report.cases:
        verdict = "OFF: nothing was small enough to be compared"
    elif report.differences:
        verdict += "; OFF: the plans differ"
    return "\n".join([*lines, verdict]) + "\n"


def _plan(report: Report) -> Iterator[str]:
    yield f"plan identical: {'no' if report.differences else 'yes'}"
    yield from (f"    {line}" for line in report.differences)
    yield from (f"    {name}: {change}" for name, change in report.replaced.items())


def _left_out(report: Report) -> Iterator[str]:
    for name in report.biased:
        yield f"{name} is relaxed, a biased estimator: its expectation is that of a scored class in the finite model;"
        yield "    its own draws are compared draw by draw, the value and the gradient along their path"
    yield from (f"left out: {line}" for line in report.skipped)


def _columns(case: Case, samples: tuple[int, ...]) -> tuple[str, ...]:
    norm = case.what == "gradient"
    numbers = (_number(case.expected), _number(case.found))
    return (
        case.bound,
        ", ".join(case.known) or "–",
        " ".join(map(str, samples)),
        case.what,
        *(f"‖{n}‖" if norm else n for n in numbers),
        f"{case.error:.1e}" if case.error else "0",
    )


def _number(value: float) -> str:
    return f"{value:.9f}" if math.isfinite(value) else "–"


def _line(columns: tuple[str, ...], widths: list[int]) -> str:
    left = [c.ljust(w) for c, w in zip(columns[:4], widths[:4], strict=True)]
    right = [c.rjust(w) for c, w in zip(columns[4:], widths[4:], strict=True)]
    return "    " + "  ".join([*left, *right])


def _mark(case: Case) -> str:
    note = f"  {case.note}" if case.note else ""
    return note if case.right else f"  OFF{note}"


def as_dict(report: Report) -> dict[str, object]:
    """Every case, for programs; numbers that are none are null."""
    return {
        "model": report.model,
        "plan_identical": not report.differences,
        "differences": list(report.differences),
        "replaced": dict(report.replaced),
        "biased": list(report.biased),
        "skipped": list(report.skipped),
        "cases": [_case(case) for case in report.cases],
    }


def _case(case: Case) -> dict[str, object]:
    numbers = {"expected": case.expected, "found": case.found, "error": case.error}
    return {
        "check": case.check,
        "bound": case.bound,
        "known": list(case.known),
        "samples": case.samples,
        "what": case.what,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "tolerance": case.tolerance,
        "right": case.right,
        "note": case.note,
    }
