"""What is shown at the end of a run: scores beside the labels-only baseline, pictures with something in them, progress."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image as pictures_of
from rich.console import Console

from sgdsl.train.baseline import labels_alone
from sgdsl.train.conclude import conclude
from sgdsl.train.data import mnist
from sgdsl.train.errors import DataError, RunError
from sgdsl.train.pictures import picture
from sgdsl.train.progress import Bar, Lines, clock, described, watch
from sgdsl.train.report import table
from sgdsl.train.settings import settings_of
from sgdsl.train.sources import open_data
from tests.train.small import AFTER, TINY, Fit, clusters, codes, images

LINE = 'data npz(file = "none", labels = 9, validation_labels = 12)\n'


def printed(made: Any) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(made)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def ink(path: Path) -> float:
    """The share of a picture's points that are not white."""
    pixels = pictures_of.imread(path)
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 200
    return float((pixels[..., :3].min(-1) < 0.9).mean())


def test_a_run_ends_with_scores_pictures_and_a_table(fitted: Fit) -> None:
    run = fitted(images(), "train.epochs=3", text=AFTER + LINE, test=images(30, 1))
    result = conclude(run, quiet=True)
    assert [p.name for p in result.pictures] == ["samples.png", "analogies.png", "curves.png"]
    assert all(0.01 < ink(p) < 0.9 for p in result.pictures)
    saved = json.loads((run.folder / "result.json").read_text())
    assert saved == json.loads(json.dumps(result.as_dict()))
    assert saved["pictures"] == ["samples/samples.png", "samples/analogies.png", "curves.png"]
    text = printed(table(result))
    for part in ("this model", "labels alone", "error of y", "12 validation labels", "log p of a row", "30 held-out rows",
                 "9 labels of y", "arrays of the caller", f"{100 * result.evaluation.scores['y'].value:.2f} %"):  # fmt: skip
        assert part in text
    assert "labels alone" not in printed(table(result.evaluation))


def test_without_pictures_or_held_out_rows_there_are_curves_alone(fitted: Fit) -> None:
    result = conclude(fitted(clusters(), text=TINY), quiet=True)
    assert [p.name for p in result.pictures] == ["curves.png"]
    assert result.baseline == {}
    assert "no held-out rows" in printed(table(result))


def test_models_without_classes_show_plain_samples(fitted: Fit) -> None:
    text = AFTER.replace("supervised y : class(3)", "supervised y : real").replace(
        "p(y)     = Categorical", "p(y) = Normal"
    )
    text = text.replace("p(z | y) = Normal(table)", "p(z | y) = Normal(linear)").replace(
        "q(y | z) = Categorical", "q(y | z) = Normal"
    )
    data = images()
    result = conclude(fitted({"x": data["x"], "y": data["y"] * 1.0}, text=text, test=images(6)), quiet=True)
    assert [p.name for p in result.pictures] == ["samples.png", "curves.png"]
    assert result.evaluation.scores["y"].kind == "rmse"


def test_the_baseline_learns_from_labels_alone_and_repeats(fitted: Fit) -> None:
    """The same encoder, log q(y | x) only: better than guessing on new rows, the same at every call, and not moved by the
    rows without labels."""
    text = TINY + LINE
    run = fitted(clusters(), "train.epochs=40", text=text, test=clusters(60, 1))
    assert run.prepared is not None
    assert run.program is not None
    settings = settings_of(run.program)
    first = labels_alone(run.program.text, run.name, run.prepared, settings)
    assert first["y"].value < 0.4
    assert labels_alone(run.program.text, run.name, run.prepared, settings) == first
    data = clusters()
    granted = run.prepared.split.granted["y"][:90]
    data["x"][~granted] = 1 - data["x"][~granted]
    other = fitted(data, "train.epochs=40", text=text, test=clusters(60, 1))
    assert other.prepared is not None
    assert labels_alone(run.program.text, run.name, other.prepared, settings) == first


def test_a_sheet_of_samples_can_be_asked_for(fitted: Fit, tmp_path: Path) -> None:
    run = fitted(images(), text=AFTER)
    assert ink(picture(run, tmp_path / "a.png", n=5, given={"y": 1})) > 0.01
    with pytest.raises(RunError) as error:
        picture(fitted(clusters()), tmp_path / "b.png")
    assert codes(error) == ["E0666"]


RECORD = {
    "epoch": 3, "step": 120, "bound": {"unlabelled": -101.234, "labelled": -99.5}, "ess": {"y": 3.456, "none": 8.0},
    "error": {"y": {"kind": "error", "value": 0.0625, "rows": 9}, "t": {"kind": "rmse", "value": 0.5, "rows": 9}},
    "rows_per_second": 15000.0, "validation_bound": -102.0,
}  # fmt: skip


def test_an_epoch_in_one_line_says_bound_error_effective_sample_size() -> None:
    line = described(RECORD)
    assert line == "bound -101.23 (labelled -99.50)  y error 6.2 %  t rmse 0.5  ess 3.46  held-out bound -102.00"


def test_no_terminal_means_one_line_an_epoch_and_quiet_means_none(
    fitted: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(clusters(), "train.epochs=3", quiet=False)
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all("rows/s" in line and "y error" in line for line in lines)
    fitted(clusters(), quiet=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_gets_a_bar_with_everything_that_is_asked_of_it(width: int) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    with Bar(10, 400, 0, console) as bar:
        bar.epoch({**RECORD, "error": {"y": RECORD["error"]["y"]}})  # type: ignore[index]
        bar.started -= 10
        bar.tick(120, 30_000)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    for part in ("epoch 4/10", "bound -101.2", "y error 6.2 %", "ess 3.5", "rows/s", "0:23 left"):
        assert part in shown
    assert isinstance(watch(1, 1, 0, quiet=False), Lines)


def test_clock() -> None:
    assert [clock(s) for s in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]


def test_no_data_says_what_to_do() -> None:
    with pytest.raises(DataError) as error:
        open_data(None, None, "", {})
    assert codes(error) == ["E0634"]
    assert "--data FILE.npz" in error.value.diagnostics[0].hint


def test_a_data_set_can_be_given_as_such() -> None:
    data = mnist()
    assert open_data(data, None, "", {})[0] is data


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(10))
    assert open_data(str(tmp_path / "a.npz"), None, "", {})[0].rows == 10
    with pytest.raises(DataError) as error:
        open_data(tmp_path, None, "", {})
    assert codes(error) == ["E0622"]
