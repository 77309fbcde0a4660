"""The tree of faces as it is unpacked: people, lights, damaged files, and everything that else lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgdsl import driver
from sgdsl.train.dry_run import dry_run
from sgdsl.train.errors import DataError
from sgdsl.train.formats.pgm import read_pgm
from sgdsl.train.formats.yaleb import yaleb
from sgdsl.train.sources import look
from tests.train.small import codes
from tests.train.test_svhn import write as write_svhn

MODELS = Path(__file__).parents[2] / "models"
LIGHTS = ["A+000E+00", "A+035E+40", "A-070E-35", "A+130E+20", "A+000E+90"]
PEOPLE = (1, 2, 13, 15, 39)


def pgm(image: np.ndarray, comment: bytes = b"") -> bytes:
    """P5, written byte by byte."""
    height, width = image.shape
    return b"P5\n" + comment + b"%d %d\n255\n" % (width, height) + image.tobytes()


def face(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (192, 168), dtype=np.uint8)


def file(top: Path, person: int, light: str) -> Path:
    return top / f"yaleB{person:02d}" / f"yaleB{person:02d}_P00{light}.pgm"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Five people, five lights each, with what lies beside them in the real tree."""
    root = tmp_path / "CroppedYale"
    for person in PEOPLE:
        folder = root / f"yaleB{person:02d}"
        folder.mkdir(parents=True)
        ambient = f"yaleB{person:02d}_P00_Ambient.pgm"
        (folder / ambient).write_bytes(pgm(np.zeros((480, 640), np.uint8)))
        names = [ambient]
        for i, light in enumerate(LIGHTS):
            file(root, person, light).write_bytes(pgm(face(100 * person + i)))
            names.append(file(root, person, light).name)
        (folder / f"yaleB{person:02d}_P00.info").write_text("\n".join(names) + "\n")
        (folder / "DEADJOE.LOG").write_text("x")
        (folder / f"._{ambient}").write_bytes(b"\0\5\x16\7")
    (root / "yaleB01" / "WS_FTP.LOG").write_text("x")
    return root


def test_people_lights_and_pictures(top: Path) -> None:
    """Person 14 is not there, so 15 is the fourteenth; ambient pictures, logs, infos and resource forks are left out."""
    data = yaleb(str(top), shrink=1)
    x, who = data.fields["x"].values, data.fields["who"].values
    assert x.shape == (25, 192, 168)
    assert sorted(set(who.tolist())) == [0, 1, 12, 13, 37]
    row = data.fields["x"].where.index("yaleB15/yaleB15_P00A+035E+40.pgm")
    assert np.array_equal(x[row], face(1501))
    assert who[row] == 13
    assert data.fields["who"].place(row) == "CroppedYale: `who`, yaleB15/yaleB15_P00A+035E+40.pgm"
    assert np.bincount(who[data.test])[[0, 1, 12, 13, 37]].tolist() == [1] * 5
    assert data.notes == ("5 of 38 people are there; `who` counts them as if all were",)
    assert data.warnings == ()


