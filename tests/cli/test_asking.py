"""predict, edit, traverse, impute and compare on a small run: what they write, and what they say about mistakes."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path

import numpy as np
import pytest

import sgdsl
from sgdsl.cli.entry import run
from sgdsl.train.idx_alone import idx_alone

TEXT = """model both "Pictures of a class and a height, readings that may be missing."
observed   x : binary[1, 4, 4]
observed   r : real[2] partial
supervised y : class(3)
supervised h : real
latent     z : real[2]
p(y)           = Categorical
p(h)           = Normal
p(z)           = Normal
p(x | y, z)    = Bernoulli(mlp(8))
p(r | h, z)    = Normal(mlp(8))
q(y | x)       = Categorical(mlp(8))
q(h | x, r)    = Normal(mlp(8))
q(z | x, y, h) = Normal(mlp(8))
data npz(file = "FILE", labels = 60)
train { epochs = 12, batch = 20, lr = 1e-2 }
"""


def rows(count: int, seed: int) -> dict[str, np.ndarray]:
    """Pictures whose ink tells y; two readings of h, a fifth of them missing."""
    random = np.random.default_rng(seed)
    y, h = random.integers(0, 3, count), random.normal(size=count)
    x = (random.random((count, 1, 4, 4)) < 0.1 + 0.4 * y[:, None, None, None]).astype(np.uint8)
    r = h[:, None] + 0.1 * random.normal(size=(count, 2))
    return {"x": x, "r": np.where(random.random((count, 2)) < 0.2, np.nan, r), "y": y, "h": h}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """both.sgm, its data, two runs of it, and files to ask about."""
    folder = tmp_path_factory.mktemp("asking")
    train, test = rows(200, 0), rows(40, 1)
    np.savez(
        folder / "both.npz", **{f"{n}_train": v for n, v in train.items()}, **{f"{n}_test": v for n, v in test.items()}
    )
    np.savez(folder / "plain.npz", **{n: v for n, v in test.items() if n in ("x", "r")})
    np.savez(folder / "labelled.npz", **test)
    np.savez(folder / "blind.npz", y=test["y"])
    (folder / "both.sgm").write_text(TEXT.replace("FILE", str(folder / "both.npz")))
    for name, epochs in (("run", "12"), ("short", "1")):
        call = ["run", str(folder / "both.sgm"), "--out", str(folder / name), "-q", "--set", f"train.epochs={epochs}"]
        assert run(call) == 0
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_predict_writes_a_row_a_row(home: Path, tmp_path: Path) -> None:
    """Protects the table: probabilities sum to one, the named value is the likeliest, 1 ≤ ess ≤ draws, labels are the file's."""
    out = tmp_path / "out.csv"
    assert run(["predict", str(home / "run"), str(home / "labelled.npz"), "-o", str(out), "-q"]) == 0
    found, data = table(out), rows(40, 1)
    assert [int(r["row"]) for r in found] == list(range(40))
    assert [int(r["y.label"]) for r in found] == data["y"].tolist()
    for row in found:
        for by in ("q", "p"):
            shares = [float(row[f"y.{by}.{c}"]) for c in range(3)]
            assert sum(shares) == pytest.approx(1, abs=1e-4)
            assert int(row[f"y.{by}"]) == int(np.argmax(shares))
        assert 1 <= float(row["y.ess"]) <= 3 * 32 + 0.01
        assert 1 <= float(row["h.ess"]) <= 32.01
        assert float(row["h.p.sd"]) > 0
    assert np.mean([r["y.q"] == r["y.label"] for r in found]) > 0.6  # by chance 1/3


