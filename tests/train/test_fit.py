"""Whole runs of small models: they learn, they repeat, they go on to the bit, and they see no label they were not given."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
import torch

from sgdsl.train import fit as fit_module
from sgdsl.train.checkpoint import load
from sgdsl.train.errors import Interrupted, RunError, TrainingError
from sgdsl.train.progress import Silent
from sgdsl.train.run import Run
from sgdsl.train.run_folder import saved
from tests.train.small import AFTER, TINY, Fit, clusters, codes, images, same, weights_of

LINE = 'data npz(file = "none", labels = {})\n'  # for the settings; the rows are given to fit
UNSUPERVISED = TINY.replace("supervised y", "latent     y")


def records(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("text", [TINY, AFTER])
def test_a_run_learns_from_a_few_labels(fitted: Fit, text: str) -> None:
    """The whole loop: the bound rises, and 9 labels of 90 rows name the clusters of rows that were never seen."""
    make = clusters if text == TINY else images
    settings = ("train.epochs=60", "train.average=0.9", "train.batch=30", "train.lr=3e-2")
    run = fitted(make(), *settings, text=text + LINE.format(9), test=make(60, 1))
    first, last = records(run)[0], records(run)[-1]
    assert last["epoch"] == 60
    assert last["bound"]["unlabelled"] > first["bound"]["unlabelled"]
    assert run.evaluate(samples=4).scores["y"].value < 0.2


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fitted: Fit) -> None:
    a, b, c = (weights_of(fitted(images(), text=AFTER, seed=s)) for s in (1, 1, 2))
    assert same(a, b)
    assert not same(a, c)


def test_a_run_leaves_the_callers_random_numbers_and_precision_alone(fitted: Fit) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fitted(clusters(), "train.precision=medium")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_float32_matmul_precision() == "highest"


def test_labels_that_were_not_granted_have_no_influence(fitted: Fit) -> None:
    """Trap 3 and 4: the labels of all other rows may be anything; the weights are equal to the bit."""
    data = clusters()
    run = fitted(data, text=TINY + LINE.format(6))
    granted = run.prepared.split.granted["y"] if run.prepared else None
    assert granted is not None
    assert granted.sum() == 6
    scrambled = {**data, "y": np.where(granted, data["y"], 0), "y_known": granted}
    again = fitted(scrambled)
    assert same(weights_of(run), weights_of(again))


def test_all_labels_none_and_no_supervised_node_train(fitted: Fit) -> None:
    data = clusters()
    hidden = {**data, "y": np.full(90, -1)}
    everything, nothing, latent = fitted(data), fitted(hidden), fitted({"x": data["x"]}, text=UNSUPERVISED)
    assert records(everything)[-1]["bound"]["unlabelled"] is None
    for run in (nothing, latent):
        assert records(run)[-1]["bound"]["labelled"] is None
        assert records(run)[-1]["error"] == {}


@pytest.mark.parametrize(
    "settings",
    [
        ("train.precision=bf16",),
        ("train.clip=0.1",),
        ("train.optimizer=adamw", "train.weight_decay=0.1"),
        ("train.optimizer=sgd",),
        ("train.schedule=cosine",),
        ("objective.bound=iw",),
        ("objective.bound=clamped",),
        ("data.binarise=threshold",),
    ],
)
def test_every_setting_matters_and_stays_finite(fitted: Fit, settings: tuple[str, ...]) -> None:
    text = AFTER + LINE.format(30)
    plain, run = fitted(images(), text=text), fitted(images(), *settings, text=text)
    assert all(np.isfinite(w).all() for w in weights_of(run).values())
    assert not same(weights_of(plain), weights_of(run))


def test_clipping_bounds_the_step(fitted: Fit) -> None:
    """One step of plain SGD with lr 1 moves the weights by the clipped norm."""
    moved = {}
    for clip in ("none", "0.01"):
        start = fitted(clusters(), "train.lr=1e-12", "train.optimizer=sgd", "train.epochs=1", "train.batch=90")
        run = fitted(
            clusters(), "train.lr=1", "train.optimizer=sgd", "train.epochs=1", "train.batch=90", f"train.clip={clip}"
        )
        a, b = weights_of(start), weights_of(run)
        moved[clip] = sum(float(((a[k] - b[k]) ** 2).sum()) for k in a) ** 0.5
    assert moved["0.01"] == pytest.approx(0.01, rel=1e-3)
    assert moved["none"] > 0.05


# --- resume ---------------------------------------------------------------------------------------------------

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
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


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


# --- early stopping -------------------------------------------------------------------------------------------


def test_early_stopping_goes_by_the_bound_of_held_out_rows_without_labels(fitted: Fit) -> None:
    """With a learning rate that does harm, the run ends after `patience` epochs and keeps the best weights; permuting the
    labels of the held-out rows changes nothing."""
    setting = ("train.patience=2", "train.validation=0.3", "train.epochs=40", "train.lr=0.3")
    run = fitted(clusters(), *setting)
    found = [r["validation_bound"] for r in records(run)]
    assert len(found) < 40
    assert int(np.argmax(found)) == len(found) - 3
    assert run.prepared is not None
    held = run.prepared.split.validation
    assert len(held) == 27
    data = clusters()
    data["y"][held] = (data["y"][held] + 1) % 3
    assert same(weights_of(run), weights_of(fitted(data, *setting)))


def test_a_run_that_stopped_early_stays_stopped(fitted: Fit) -> None:
    setting = ("train.patience=1", "train.epochs=40", "train.lr=0.5")
    run = fitted(clusters(), *setting)
    again = fitted(clusters(), *setting, resume=run.folder)
    assert len(records(again)) == len(records(run)) < 40
    assert same(weights_of(run), weights_of(again))


# --- the folder -----------------------------------------------------------------------------------------------


def test_a_run_folder_says_exactly_what_was_run(fitted: Fit) -> None:
    run = fitted(clusters(), "train.lr=0.02", seed=7, arguments=("run", "tiny.sgm"))
    assert run.folder == Path("runs/tiny-1")
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["arguments"] == ["run", "tiny.sgm"]
    assert facts["overrides"] == ["train.lr=0.02", "train.seed=7"]
    assert facts["seed"] == 7
    assert (
        facts["versions"]["torch"] == torch.__version__.split("+")[0] or facts["versions"]["torch"] == torch.__version__
    )
    assert (run.folder / "model.sgm").read_text() == TINY
    assert "class Model" in (run.folder / "model.py").read_text()
    config = json.loads((run.folder / "config.json").read_text())
    assert config["settings"]["train"]["lr"] == 0.02
    assert config["rows"]["labels"] == {"y": 90}
    assert [r["epoch"] for r in records(run)] == [1, 2]
    assert saved(run.folder) == (run.folder / "model.sgm", ("train.lr=0.02", "train.seed=7"))


def test_folders_are_never_overwritten_without_force(fitted: Fit, tmp_path: Path) -> None:
    first, second = fitted(clusters()), fitted(clusters())
    assert (first.folder.name, second.folder.name) == ("tiny-1", "tiny-2")
    with pytest.raises(RunError, match="the run folder `runs/tiny-1` is there"):
        fitted(clusters(), out=first.folder)
    assert fitted(clusters(), out=first.folder, force=True).folder == first.folder
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.tex").write_text("precious")
    with pytest.raises(RunError, match="no run folder"):
        fitted(clusters(), out=other, force=True)
    assert (other / "chapter1.tex").read_text() == "precious"
    with pytest.raises(RunError) as error:
        fitted(clusters(), resume=other)
    assert codes(error) == ["E0663"]


# --- what is not finite ---------------------------------------------------------------------------------------

REAL = """model tiny "One number."

