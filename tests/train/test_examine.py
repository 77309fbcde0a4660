"""The closer look at held-out rows, on a model whose answers can be known: it is trained, or its weights are set by hand."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.runtime import ask
from sgdsl.runtime.queries import Queries
from sgdsl.train.evaluate import finite, rows_tensor, supervised
from sgdsl.train.examine import beliefs, disentanglement, likelihoods
from sgdsl.train.fit import fit
from sgdsl.train.measure import Held, scores
from sgdsl.train.run import Run
from tests.train.small import AFTER, TINY, Fit, clusters, images, program

LONGER = ("train.epochs=40",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Clusters that are told apart: 300 rows, 150 held out."""
    out = tmp_path_factory.mktemp("examine") / "run"
    return fit(program(TINY, *LONGER), clusters(300), test=clusters(150, seed=1), out=out, quiet=True)


def test_a_good_model_is_found_good(trained: Run) -> None:
    """Protects the wiring of every part on real answers: Bayes' own error of these clusters is under 7 %, so that the beliefs by
    q and by p are nearly always right, the samples and the edits of each class show it, y is carried by q(y) alone."""
    found = trained.evaluate().as_dict()
    y = found["beliefs"]["y"]
    assert y["q"]["error"] == pytest.approx(found["scores"]["y"]["value"])
    assert np.trace(y["q"]["confusion"]) == round((1 - y["q"]["error"]) * 150)
    assert y["p"]["error"] < 0.15
    assert 1 <= y["p"]["ess"] <= y["p"]["draws"] == 24
    generated = found["generation"]["y"]
    assert generated["judge"] > 0.7
    assert generated["conditional"] > 0.8
    assert generated["swap"] > 0.8
    assert found["disentanglement"]["mig"]["y"] > 0.5
    assert found["disentanglement"]["information"].keys() == {"y", "z[0]", "z[1]"}
    assert 1 < found["likelihood"]["ess"] <= 50
    json.dumps(found, allow_nan=False)


def test_a_model_that_ignores_the_label_is_found_out(trained: Run) -> None:
    """The same run with a decoder that sees neither y nor z: samples show their class by chance, edits as often as another
    class is shown; p no longer knows y."""
    module = copy.deepcopy(trained.module)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith("p_x"):
                weight.zero_()
    found = replace(trained, module=module).evaluate().as_dict()
    assert found["generation"]["y"]["conditional"] < 0.5
    assert found["generation"]["y"]["swap"] < 0.5
    assert found["beliefs"]["y"]["p"]["error"] > 0.5
    assert found["beliefs"]["y"]["q"]["error"] < 0.15


def test_likelihoods_are_those_of_the_rows(trained: Run) -> None:
    """log p of all 256 patterns sums to at most 1 (an importance-sampled log p is a lower bound), and to nearly all of it."""
    bits = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.float32)
    again = Run.load(trained.folder, {"x": bits})
    _, table = again.rows()
    rows = rows_tensor(np.arange(256), again.device)
    found = likelihoods(again.module, table, Held(rows, {}, 400))
    assert float(found.log_p.double().exp().sum()) == pytest.approx(1.0, abs=0.03)
    assert found.k.shape == found.ess.shape == (256,)


def test_what_cannot_be_measured_is_left_out(fitted: Fit) -> None:
    """Without labels among the held-out rows, or with too few draws to tell a tail: null or empty, not a number; a table."""
    run = fitted(clusters(90), test={"x": clusters(40)["x"], "y": np.full(40, -1)}, text=TINY)
    dataset, table = run.rows()
    held = Held(rows_tensor(dataset.test, run.device), supervised(run.module, table), 8)
    assert beliefs(run.module, table, held) == {}
    assert disentanglement(run.module, table, held) is None
    found = run.evaluate(samples=5).as_dict()
    assert found["likelihood"]["pareto_k"] is None
    assert found["generation"] == {}
    assert finite({"a": [float("nan"), 1.0]}) == {"a": [None, 1.0]}


def test_errors_are_measured_on_what_training_binarises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the printed error from a shift between training and measuring: grey levels that training draws as 0 and 1 reach q
    as 0 and 1, the same ones at every call."""
    settings = ("train.epochs=1",)
    run = fit(program(AFTER, *settings), images(60), test=images(30, seed=1), out=tmp_path / "run", quiet=True)
    dataset, table = run.rows()
    assert table.columns["x"].ink == "dynamic"
    held = Held(rows_tensor(dataset.test, run.device), supervised(run.module, table))
    seen: list[torch.Tensor] = []
    asked = ask.posterior

    def spied(model: Queries, values: dict[str, torch.Tensor], *others: Any) -> Any:
        seen.append(values["x"])
        return asked(model, values, *others)

    monkeypatch.setattr(ask, "posterior", spied)
    first, again = (scores(run.module, table, held) for _ in range(2))
    assert first == again
    beliefs(run.module, table, held)
    assert all(set(x.unique().tolist()) == {0.0, 1.0} for x in seen)
    assert torch.equal(seen[0], seen[1])