def test_predict_without_data_labels_or_correction(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's held-out rows, told by part; a file without labels; q alone; a latent; what is printed as JSON."""
    out = tmp_path / "a.csv"
    assert run(["predict", str(home / "run"), "-o", str(out), "-q"]) == 0
    assert [(r["part"], r["row"]) for r in table(out)[:2]] == [("test", "0"), ("test", "1")]
    call = [
        "predict",
        str(home / "run"),
        str(home / "plain.npz"),
        "-o",
        str(out),
        "--only-q",
        "--node",
        "z,y",
        "--json",
    ]
    capsys.readouterr()
    assert run(call) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["nodes"]["y"] == {"measure": "error", "labels": 0, "q": None, "p": None, "ess": None, "draws": 32}
    first = table(out)[0]
    assert "z[1].q.sd" in first
    assert not [name for name in first if ".p" in name or ".label" in name]


def test_a_test_file_of_idx_needs_no_training_file(tmp_path: Path) -> None:
    """Protects asking about MNIST's own test file: images alone or with labels beside them, by file or by folder; a training
    folder is left to its reader."""
    images = np.arange(2 * 4, dtype=np.uint8).reshape(2, 2, 2)
    file = tmp_path / "t10k-images-idx3-ubyte"
    file.write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 2) + images.tobytes())
    alone = idx_alone(file)
    assert alone is not None
    assert np.array_equal(alone.fields["x"].values, images)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes([7, 2]))
    both = idx_alone(tmp_path)
    assert both is not None
    assert both.fields["y"].values.tolist() == [7, 2]
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    assert idx_alone(tmp_path) is None


def test_given_labels_are_seen(home: Path) -> None:
    """p(h | x, r, y) of this model does not depend on y's own row being right, but z does: given labels move the beliefs, and a
    given node is not predicted."""
    loaded = sgdsl.load(home / "run")
    data = rows(40, 1)
    free = sgdsl.predict(loaded, data, nodes=("z",), correct=False)
    seen = sgdsl.predict(loaded, data, given=("y", "h"), nodes=("z",), correct=False)
    assert np.abs(free.answers["z"].q[0] - seen.answers["z"].q[0]).max() > 1e-3
    assert set(sgdsl.predict(loaded, data, given=("y",), samples=4).answers) == {"h"}


