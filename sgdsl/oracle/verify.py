"""A .sgm source comes in; its objective is held against exact values and formulas by hand; a report goes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.as_it_is import check_as_it_is, check_real_draws, prepare
from sgdsl.oracle.cases import Case, Report
from sgdsl.oracle.doubly import gradient_in_the_mean
from sgdsl.oracle.forced import differences, forced
from sgdsl.oracle.loops import check_loops, looped
from sgdsl.oracle.program import BOUNDS, OVERRIDES, Compiled, build, fill
from sgdsl.oracle.small import shrink
from sgdsl.oracle.tables import check_tables

PLAIN = ("objective.gradient=plain",)
UNCLOSED = ("objective.optimise=0",)  # closed forms would hide the draws


def verify(source: Source, overrides: Sequence[str] = ()) -> Report:
    """Everything that `sgdsl verify` compares, for every bound. Raises DiagnosticError where the model is wrong."""
    with _double():
        return _verified(source, overrides)


@contextmanager
def _double() -> Iterator[None]:
    """What has no dtype of its own is float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _verified(source: Source, overrides: Sequence[str]) -> Report:
    own = driver.check(source, overrides)
    if own.model.axes:
        return _with_loops(source, own, overrides)
    small = shrink(own.model, own.plan)
    cases: list[Case] = []
    skipped: dict[str, None] = {}
    unlike: list[str] = []
    for bound in _bounds_for(own):
        plain = PLAIN if own.plan.gradient == "dreg" and bound != "iw" else ()
        full = driver.check(source, (*overrides, *OVERRIDES[bound], *plain))
        samples = (f"objective.samples={full.plan.samples}",)
        text = Source(f"{source.name} (finite)", small.text)
        tables = forced(driver.check(text, (*OVERRIDES[bound], *samples)), full)
        unlike += [f"{bound}: {line}" for line in differences(tables.plan, full.plan)]
        as_written = _as_written(full, bound)
        for found, large in (check_tables(_finite(tables, bound)), check_as_it_is(as_written)):
            cases += found
            skipped.update(dict.fromkeys(large))
        if bound == _bound_of(own):
            unclosed = driver.check(source, (*overrides, *OVERRIDES[bound], *UNCLOSED))
            cases += check_real_draws(_as_written(unclosed, bound))
        if as_written.doubly:
            without = driver.check(source, (*overrides, *OVERRIDES[bound], *PLAIN))
            cases += gradient_in_the_mean(as_written, _as_written(without, bound))
    cases.sort(key=lambda case: ("tables", "as it is", "real draws").index(case.check))
    return Report(own.model.name, tuple(unlike), small.replaced, _biased(own), tuple(cases), tuple(skipped))


def _with_loops(source: Source, own: driver.Checked, overrides: Sequence[str]) -> Report:
    """Loops are written out by the oracle: the model as it is, draw by draw."""
    cases: list[Case] = []
    skipped: dict[str, None] = {"the finite model: loops are compared as they are": None}
    for bound in _bounds_for(own):
        plain = PLAIN if own.plan.gradient == "dreg" and bound != "iw" else ()
        full = driver.check(source, (*overrides, *OVERRIDES[bound], *plain))
        found, large = check_loops(looped(_as_written(full, bound), full.plan))
        cases += found
        skipped.update(dict.fromkeys(large))
        if bound == _bound_of(own):
            unclosed = driver.check(source, (*overrides, *OVERRIDES[bound], *UNCLOSED))
            cases += check_real_draws(_as_written(unclosed, bound))
    cases.sort(key=lambda case: ("as it is", "real draws").index(case.check))
    return Report(own.model.name, (), {}, _biased(own), tuple(cases), tuple(skipped))


def _biased(checked: driver.Checked) -> tuple[str, ...]:
    return tuple(n for n, choice in checked.plan.choices.items() if choice.relaxed)


def _bounds_for(checked: driver.Checked) -> tuple[str, ...]:
    """Every bound that the file's estimators can serve: iw has no sum_and_sample."""
    sampled = any(choice.name == "sum_and_sample" for choice in checked.plan.choices.values())
    return tuple(b for b in BOUNDS if b != "iw" or not sampled)


def _finite(tables: driver.Checked, bound: str) -> Compiled:
    compiled = build(driver.emit(tables), bound)
    fill(compiled.module, 0.7)
    return compiled


def _as_written(full: driver.Checked, bound: str) -> Compiled:
    """With torch's initial weights from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        compiled = build(driver.emit(full), bound)
    prepare(compiled)
    return compiled


def _bound_of(checked: driver.Checked) -> str:
    """The name here of the bound that the file asks for."""
    plan = checked.plan
    return "jensen" if plan.bound == "snis" and plan.marginal == "jensen" else plan.bound
