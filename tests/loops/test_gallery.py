"""The gallery of loops: every model steps with finite values and gradients, is drawn, and is asked as it was drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import sgdsl
from sgdsl import driver
from sgdsl.backend.dot import dot
from sgdsl.base.source import Source
from sgdsl.oracle.verify import verify
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from sgdsl.runtime.queries import Queries
from tests.loops.rows import ROWS, rows_of

GALLERY = sorted((Path(__file__).parents[2] / "models" / "loops").glob("*.sgm"))
SAMPLES = 2


def built(path: Path) -> Queries:
    torch.manual_seed(0)
    found: Queries = load(driver.compile_source(driver.read(path)).text, path.stem).Model()
    return found


@pytest.mark.parametrize("path", GALLERY, ids=lambda p: p.stem)
def test_a_step_and_its_queries(path: Path) -> None:
    model = built(path)
    values, known = rows_of(model, torch.float32)
    draws = Draws(torch.Generator().manual_seed(1))
    step = model(make_batch(model, values, known), draws)
    assert step.bound.shape == (ROWS,)
    assert bool(step.bound.isfinite().all())
    step.objective.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters() if p.requires_grad)
    seen = {n: v[None] for n, v in values.items() if model.NODES[n].role != "supervised"}
    drawn = model.draw_q(seen, {}, draws, SAMPLES)
    log_q = torch.stack(list(model.log_q(drawn.values).values())).sum(0)
    assert drawn.log_r.shape == (SAMPLES, ROWS)
    torch.testing.assert_close(log_q, drawn.log_r, rtol=1e-5, atol=1e-4)
    given = {n: v[None] for n, v in values.items() if model.NODES[n].role == "given"}
    made = model.draw_p(given, {}, draws, SAMPLES, rows=ROWS)
    assert all(bool(v.double().isfinite().all()) for v in made.values.values())


@pytest.mark.parametrize(("name", "at"), [("dkf", "T = 20"), ("vrnn", "T = 10"), ("statistician", "N = 8")])
def test_no_copy_is_written_out(name: str, at: str) -> None:
    """The text is as long for many copies as for few."""
    text = next(p for p in GALLERY if p.stem == name).read_text(encoding="utf-8")
    few, many = (text.replace(at, f"{at[0]} = {n}") for n in (5, 1000))
    lines = [len(driver.compile_source(Source("m.sgm", t)).text.splitlines()) for t in (few, many)]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("path", GALLERY, ids=lambda p: p.stem)
def test_each_loop_is_a_box_of_the_picture(path: Path) -> None:
    model = driver.check(driver.read(path)).model
    assert dot(model).count("subgraph") >= len(model.axes)


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in GALLERY if p.stem != "multi_mnist"], ids=lambda p: p.stem)
def test_verify_agrees(path: Path) -> None:
    assert verify(driver.read(path)).right


def test_lamps_learn_without_a_line_of_q(tmp_path: Path) -> None:
    """The file has no q: what is made trains on rows with missing cells and missing labels, and then tells kinds."""
    random = np.random.default_rng(0)
    rows, kinds = 240, 6
    kind = random.integers(0, kinds, rows)
    reading = random.normal(size=(kinds, 5, 12))[kind] + 0.3 * random.normal(size=(rows, 5, 12))
    reading[random.random(reading.shape) < 0.3] = np.nan
    age = np.exp(0.3 * kind + 0.1 * random.normal(size=rows))
    data = {
        "reading": reading, "site": random.integers(0, 4, rows),
        "kind": np.where(random.random(rows) < 0.5, kind, -1), "age": np.where(random.random(rows) < 0.5, age, np.nan),
    }  # fmt: skip
    path = next(p for p in GALLERY if p.stem == "lamps")
    found = sgdsl.fit(sgdsl.compile(path), data, out=tmp_path / "run", quiet=True, epochs=20, batch=40, lr=3e-3, seed=0)
    epochs = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert epochs[-1]["bound"]["unlabelled"] > epochs[0]["bound"]["unlabelled"] + 20
    told = np.asarray(found.posterior(reading, site=data["site"])["kind"])
    hidden = data["kind"] < 0
    assert (
        told.reshape(rows, kinds).argmax(1)[hidden] == kind[hidden]
    ).mean() > 0.4  # of 6 kinds; 109 rows, so that chance is 0.17 ± 0.04
