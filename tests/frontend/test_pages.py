"""Every code has a page, whose wrong program makes exactly that mistake and whose right one makes none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.catalog.errors import ERRORS, ErrorPage

PAGE = str(Path(__file__).parent / "pages" / "page.sgm")  # beside the model that pages use
PROGRAMS = [page for page in ERRORS.values() if not page.command]
PACKAGE = Path(driver.__file__).parent


def codes(text: str) -> list[str]:
    """The codes of all diagnostics of a program, warnings and notes among them."""
    try:
        checked = driver.check(Source(PAGE, text))
        return [d.code for d in (*checked.notes, *driver.remarks(checked))]
    except DiagnosticError as error:
        return [d.code for d in error.diagnostics]


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda p: p.code)
def test_wrong_program_makes_exactly_its_mistake(page: ErrorPage) -> None:
    """Protects the pages from drifting away from the compiler, and one slip from costing two messages."""
    assert set(codes(page.wrong)) == {page.code}


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda p: p.code)
def test_right_program_is_clean(page: ErrorPage) -> None:
    """Protects the cure: it compiles without so much as a warning, to the end."""
    assert codes(page.right) == []
    assert "class Model" in driver.compile_source(Source(PAGE, page.right)).text


def test_every_code_in_the_package_has_a_page() -> None:
    """Protects `sgdsl explain`: no message names a code that it cannot explain, and no page is left over."""
    used = {
        code
        for path in PACKAGE.rglob("*.py")
        for code in re.findall(r'"([EWN]0\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert used == set(ERRORS)
