"""Golden diagnostics: each wrong program beside the messages that it must give, to the column and the letter.

After a deliberate change: SGDSL_GOLDEN=write pytest tests/frontend/test_wrong.py, and read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.render import render
from sgdsl.frontend.read import read_source

FOLDER = Path(__file__).parent / "wrong"
PROGRAMS = sorted(FOLDER.glob("*.sgm"))
SEVERAL = {"many_names", "one_slip_each", "too_many_weights"}


def messages(path: Path) -> str:
    """What a user reads, without colour; paths relative to the folder."""
    source = None
    try:
        source = read_source(path)
        driver.check(source)
    except DiagnosticError as error:
        shown = "\n\n".join(render(d, color=False, source=source) for d in error.diagnostics) + "\n"
        return shown.replace(f"{path.parent}/", "")
    return "no mistake was found\n"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_wrong_program_says_what_is_wrong(path: Path) -> None:
    """Protects code, place, words and hint of every kind of mistake."""
    found, golden = messages(path), path.with_suffix(".txt")
    if os.environ.get("SGDSL_GOLDEN") == "write":
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in PROGRAMS if p.stem not in SEVERAL], ids=lambda p: p.stem)
def test_one_slip_one_message(path: Path) -> None:
    """Protects from cascades: a program with one mistake gives one diagnostic."""
    assert messages(path).count("\nerror[") + messages(path).startswith("error[") == 1


def test_there_are_enough_of_them() -> None:
    """Protects the corpus: at least as many wrong programs as the language has kinds of mistakes."""
    assert len(PROGRAMS) >= 100