observed x : real
latent   z : real

p(z)     = Normal
p(x | z) = Normal(LOC, 1)
q(z | x) = Normal(mlp(8)(tanh(x)))

train { epochs = 1, batch = 30 }
"""


def test_a_value_that_is_not_finite_stops_before_the_optimiser_and_is_named(fitted: Fit) -> None:
    """Factor, line, rows as the data counts them, and the exit's exception; no weight has moved."""
    x = np.linspace(-1, 1, 90)
    x[[17, 61]] = 1e30
    with pytest.raises(TrainingError) as error:
        fitted({"x": x}, "train.batch=90", text=REAL.replace("LOC", "z"))
    found = error.value
    assert codes(error) == ["E0650"]
    assert found.term == "p(x | z)"
    assert sorted(found.rows) == [17, 61]
    assert "log p(x | z) is not finite in 2 of 90 rows of step 1" in str(found)
    diagnostic = found.diagnostics[0]
    assert diagnostic.span is not None
    assert diagnostic.source is not None
    assert diagnostic.source.text[diagnostic.span.start :].startswith("p(x | z)")
    assert found.folder is not None
    facts = json.loads((found.folder / "run.json").read_text())
    assert (facts["status"], facts["exit"]) == ("failed", 4)
    assert not (found.folder / "checkpoints/last.safetensors").exists()


def test_a_gradient_that_is_not_finite_is_named_too(fitted: Fit) -> None:
    """The value is fine, its derivative is not: sqrt at 0. At most five rows are listed."""
    with pytest.raises(TrainingError) as error:
        fitted({"x": np.linspace(-1, 1, 90)}, text=REAL.replace("LOC", "sqrt(z - z)"))
    assert codes(error) == ["E0651"]
    assert error.value.term == "q(z | x)"
    assert len(error.value.rows) == 5


def test_a_model_without_weights_is_refused(fitted: Fit) -> None:
    text = REAL.replace("LOC", "z").replace("Normal(mlp(8)(tanh(x)))", "Normal(x, 1)")
    with pytest.raises(RunError) as error:
        fitted({"x": np.zeros(9)}, text=text)
    assert codes(error) == ["E0664"]
