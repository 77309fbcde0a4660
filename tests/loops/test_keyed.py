"""The oracle of loops itself: on models without loops it must agree with emitted code."""

from __future__ import annotations

import pytest

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.as_it_is import prepare
from sgdsl.oracle.loops import check_loops, looped
from sgdsl.oracle.program import BOUNDS, OVERRIDES, build
from tests.oracle.program import MODELS


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["families", "relaxed", "nine_after_listed", "gauss_scored", "missing"])
def test_flat_models_agree_at_keyed_draws(name: str, bound: str) -> None:
    """Protects draws that are functions of their parameters, and the bound by hand at them: every family, relaxed and
    scored classes, enumeration, missing cells; values and gradients."""
    full = driver.check(Source(name, (MODELS / f"{name}.sgm").read_text()), OVERRIDES[bound])
    compiled = build(driver.emit(full), bound)
    prepare(compiled)
    found, skipped = check_loops(looped(compiled, full.plan))
    assert found
    assert not skipped
    assert not [case for case in found if not case.right]
