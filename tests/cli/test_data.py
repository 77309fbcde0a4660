"""`sgdsl data show` and `--bind`: what rows hold, as tables, as JSON and as a picture; wrong use has its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sgdsl.cli.entry import run
from tests.train.test_svhn import write as write_svhn

ROWS = """x_0;x_1;kind;size
0,5;1,5;oak;3,5
1,5;2;;4,5
2,25;3;elm;
0;1;elm;1
"""
MODEL = """model trees
observed   x : real[2]
supervised tree : class(2)
supervised size : real
latent     z : real[2]
p(tree) = Categorical
p(size) = Normal
p(z)    = Normal
p(x | tree, size, z) = Normal(mlp(8))
train { epochs = 1 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(ROWS)
    (tmp_path / "m.sgm").write_text(MODEL)
    return tmp_path


def test_a_table_is_counted_by_column_and_pattern(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "show", "a.csv", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    facts = {f["name"]: f for f in data["fields"]}
    assert set(facts) == {"kind", "size", "x"}
    assert facts["x"]["shape"] == [2]
    assert (facts["x"]["low"], facts["x"]["high"], facts["x"]["known"]) == (0, 3, 4)
    assert facts["kind"]["values"] == {"elm = 0": 2, "oak = 1": 1}
    assert facts["kind"]["known"] == facts["size"]["known"] == 3
    assert data["patterns"] == {"kind, size": 2, "kind": 1, "size": 1}
    assert data["train"] + data["test"] == 4


def test_nodes_of_a_model_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "show", "a.csv", "--model", "m.sgm", "--bind", "tree=kind", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["patterns"] == {"tree, size": 2, "tree": 1, "size": 1}


def test_text_is_for_people_and_notes_go_beside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "show", "a.csv"]) == 0
    said = capsys.readouterr()
    assert "known together" in said.out
    assert "oak" in said.out
    assert "decimal commas" in said.err


def test_a_table_without_pictures_is_shown_before_the_sheet_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asking for a sheet must not hide the rows; `n/a` and `#N/A` are how spreadsheets say unknown."""
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("a;b\n1,5;2\nn/a;1\n#N/A;1\n2,5;1\n")
    assert run(["data", "show", "a.csv", "-o", "a.png"]) == 3
    out, err = capsys.readouterr()
    assert "known rows" in out
    assert " 2 " in out, "of four cells"
    assert "no field is a picture" in err


def test_a_contact_sheet_shows_pictures_by_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row of twelve for each of ten digits, and it is not blank."""
    from matplotlib.image import imread

    write_svhn(folder, train=60)
    assert run(["data", "show", ".", "-o", "sheet.png", "-q"]) == 0
    assert capsys.readouterr().out.strip().endswith("sheet.png")
    picture = imread(folder / "sheet.png")[..., :3]
    coloured = np.abs(picture - picture.mean(-1, keepdims=True)).max(-1) > 0.05
    assert 0.3 < coloured.mean() < 0.95


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["data", "show", "nist"], 3, "did you mean `mnist`"),
        (["data", "show", "csv"], 3, "needs `file`"),
        (["data", "show", "svhn"], 3, "data/svhn` does not exist"),
        (["data", "show", "yaleb", "shrink=9"], 3, "from 1 to 8"),
        (["data", "show", "a.csv", "sep=x"], 3, "no option `sep`"),
        (["data", "show", "a.csv", "oops"], 2, "no OPTION=VALUE"),
        (["data", "show", "a.csv", "-o", "a.pdf"], 2, ".png"),
        (["data", "show", "a.csv", "-o", "a.png"], 3, "no field is a picture"),
        (["data", "show", "mnist", "-o", "none/there/a.png", "-q"], 0, ""),
        (["run", "m.sgm", "--data", "a.csv", "--bind", "tree", "-q"], 2, "no NODE=FIELD"),
        (["run", "m.sgm", "--data", "a.csv", "--bind", "z=kind", "-q"], 1, "latent"),
        (["run", "m.sgm", "--data", "a.csv", "--bind", "tree=kinds", "-q"], 3, "did you mean `kind`"),
        (["run", "m.sgm", "--data", "a.csv", "--dry-run"], 3, "no field `tree`"),
    ],
)
def test_wrong_use(
    arguments: list[str], code: int, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    said = capsys.readouterr()
    assert says in said.err + said.out
    assert "Traceback" not in said.err


def test_a_run_on_a_bound_table_goes_on_and_is_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `--bind` says is kept with the run: resuming and evaluating need not say it again."""
    rows = "".join(f"{i % 7},{i % 5},{'oak' if i % 2 else 'elm'},{i}\n" for i in range(60))
    (folder / "b.csv").write_text("x_0,x_1,kind,size (cm)\n" + rows)
    bind = ["--bind", "tree=kind", "--bind", "size=size (cm)"]
    assert run(["run", "m.sgm", "--data", "b.csv", *bind, "--set", "data.labels=10", "--out", "r", "-q"]) == 0
    assert run(["run", "--resume", "r", "--set", "train.epochs=2", "-q"]) == 0
    assert run(["eval", "r", "--json"]) == 0
    assert "tree" in capsys.readouterr().out


def test_made_data_are_written_once_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is not written over without being told so; an option of another kind is a wrong use."""
    assert run(["data", "make", "multi-mnist", "-o", "made", "--rows", "10", "--seed", "2"]) == 0
    assert "synthetic" in capsys.readouterr().out
    assert run(["data", "make", "multi-mnist", "-o", "made", "--rows", "10"]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["data", "make", "multi-mnist", "-o", "made", "--rows", "20", "--force"]) == 0
    assert run(["data", "show", "made", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["data"]["train"] == 20
    assert run(["data", "make", "yale-like", "-o", "faces", "--rows", "3"]) == 2
    assert run(["data", "make", "svhn-like", "-o", "a.csv"]) == 2