def test_light_is_a_unit_vector_to_the_right_up_and_to_the_camera(top: Path) -> None:
    """A positive azimuth is on the person's right, which is the picture's left; 90° of elevation is above."""
    data = yaleb(str(top))
    light = dict(
        zip((w.split("P00")[1][:-4] for w in data.fields["light"].where), data.fields["light"].values, strict=True)
    )
    assert np.allclose(light["A+000E+00"], [0, 0, 1])
    assert np.allclose(light["A+000E+90"], [0, 1, 0])
    a, e = np.deg2rad(35), np.deg2rad(40)
    assert np.allclose(light["A+035E+40"], [-np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    assert light["A-070E-35"][0] > 0 > light["A-070E-35"][1]
    assert light["A+130E+20"][2] < 0
    assert np.allclose(np.linalg.norm(data.fields["light"].values, axis=1), 1)


def test_pixels_are_averaged_and_lights_chosen(top: Path) -> None:
    """`shrink = 2` gives the 96 × 84 of the gallery, said in the source; `within = 77` leaves out what comes from behind."""
    data = yaleb(str(top))
    row = data.fields["x"].where.index("yaleB01/yaleB01_P00A+000E+00.pgm")
    expected = np.rint(face(100).reshape(96, 2, 84, 2).mean((1, 3)))
    assert np.array_equal(data.fields["x"].values[row], expected)
    assert "2 × 2 pixels averaged" in data.source
    assert not data.source.startswith("Extended Yale B")  # five people are not the real tree
    assert len(yaleb(str(top), within=77).fields["who"].values) == 15


def test_bad_files_are_left_out_and_counted(top: Path) -> None:
    path = file(top, 2, "A+035E+40")
    path.rename(path.with_name(path.name + ".bad"))
    data = yaleb(str(top))
    assert len(data.fields["who"].values) == 24
    assert data.notes[0] == "1 file ending in .bad left out"
    assert data.warnings == ()  # the .info file lists it, and it is there as .bad


def test_a_missing_file_is_a_warning_with_its_name(top: Path) -> None:
    """The .info file of a person lists what belongs there."""
    file(top, 39, "A+130E+20").unlink()
    (found,) = yaleb(str(top)).warnings
    assert found.code == "W0640"
    assert found.message == "1 file is missing: yaleB39/yaleB39_P00A+130E+20.pgm"
    assert "unpack" in found.hint


def test_all_damaged_files_are_named_at_once(top: Path) -> None:
    """Cut short; a line end turned into two bytes; no picture; the uncropped size: a file, a reason and a way out each."""
    whole = pgm(face(0))
    newlines = face(0).copy()
    newlines[:, ::7] = 10
    damaged = [
        whole[:-100],
        pgm(newlines).replace(b"\n", b"\r\n").replace(b"P5\r\n168 192\r\n255\r\n", b"P5\n168 192\n255\n"),
        b"",
        b"P2\n168 192\n255\n" + b"0 " * 9,
        pgm(np.zeros((480, 640), np.uint8)),
    ]
    for person, raw in zip(PEOPLE, damaged, strict=True):
        file(top, person, "A+000E+00").write_bytes(raw)
    with pytest.raises(DataError) as error:
        yaleb(str(top))
    assert codes(error) == ["E0638"] * 5
    for d, person, says, hint in zip(
        error.value.diagnostics,
        PEOPLE,
        [
            "32,256 bytes, but it holds 32,156",
            "but it holds 3",
            "starts with nothing",
            "no binary PGM (P5)",
            "640 × 480",
        ],
        [".bad", "copied as text", ".bad", "pnmtopnm", "CroppedYale"],
        strict=True,
    ):
        assert file(top, person, "A+000E+00").name in d.message
        assert says in d.message
        assert hint in d.hint


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("yaleB01/yaleB02_P00A+000E+00.pgm", "called person 2, in the folder of person 1"),
        ("yaleB01/yaleB01_P00A+000E+00 (copy).pgm", "does not say who it is"),
        ("yaleB14/yaleB14_P00A+000E+00.pgm", "there is no person 14"),
        ("yaleB40/x.pgm", "there is no person 40"),
    ],
)
def test_names_that_say_something_else_are_errors(top: Path, name: str, says: str) -> None:
    """A wrong label is worse than no label."""
    (top / name).parent.mkdir(exist_ok=True)
    (top / name).write_bytes(pgm(face(0)))
    with pytest.raises(DataError) as error:
        yaleb(str(top))
    assert codes(error) == ["E0638"]
    assert says in str(error.value)


def test_folders_are_found_or_named(top: Path, tmp_path: Path) -> None:
    """The tree itself or the folder above it; the shell tells what it is."""
    assert yaleb(str(tmp_path)).rows == look(str(top), {}).rows == look(str(tmp_path), {"shrink": "4"}).rows == 25
    for root, code in ((tmp_path / "none", "E0620"), (top / "yaleB01", "E0622")):
        with pytest.raises(DataError) as error:
            yaleb(str(root))
        assert codes(error) == [code]
    with pytest.raises(DataError, match="do not divide"):
        yaleb(str(top), shrink=5)


def test_the_gallery_reads_the_tree_and_the_house_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """models/faces.sgm and models/svhn.sgm as they stand, with their own `data` lines, where the files are in data/."""
    for person in range(38):
        number = person + 1 + (person > 12)
        (tmp_path / "data" / "CroppedYale" / f"yaleB{number:02d}").mkdir(parents=True)
        for light in LIGHTS:
            file(tmp_path / "data" / "CroppedYale", number, light).write_bytes(
                pgm(np.full((192, 168), 5 * person, np.uint8))
            )
    (tmp_path / "data" / "svhn").mkdir()
    write_svhn(tmp_path / "data" / "svhn", train=50)
    monkeypatch.chdir(tmp_path)
    wishes = {"faces": "data.labels_per_class=3", "svhn": "data.labels=20"}
    rows = {"faces": ((190, 1, 96, 84), {"who": 114, "light": 114}), "svhn": ((60, 3, 32, 32), {"y": 20})}
    for name, wish in wishes.items():
        found = dry_run(driver.compile_source(driver.read(MODELS / f"{name}.sgm"), (wish,))).ready
        shape, labels = rows[name]
        assert tuple(found.table.columns["x"].values.shape) == shape
        assert {node: int(mask.sum()) for node, mask in found.split.granted.items()} == labels
        assert found.origin["options"]["root"] == str(tmp_path / "data" / ("svhn" if name == "svhn" else "CroppedYale"))


@pytest.mark.parametrize("head", [b"P5 3 2 255\n", b"P5\n# made by hand\n3 2\n# twice\n255\n", b"P5\r\n3\t2\n255 "])
def test_every_head_of_the_format_is_read(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.pgm").write_bytes(head + bytes([35, 10, 13, 32, 0, 255]))
    assert read_pgm(tmp_path / "a.pgm").tolist() == [[35, 10, 13], [32, 0, 255]]


@pytest.mark.parametrize("head", [b"P5 3 2 65535\n", b"P5 0 2 255\n", b"P5 3 255\n", b"P6 3 2 255\n"])
def test_other_heads_are_refused(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.pgm").write_bytes(head + bytes(6))
    with pytest.raises(DataError) as error:
        read_pgm(tmp_path / "a.pgm")
    assert codes(error) == ["E0638"]
