"""Settings of a file and of the command line: values, defaults, and errors that point at the flag."""

from __future__ import annotations

import pytest

from sgdsl.base.render import render
from sgdsl.catalog.settings import DATA, OBJECTIVE, SECTIONS, TRAIN, resolve
from sgdsl.middle import ir
from tests.frontend.reading import M2, read, wrong


def values(settings: tuple[ir.Setting, ...]) -> dict[str, object]:
    return {s.name: s.value for s in settings}


def test_values_of_a_file() -> None:
    """Protects the kinds of values: words, whole numbers, numbers, labels by rows, by rate and by node."""
    text = M2.replace("labels = 100", "labels = each(y = 0.5), x = image, binarise = none").replace(
        "train {",
        "const N = 4\nobjective { samples = N * 2, bound = iw, alpha = 0.5 }\ntrain { clip = none, lr = 1e-3, ",
    )
    text = text.replace("mnist(", 'npz(file = "a.npz", ')
    model = read(text)
    assert values(model.objective) == {"samples": 8, "bound": "iw", "alpha": 0.5}
    assert values(model.train) == {"clip": "none", "lr": 0.001, "epochs": 100, "batch": 128}
    assert model.data is not None
    assert values(model.data.options) == {"file": "a.npz", "labels": (("y", 0.5),), "binarise": "none"}
    assert model.data.bind == (("x", "image"),)


@pytest.mark.parametrize(("written", "kind"), [("1", int), ("1.0", float), ("0.1", float), ("1e3", int), ("0", int)])
def test_a_point_makes_labels_a_rate(written: str, kind: type) -> None:
    """Protects that `labels = 1` is one row and `labels = 1.0` every row."""
    model = read(M2.replace("labels = 100", f"labels = {written}"))
    assert model.data is not None
    assert type(model.data.options[0].value) is kind


def test_a_flag_replaces_the_file() -> None:
    """Protects `--set`: it replaces a value, adds one, and takes the place of one that excludes it."""
    text = M2.replace("train {", "objective { gamma = 2 }\ntrain {")
    flags = [
        "train.lr=1e-3",
        "train.epochs = 3",
        "objective.supervision_rate=0.5",
        "data.labels_per_class=5",
        "data.x=y",
    ]
    model = read(text, flags)
    assert values(model.train) == {"epochs": 3, "batch": 128, "lr": 0.001}
    assert values(model.objective) == {"supervision_rate": 0.5}
    assert model.data is not None
    assert values(model.data.options) == {"labels_per_class": 5}
    assert model.data.bind == (("x", "y"),)


@pytest.mark.parametrize(
    ("flag", "code", "place"),
    [
        ("train.lr", "E0607", "train.lr"),
        ("lr=3", "E0607", "lr=3"),
        ("", "E0607", ""),
        ("train.lr=", "E0607", "train.lr="),
        ("train.lr=-1", "E0602", "-1"),
        ("train.rl=1", "E0601", "rl"),
        ("tran.lr=1", "E0601", "tran"),
        ("objective.bound=iwae", "E0602", "iwae"),
        ("train.lr=1e-3 junk", "E0101", "junk"),
        ("train.lr=~", "E0104", "~"),
        ("data.z=y", "E0605", "z"),
        ("train.epochs=EPOCHS", "E0602", "EPOCHS"),
        ("train.epochs=" + "1+" * 100 + "1", "E0107", "1+" * 100 + "1"),
    ],
)
def test_errors_point_into_the_flag(flag: str, code: str, place: str) -> None:
    """Protects the user of a long command from looking in the file for what is in a flag."""
    (found,) = wrong(M2, ["train.batch=5", flag])
    assert found.code == code
    assert found.source is not None
    assert found.source.name.startswith("--set ")
    assert found.span is not None
    assert found.source.text[found.span.start : found.span.end] == place
    assert "--> --set" in render(found, color=False)


def test_data_flag_without_data_line() -> None:
    """Protects from silently dropping a setting that has nowhere to go: an option of a data set that is not named. Labels
    and bound nodes are about any rows, `--data FILE` among them."""
    bare = M2.replace("data mnist(labels = 100)\n", "")
    (found,) = wrong(bare, ['data.root="here"'])
    assert found.code == "E0607"
    data = read(bare, ["data.labels=3", "data.x=image"]).data
    assert data is not None
    assert (data.name, [(s.name, s.value) for s in data.options], data.bind) == ("", [("labels", 3)], (("x", "image"),))


def test_defaults_are_legal_and_complete() -> None:
    """Protects the tables: every default is a value that could be written, `resolve` gives each name."""
    for row in (*OBJECTIVE, *TRAIN, *DATA):
        numeric = isinstance(row.default, int | float)
        assert row.holds(float(row.default)) if numeric else row.default in (*row.words, "auto", "")  # type: ignore[arg-type]
    for section, rows in SECTIONS.items():
        assert set(resolve((), section)) == {r.name for r in rows}  # type: ignore[arg-type]


def test_patience_holds_rows_out() -> None:
    """Protects early stopping from having nothing to look at."""
    assert resolve((), "train")["validation"] == 0
    assert resolve((ir.Setting("patience", 3),), "train")["validation"] == 0.1
    assert resolve((ir.Setting("patience", 3), ir.Setting("validation", 0.3)), "train")["validation"] == 0.3