def test_edit_sets_keeps_and_redraws(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two values make two columns; z stays as inferred, r does not follow y and changes only by being shown again; a redrawn z
    differs from column to column."""
    out = tmp_path / "e.png"
    capsys.readouterr()
    assert run(["edit", str(home / "run"), "0,3-5", "--set", "y=0", "--set", "y=2", "-o", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out), str(tmp_path / "e.npz")]
    assert out.read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "e.npz") as made:
        assert made["x"].shape == (4, 2, 1, 4, 4)
        assert (made["y"] == [0, 2]).all()
        assert np.array_equal(made["z"][:, 0], made["z"][:, 1])
        assert made["x"][:, 1].mean() > made["x"][:, 0].mean() + 0.2  # more ink
        assert made["before.x"].shape == (4, 1, 4, 4)
    file = str(home / "plain.npz")
    assert run(["edit", str(home / "run"), file, "--redraw", "z", "--keep", "r", "-n", "3", "-o", str(out), "-q"]) == 0
    with np.load(tmp_path / "e.npz") as made:
        assert made["z"].shape == (40, 3, 2)
        assert np.abs(made["z"][:, 0] - made["z"][:, 1]).min() > 0
        assert np.array_equal(made["r"][:, 0], rows(40, 1)["r"].astype(np.float32), equal_nan=True)


def test_traverse(home: Path, tmp_path: Path) -> None:
    """One cell moves at a time, over ±2 of its prior's deviation; all else but what follows stays; classes take all values."""
    found = sgdsl.traverse(sgdsl.load(home / "run"), "z", set={"y": 2}, steps=5, span=2.0)
    assert np.allclose(found.points, [[-2, -1, 0, 1, 2]] * 2)
    assert np.allclose(found.values["z"][0, :, 0], [-2, -1, 0, 1, 2])
    assert np.allclose(found.values["z"][0, :, 1], 0)
    assert (found.values["y"] == 2).all()
    assert found.values["x"].shape == (2, 5, 1, 4, 4)
    out = tmp_path / "t.png"
    assert run(["traverse", str(home / "run"), "--node", "y", "--row", "3", "-o", str(out), "-q"]) == 0
    with np.load(tmp_path / "t.npz") as made:
        assert made["points"].tolist() == [[0, 1, 2]]
        assert np.ptp(made["at.z"], axis=1).max() == 0


def test_impute(home: Path, tmp_path: Path) -> None:
    """Cells that are there stay; a missing reading is filled nearer to the truth than by the mean; csv and npz say the same."""
    data = rows(40, 1)
    gone = np.isnan(data["r"])
    for out in (tmp_path / "i.npz", tmp_path / "i.csv"):
        assert (
            run(["impute", str(home / "run"), str(home / "labelled.npz"), "--given", "y,h", "-o", str(out), "-q"]) == 0
        )
    with np.load(tmp_path / "i.npz") as made:
        assert np.array_equal(made["r.missing"], gone)
        assert np.allclose(made["r"][~gone], data["r"][~gone])
        assert (made["r.sure"][gone] > 0).all()
        assert (made["r.sure"][~gone] == 0).all()
        off = made["r"][gone] - np.repeat(data["h"][:, None], 2, 1)[gone]
        assert np.sqrt((off**2).mean()) < 0.7 * data["h"].std()
        text = np.array([[float(row["r[0]"]), float(row["r[1]"])] for row in table(tmp_path / "i.csv")])
        assert np.allclose(text, made["r"], atol=1e-5)
    longest = max(
        len(row[head].lstrip("-").split("e")[0]) for row in table(tmp_path / "i.csv") for head in ("r[0]", "r[1]")
    )
    assert longest <= len("0.000") + 7, "the digits of a float32, not those of its double"


def test_compare(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results of both runs, and of the settings those that differ."""
    capsys.readouterr()
    assert run(["compare", str(home / "run"), str(home / "short"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"] == {"train.epochs": [12, 1]}
    result = json.loads((home / "run" / "result.json").read_text())
    assert found["measures"]["error of y"][0] == result["scores"]["y"]["value"]
    assert found["measures"]["calibration error of y"][0] == result["beliefs"]["y"]["q"]["ece"]
    assert run(["compare", str(home / "run"), str(home / "short")]) == 0
    assert "train.epochs" in capsys.readouterr().out


def test_samples_held_by_an_option(home: Path, tmp_path: Path) -> None:
    """`--set y=2` is `y=2`."""
    out = tmp_path / "s.npz"
    assert (
        run(["sample", str(home / "run"), "--set", "y=2", "--set", "z=[0.5,-1]", "-n", "3", "-o", str(out), "-q"]) == 0
    )
    with np.load(out) as drawn:
        assert (drawn["y"] == 2).all()
        assert (drawn["z"] == [0.5, -1]).all()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["predict", "run", "--given", "yy"], 2, "did you mean `y`?"),
        (["predict", "run", "--given", "z"], 2, "a latent has no label"),
        (["predict", "run", "--given", "y,h"], 2, "name a node: --node z"),
        (["predict", "run", "--node", "x"], 2, "q does not infer it"),
        (["predict", "run", "plain.npz", "--given", "y"], 2, "no such field"),
        (["predict", "run", "blind.npz"], 3, "no field `x`"),
        (["predict", "run", "nothing.npz"], 3, "E0620"),
        (["predict", ".", "plain.npz"], 2, "no run folder"),
        (["predict", "run", "-o", "out.txt"], 2, ".csv"),
        (["edit", "run", "0-3"], 2, "nothing is to be changed"),
        (["edit", "run", "0", "--set", "y=7"], 3, "outside of `y`"),
        (["edit", "run", "0", "--set", "z=[1,2,3]"], 3, "of shape [2]"),
        (["edit", "run", "0", "--set", "y=1", "--keep", "y"], 2, "in both set and keep"),
        (["edit", "run", "99", "--set", "y=1"], 2, "rows go from 0 to 39"),
        (["traverse", "run", "--node", "x"], 2, "nodes: "),
        (["traverse", "run", "--node", "z", "--cell", "2"], 2, "from 0 to 1"),
        (["impute", "run", "--given", "w"], 2, "no node `w`"),
        (["compare", "run", "nowhere"], 2, "is no folder"),
    ],
)
def test_mistakes(
    arguments: list[str],
    code: int,
    says: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Protects a reason and a way out for each: never a traceback."""
    monkeypatch.chdir(home)
    capsys.readouterr()
    assert run(arguments) == code
    assert says in capsys.readouterr().err
