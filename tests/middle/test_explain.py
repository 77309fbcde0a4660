"""`sgdsl explain MODEL`: golden pages of every shipped model. SGDSL_GOLDEN=write makes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sgdsl import driver

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "models").glob("*.sgm"))
GOLDEN = Path(__file__).parent / "explain"


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_what_is_drawn_enumerated_and_weighed(path: Path) -> None:
    """The plan of a shipped model changes only on purpose, and the page says it in words."""
    page = driver.explained(driver.check(driver.read(path)))
    golden = GOLDEN / f"{path.stem}.txt"
    if os.environ.get("SGDSL_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(page)
    assert page == golden.read_text()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("mnist", "weights: constant, log q(labels | x) exact"),
        ("m1_m2", "importance sampling over z1, S = 8; write y before z1 in q to avoid it"),
        ("vae", "weights: none; the bound is the ELBO"),
        ("gmvae", "c : enumerated, 10 cases, weighed by q"),
        ("adgm", "importance sampling over a, S = 4"),
    ],
)
def test_the_pages_say_the_right_thing(model: str, sentence: str) -> None:
    """Golden files could be wrong all along: what objective.md says of these graphs is asserted in words."""
    path = ROOT / "models" / f"{model}.sgm"
    assert sentence in driver.explained(driver.check(driver.read(path)))
