"""Typed tables: .parquet files and folders that Hugging Face `datasets` saved, their parts, gaps, classes and pictures."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from PIL import Image

import sgdsl
from sgdsl.train.errors import DataError
from sgdsl.train.sources import look, open_data

NAMES = ["cat", "dog", "owl"]
HF = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}


def png(image: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def table(rows: int, seed: int = 0) -> Any:
    """Pictures whose top left pixel is the row; labels of which every third is −1; columns with gaps."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 255, (rows, 4, 4), dtype=np.uint8)
    pictures[:, 0, 0] = np.arange(rows)
    columns = {
        "image": [{"bytes": png(p), "path": None} for p in pictures],
        "label": [-1 if i % 3 == 0 else i % 3 for i in range(rows)],
        "age": pa.array([None if i % 4 == 0 else float(i) for i in range(rows)]),
        "kind": pa.array([None if i % 5 == 0 else "ab"[i % 2] for i in range(rows)]).dictionary_encode(),
        "code": [[float(i), 2.0, 3.0] for i in range(rows)],
        "when": pa.array(np.arange(rows).astype("datetime64[s]")),
    }
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": HF}})})


def write(path: Path, rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(rows, path)
    return path


def test_a_file_is_its_columns(tmp_path: Path) -> None:
    """Protects gaps of each column alone, −1 as no label, names of classes, lists, pictures; a time is told, not read."""
    data = look(str(write(tmp_path / "a.parquet", table(12))), {})
    assert set(data.fields) == {"x", "y", "age", "kind", "code"}
    x, y, age, kind, code = (data.fields[n] for n in ("x", "y", "age", "kind", "code"))
    assert x.values.shape == (12, 4, 4)
    assert x.values[:, 0, 0].tolist() == list(range(12))
    assert y.classes == tuple(NAMES)
    assert y.known is not None
    assert y.known.tolist() == [i % 3 != 0 for i in range(12)]
    assert np.isnan(age.values).tolist() == [i % 4 == 0 for i in range(12)]
    assert kind.classes == ("a", "b")
    assert np.isnan(kind.values).tolist() == [i % 5 == 0 for i in range(12)]
    assert kind.values[[1, 2]].tolist() == [1, 0]
    assert code.values[:, 0].tolist() == list(range(12))
    assert data.source == "a.parquet, a fifth held out"
    assert any("when (timestamp[s])" in note or "when (timestamp[ms])" in note for note in data.notes)


@pytest.mark.parametrize(
    ("train", "test", "third"),
    [
        ("data/train-00000-of-00002.parquet", "data/test-00000-of-00001.parquet", "data/validation-0.parquet"),
        ("train/0000.parquet", "test/0000.parquet", "dev/0000.parquet"),
        ("train.parquet", "test.parquet", "val.parquet"),
    ],
)
def test_files_say_their_part(tmp_path: Path, train: str, test: str, third: str) -> None:
    """Protects the split that the files have: rows of a validation part are in neither part."""
    write(tmp_path / train, table(6))
    write(tmp_path / test, table(4))
    write(tmp_path / third, table(5))
    write(
        (tmp_path / train).with_name((tmp_path / train).name.replace("train", "train-1").replace("0000.", "0001.")),
        table(3),
    )
    data = look(str(tmp_path), {})
    assert (len(data.train), len(data.test)) == (9, 4)
    assert data.fields["code"].values[data.test, 0].tolist() == [0, 1, 2, 3]


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    """Protects the folders of `DatasetDict.save_to_disk`: arrow streams beside a state.json, a folder a part."""
    for part, rows in (("train", 7), ("test", 3)):
        folder = tmp_path / part
        folder.mkdir()
        with (
            pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
            pa.ipc.new_stream(file, table(rows).schema) as to,
        ):
            to.write_table(table(rows))
        (folder / "state.json").write_text("{}")
        (folder / "dataset_info.json").write_text("{}")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    data, origin = open_data(tmp_path, None, "", {})
    assert (len(data.train), len(data.test)) == (7, 3)
    assert origin["kind"] == "path"


@pytest.mark.parametrize(
    ("columns", "code", "says"),
    [
        ({"image": [{"bytes": None, "path": "a.png"}]}, "E0639", "row 0: the picture is missing"),
        ({"image": [{"bytes": b"GIF8", "path": None}]}, "E0640", "row 0: this is no whole picture"),
        ({"code": [[1.0, 2.0], [1.0]]}, "E0639", "row 1: a list of shape [1]; the first one is [2]"),
        ({"age": pa.array([], pa.float64())}, "E0635", "there are no rows"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, columns: dict[str, Any], code: str, says: str) -> None:
    """Protects the place, row and column, of what cannot be read."""
    file = write(tmp_path / "a.parquet", pa.table(columns))
    with pytest.raises(DataError) as error:
        look(str(file), {})
    assert error.value.diagnostics[0].code == code
    assert says in error.value.diagnostics[0].message


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Protects from a traceback: half a file, and parts whose columns differ."""
    file = write(tmp_path / "a.parquet", table(5))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot read"):
        look(str(file), {})
    write(tmp_path / "b" / "train.parquet", table(5))
    write(tmp_path / "b" / "test.parquet", table(5).drop_columns(["age"]))
    with pytest.raises(DataError, match=r"test\.parquet: the column `age` is missing"):
        look(str(tmp_path / "b"), {})


def test_without_pyarrow_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the extra: sgdsl itself installs without pyarrow."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "sgdsl.train.formats.columnar", raising=False)
    with pytest.raises(DataError) as error:
        look(str(write(tmp_path / "a.parquet", table(3))), {})
    assert error.value.diagnostics[0].hint == "pip install pyarrow"


def test_a_model_trains_on_a_file(tmp_path: Path) -> None:
    """Protects the way from a file to a run: labels, gaps and pictures bind by name."""
    text = """model pets
observed x : unit[1, 4, 4]
supervised y : class(3)
latent z : real[2]
p(y) = Categorical
p(z) = Normal
p(x | y, z) = Bernoulli(mlp(4))
q(y | x) = Categorical(mlp(4))
q(z | x, y) = Normal(mlp(4))
train { epochs = 1, batch = 8 }
"""
    run = sgdsl.fit(sgdsl.compile(text), write(tmp_path / "pets.parquet", table(30)))
    assert run.posterior(np.zeros((2, 4, 4), np.uint8))["y"].shape == (2, 3)
