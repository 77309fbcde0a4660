"""The fixture that trains a small model in a folder of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgdsl.train.fit import fit
from sgdsl.train.run import Run
from tests.train.small import TINY, Fit, program


@pytest.fixture
def fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Trains in a folder of the test: `fitted(data, "train.epochs=3", text=AFTER, test=…, out=…)`."""
    monkeypatch.chdir(tmp_path)

    def run(data: object, *overrides: str, text: str = TINY, **options: Any) -> Run:
        return fit(program(text, *overrides), data, quiet=options.pop("quiet", True), **options)

    return run
