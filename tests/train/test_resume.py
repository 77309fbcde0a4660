"""A run that was stopped goes on to the bit, with its own rows alone, and the last checkpoint stays whole."""

from __future__ import annotations

import json
import signal
from types import TracebackType
from typing import Any

import pytest
import torch

import sgdsl
from sgdsl.train import fit as fit_module
from sgdsl.train.checkpoint import load
from sgdsl.train.errors import Interrupted, RunError, TrainingError
from sgdsl.train.progress import Silent
from tests.train.small import AFTER, TINY, Fit, clusters, codes, images, records, same, weights_of

LONG = ("train.average=0.9", "train.schedule=linear", "train.warmup=3", "train.batch=20")


@pytest.mark.parametrize("text", [TINY, AFTER, AFTER.replace("mlp(8)", "mlp(8, dropout = 0.2)")])
def test_two_epochs_and_two_more_are_four(fitted: Fit, text: str) -> None:
    """A resumed run has the weights, averages, optimiser and noise (dropout's too) of one that never stopped."""
    data = clusters() if text == TINY else images()
    constant = ("train.average=0.9", "train.batch=20")
    whole = fitted(data, *constant, "train.epochs=4", text=text)
    half = fitted(data, *constant, "train.epochs=2", text=text)
    resumed = fitted(data, *constant, "train.epochs=4", text=text, resume=half.folder)
    assert same(weights_of(whole), weights_of(resumed))
    a, b = (
        load(whole.folder / "checkpoints/last.safetensors")[0],
        load(resumed.folder / "checkpoints/last.safetensors")[0],
    )
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    strip = [{k: v for k, v in r.items() if k not in ("seconds", "rows_per_second")} for r in records(resumed)]
    assert strip == [{k: v for k, v in r.items() if k not in ("seconds", "rows_per_second")} for r in records(whole)]
    facts = json.loads((resumed.folder / "run.json").read_text())
    assert (facts["status"], facts["exit"], len(facts["resumed"])) == ("done", 0, 1)


class PressesCtrlC(Silent):
    """Someone who presses Ctrl-C after some step."""

    def __init__(self, at: int, times: int = 1) -> None:
        self.at, self.times, self.last = at, times, 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tick(self, step: int, rows: int) -> None:
        self.last = step
        if step >= self.at and self.times:
            self.times -= 1
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_saves_inside_an_epoch_and_the_run_goes_on_to_the_bit(
    fitted: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell put the tests into the background
    whole = fitted(images(), *LONG, "train.epochs=3", text=AFTER)
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "watch", lambda *_: PressesCtrlC(7))
        with pytest.raises(Interrupted) as stopped:
            fitted(images(), *LONG, "train.epochs=3", text=AFTER)
    assert stopped.value.step == 7
    facts = json.loads((stopped.value.folder / "run.json").read_text())
    assert (facts["status"], facts["exit"], facts["step"]) == ("interrupted", 130, 7)
    resumed = fitted(images(), *LONG, "train.epochs=3", text=AFTER, resume=stopped.value.folder)
    assert same(weights_of(whole), weights_of(resumed))
    assert [r["bound"] for r in records(resumed)] == [r["bound"] for r in records(whole)]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_is_taken_at_its_word(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(PressesCtrlC):
        def tick(self, step: int, rows: int) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fit_module, "watch", lambda *_: Twice(1))
    with pytest.raises(KeyboardInterrupt) as stopped:
        fitted(clusters())
    assert not isinstance(stopped.value, Interrupted)


def test_records_after_the_checkpoint_are_written_again(fitted: Fit) -> None:
    """A machine that died after an epoch's record but before its checkpoint must not leave the epoch twice."""
    run = fitted(clusters())
    with open(run.folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({**records(run)[-1], "epoch": 3, "step": 999}) + '\n{"epoch": 4, "st')
    resumed = fitted(clusters(), "train.epochs=4", resume=run.folder)
    assert [r["epoch"] for r in records(resumed)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "overrides", "says"),
    [
        (clusters(seed=1), (), "other rows"),
        (clusters(), ("train.batch=8",), "other rows a step"),
        (clusters(), ("objective.alpha=9",), "other rows a step"),
    ],
)
def test_a_run_does_not_go_on_with_other_rows(fitted: Fit, data: Any, overrides: tuple[str, ...], says: str) -> None:
    run = fitted(clusters())
    with pytest.raises(TrainingError, match=says) as error:
        fitted(data, *overrides, resume=run.folder)
    assert codes(error) == ["E0652"]


def test_a_checkpoint_of_another_model_is_refused(fitted: Fit) -> None:
    run = fitted(clusters())
    with pytest.raises(TrainingError, match="of another model"):
        fitted(clusters(), text=TINY.replace("mlp(8)", "mlp(9)"), resume=run.folder)


def test_the_last_checkpoint_survives_a_write_that_fails(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written aside, then renamed: what is there is whole, and nothing half-written stays."""
    run = fitted(clusters())
    before = (run.folder / "checkpoints/last.safetensors").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises((RunError, OSError), match="No space left"):
        fitted(clusters(), "train.epochs=4", resume=run.folder)
    assert (run.folder / "checkpoints/last.safetensors").read_bytes() == before
    assert sorted(p.name for p in (run.folder / "checkpoints").iterdir()) == ["last.safetensors", "weights.safetensors"]


def test_a_run_that_stopped_early_stays_stopped(fitted: Fit) -> None:
    setting = ("train.patience=1", "train.epochs=40", "train.lr=0.5")
    run = fitted(clusters(), *setting)
    again = fitted(clusters(), *setting, resume=run.folder)
    assert len(records(again)) == len(records(run)) < 40
    assert same(weights_of(run), weights_of(again))


def test_a_refused_resume_leaves_the_folder_as_it_was(fitted: Fit) -> None:
    run = fitted(clusters())
    before = {p: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}
    for text, data, options in (
        (TINY, clusters(seed=1), {}),
        (TINY.replace("mlp(8)", "mlp(9)"), clusters(), {}),
        (TINY, clusters(), {"out": run.folder.parent / "other"}),
    ):
        with pytest.raises((TrainingError, RunError)):
            fitted(data, "train.epochs=3", text=text, resume=run.folder, **options)
    assert before == {p: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}


def test_a_run_killed_before_its_first_checkpoint_says_so(fitted: Fit) -> None:
    """Protects who finds a folder without weights: neither going on nor loading ends in a traceback, both say what to do."""
    run = fitted(clusters())
    for file in (run.folder / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(TrainingError, match="before the first one") as resumed:
        fitted(clusters(), resume=run.folder)
    with pytest.raises(RunError, match="before its first checkpoint") as loaded:
        sgdsl.Run.load(run.folder)
    assert codes(resumed) == ["E0652"]
    assert codes(loaded) == ["E0662"]
    assert all("--force" in e.value.diagnostics[0].hint for e in (resumed, loaded))
