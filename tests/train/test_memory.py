"""The memory of a run before it is begun, against what torch's allocator hands out while it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.memory import allocated
from sgdsl.train import arithmetic
from sgdsl.train.assemble import assemble, reproducible
from sgdsl.train.dry_run import dry_run
from sgdsl.train.ledger import Ledger
from sgdsl.train.loop import advance
from sgdsl.train.prepare import build, prepare
from sgdsl.train.settings import settings_of
from tests.train.small import AFTER, TINY, program

LABELS = 'data npz(file = "none", labels = 30)\n'
ENUMERATED = TINY.replace("binary[8]", "binary[300]").replace("mlp(8)", "mlp(200, 100)") + LABELS
SAMPLED = ENUMERATED.replace("q(y | x)    = Categorical(mlp(200, 100))", "q(y | x) = Categorical(mlp(200)) by score")
CONVOLVED = (AFTER + LABELS).replace("unit[1, 6, 6]", "unit[1, 16, 16]").replace(
    "q(z | x) = Normal(mlp(8))", "q(z | x) = Normal(conv(8, 16) >> mlp(32)) "
)  # fmt: skip


def rows(text: str, count: int = 200) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shape = (count, 1, 16, 16) if "unit" in text else (count, 300)
    return {"x": random.integers(0, 256 if "unit" in text else 2, shape, dtype=np.uint8), "y": np.arange(count) % 3}


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (ENUMERATED, ("train.batch=64", "train.average=0.9")),
        (ENUMERATED, ("train.batch=64", "objective.samples=8", "train.precision=bf16")),
        (SAMPLED, ("train.batch=128", "objective.samples=4", "train.optimizer=sgd")),
        (CONVOLVED, ("train.batch=32",)),
    ],
    ids=["enumerated", "bf16", "sampled", "convolved"],
)
def test_predicted_memory_is_that_of_the_allocator(
    text: str, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes, not time: within 30 % of the most that was handed out from before the model is built to after two steps."""
    monkeypatch.setattr(arithmetic, "multiplies_bf16", lambda kind: True)
    data, compiled = rows(text), program(text, *settings)
    made = settings_of(compiled)
    memory = dry_run(compiled, data).memory
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, reproducible(made):
        model = build(compiled.text, "tiny")
        state, job = assemble(compiled, model, prepare(compiled, model, made, data, None), made)
        model.train()
        for index in job.schedule.epoch(0).repeat(2, 1)[:2]:
            advance(state, job, index)
    assert memory.training - memory.rows == pytest.approx(allocated(seen), rel=0.3)
    assert memory.weights == sum(p.numel() * 4 for p in model.parameters())
    assert memory.rows >= sum(array.nbytes for array in data.values())


def test_a_dry_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, no file, and the caller's random numbers as they were."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    found = dry_run(program(ENUMERATED), rows(ENUMERATED), rows(ENUMERATED, 20)).as_dict()
    assert not list(tmp_path.iterdir())
    assert torch.equal(torch.rand(2), expected)
    assert found["memory"]["evaluation"] > 0
    assert found["rows"]["labelled"] == 30


def test_a_ledger_counts_storages_that_are_alive() -> None:
    """A view counts nothing, a freed tensor is taken off, what was there before is not counted."""
    before = torch.zeros(1000)
    with Ledger([before]) as ledger:
        kept = before + 1
        assert ledger.live == 4000
        view = kept[:10].reshape(2, 5)
        assert ledger.live == 4000
        del kept
        assert ledger.live == 4000
        gone = view * 2
        del view, gone
        assert ledger.live == 0
        last = before.double()
    assert ledger.peak == 8000
    assert ledger.at_peak([last]) == 8000
