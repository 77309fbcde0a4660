"""Evaluations a row as the page tells them are what an emitted step does: its methods' results are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load

ROOT = Path(__file__).parents[2]
ROWS = 3


def counted(method: Any, name: str, found: dict[str, int]) -> Any:
    def call(*args: Any, **options: Any) -> Any:
        result = method(*args, **options)
        parts = [r for r in (result if isinstance(result, tuple) else (result,)) if isinstance(r, torch.Tensor)]
        found[name] = found.get(name, 0) + max(r.shape[0] * r.shape[1] if r.dim() > 1 else 0 for r in parts) // ROWS
        return result

    return call


def evaluations(checked: driver.Checked, known: tuple[str, ...]) -> dict[str, int]:
    """Of every method of a step on three rows, the entries of its results a row, all calls and samples together."""
    name = f"counted_{checked.model.name}_{'_'.join(known)}"
    model: Any = load(driver.emit(checked).text, name).Model()
    size = {n: (ROWS, *(model.RANGES[r].number for r in i.loops)) for n, i in model.NODES.items()}
    values = {n: torch.ones(*size[n], *i.event) for n, i in model.NODES.items() if i.role != "latent"}
    masks = {n: torch.full(size[n], n in known) for n, i in model.NODES.items() if i.role == "supervised"}
    found: dict[str, int] = {}
    for method in [m for m in dir(model) if m.startswith(("encode_", "decode_", "let_"))]:
        setattr(model, method, counted(getattr(model, method), method, found))
    with torch.no_grad():
        model(make_batch(model, values, masks), Draws(torch.Generator().manual_seed(0)))
    return found


MIXED = """model mixed
given      g : class(2)
observed   x : real[3]
supervised y : class(3)
supervised t : real
latent     c : class(4)
latent     z : real[2]
let h = mlp(4)(x)
let k = mlp(4)(z, y)
p(y) = Categorical(learned)
p(t | c) = Normal(table)
p(c | y) = Categorical(table)
p(z) = Normal
p(x | k, t, g) = Normal(mlp(4))
q(z | h, c) = Normal(mlp(4))
q(c | h, y) = Categorical(mlp(4))
q(y | h) = Categorical(mlp(4))
q(t | z) = Normal(mlp(4))
"""
PARTLY = MIXED.replace("q(y | h) = Categorical(mlp(4))", "q(y | h) = Categorical(mlp(4)) by sum_and_sample")
PARTLY = PARTLY.replace("model mixed", "model partly").replace("q(t | z)", "q(t | h)")
SCORED = PARTLY.replace("q(c | h, y) = Categorical(mlp(4))", "q(c | h, y) = Categorical(mlp(4)) by score")
GALLERY = ("mnist", "m1_m2", "adgm", "sdgm", "vfae", "gmvae", "ccvae", "diva", "scanvi")


DOUBLY = (Path(__file__).parents[1] / "oracle" / "models" / "doubly.sgm").read_text()
READ = DOUBLY.replace("q(d | z1, h)       = Delta(linear(1)(z1, h))", "q(d | h)           = Delta(linear(1)(h))")
PROGRAMS = {
    "mixed": MIXED,
    "partly": PARTLY,
    "partly, scored below": SCORED,
    "doubly": DOUBLY,
    "doubly, a Delta of no draw": READ,
}


@pytest.mark.parametrize("name", [*PROGRAMS, *GALLERY])
def test_what_the_page_counts_is_what_the_step_computes(name: str) -> None:
    """Protects the cost that a reader plans with; in every pattern of labels that the page shows."""
    text = PROGRAMS[name] if name in PROGRAMS else (ROOT / "models" / f"{name}.sgm").read_text()
    for wide, narrow in (
        ("500", "5"),
        ("mlp(256)", "mlp(5)"),
        ("128", "5"),
        ("64, 32", "4, 2"),
        ("32, 32, 64", "2, 2, 2"),
    ):
        text = text.replace(wide, narrow)
    checked = driver.check(Source(f"{name}.sgm", text), ["objective.samples=3"])
    for pattern in driver.page(checked).patterns:
        expected = {e.method: e.times(3) for e in pattern.evaluations}
        found = evaluations(checked, pattern.known)
        assert {m: found[m] for m in expected} == expected, pattern.title
        assert all(found[m] == 0 or m.startswith("let_") for m in found.keys() - expected.keys())
