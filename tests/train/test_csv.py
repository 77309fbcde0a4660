"""Tables as spreadsheets export them: marks, semicolons, decimal commas, quotes, half-empty label columns; and what is wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.train.answers import write_csv
from sgdsl.train.bind import Rules, Table, bind
from sgdsl.train.columns import field_of, numbered
from sgdsl.train.errors import DataError, RunError
from sgdsl.train.formats.spreadsheet import table
from sgdsl.train.impute import impute, write_imputed
from sgdsl.train.naming import as_numbers
from sgdsl.train.predict import predict
from sgdsl.train.prepare import build
from sgdsl.train.run import Run
from sgdsl.train.sources import look
from tests.train.small import Fit, codes

PLANTS = """model plants "Two kinds of labels, each with gaps of its own."

observed   x    : real[3]
supervised kind : class(3)
supervised size : real
latent     z    : real[2]

p(kind) = Categorical
p(size) = Normal
p(z)    = Normal
p(x | kind, size, z) = Normal(mlp(8))

q(kind | x) = Categorical(mlp(8))
q(size | x) = Normal(mlp(8))
q(z | x, kind, size) = Normal(mlp(8))

train { epochs = 2, batch = 16 }
"""

FILLED = """model filled "A kind that is missing in some rows."

observed   x    : real[3]
observed   kind : class(3) partial
supervised size : real
latent     z    : real[2]

p(size)        = Normal
p(z)           = Normal
p(kind | z)    = Categorical(mlp(4))
p(x | size, z) = Normal(mlp(8))

q(size | x)    = Normal(mlp(8))
q(z | x, size) = Normal(mlp(8))

train { epochs = 2, batch = 16 }
"""

Write = Callable[[str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(text: str | bytes, name: str = "a.csv") -> str:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(tmp_path / name)

    return to


def bound(file: str, text: str = PLANTS, **options: str) -> Table:
    program = driver.compile_source(Source("a.sgm", text))
    nodes = build(program.text, program.model.name).NODES
    return bind(table(file, **options), nodes, Rules({}))


ROWS = [("1.5", "2.5", "0.5", "oak", "3"), ("1", "2", "0", "", "4.5"), ("2", "2", "1", "elm", ""), ("0", "1", "1", "", ""),
        ("3", "1", "0", "yew", "1")]  # fmt: skip
HEAD = ("x_0", "x_1", "x_2", "kind", "size")
PLAIN = "\n".join(",".join(row) for row in (HEAD, *ROWS)) + "\n"


def test_each_label_column_has_gaps_of_its_own(write: Write) -> None:
    """An empty cell is an unknown label of that node alone; x_0 … x_2 are the cells of x; names become classes."""
    found = bound(write(PLAIN))
    assert found.columns["x"].values.tolist() == [[1.5, 2.5, 0.5], [1, 2, 0], [2, 2, 1], [0, 1, 1], [3, 1, 0]]
    assert found.columns["kind"].known.tolist() == [True, False, True, False, True]
    assert found.columns["size"].known.tolist() == [True, True, False, False, True]
    assert found.columns["kind"].values[[0, 2, 4]].tolist() == [1, 0, 2]
    assert found.columns["size"].values[[0, 1, 4]].tolist() == [3, 4.5, 1]
    assert "`kind`: elm = 0, oak = 1, yew = 2" in found.notes


GERMAN = ";".join(HEAD) + "\n" + "\n".join(";".join(row).replace(".", ",") for row in ROWS)


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),  # Excel, CSV UTF-8
        b"\xef\xbb\xbf" + GERMAN.replace("\n", "\r\n").encode(),  # the same where the comma is decimal
        ("sep=;\r\n" + GERMAN).encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),  # Excel, Unicode text
        PLAIN.replace("\n", "\r").encode(),
        ("\n" + PLAIN.replace("\n", "\n\n") + ",,,,\n ,,,,\n").encode(),  # empty lines, rows of empty cells
        "\n".join(",".join(f'"{c}"' for c in row) for row in (HEAD, *ROWS)).encode(),
        "\n".join(" , ".join(row) for row in (HEAD, *ROWS)).encode(),
        PLAIN.replace(",,\n", ",NA,?\n").replace(",\n", ",null\n").replace(",,", ",NaN,").encode(),
        ("," + PLAIN.replace("\n", "\n7,")).rstrip("7,").encode(),  # pandas writes its index without a name
    ],
    ids=["excel", "excel-german", "sep", "utf16", "old-mac", "empty-lines", "quotes", "blanks", "words", "index"],
)
def test_dialects_of_spreadsheets_give_the_same_rows(write: Write, text: bytes) -> None:
    plain, found = table(write(PLAIN)), table(write(text))
    assert list(found.fields) == list(plain.fields)
    for name, field in plain.fields.items():
        assert np.array_equal(found.fields[name].values, field.values, equal_nan=True), name
        assert found.fields[name].classes == field.classes
    assert np.array_equal(found.test, plain.test)


def test_quoted_cells_hold_delimiters_quotes_and_lines(write: Write) -> None:
    """The line that a message names is that of the file, whatever cells span."""
    data = table(write('note,y\n"a, ""b""\nc",1\nd,2\n'))
    assert data.fields["note"].classes == ('a, "b"\nc', "d")
    assert data.fields["y"].where == ("line 2", "line 4")


def test_a_class_called_na_is_said_and_can_be_kept(write: Write) -> None:
    """Readers that eat a region called NA do it silently."""
    file = write("region,v\nEU,1\nNA,2\nAS,3\nNA,4\n")
    eaten = table(file)
    assert eaten.fields["region"].classes == ("AS", "EU")
    assert any("2 cells say NA, read as unknown" in note and 'missing = "?"' in note for note in eaten.notes)
    assert table(file, missing="?").fields["region"].classes == ("AS", "EU", "NA")


def test_minus_one_is_unknown_only_where_it_is_declared(write: Write) -> None:
    text = PLAIN.replace("oak", "0").replace("elm", "1").replace("yew", "2").replace("0,,4.5", "0,-1,4.5")
    with pytest.raises(DataError) as error:
        bound(write(text))
    assert codes(error) == ["E0626"]
    assert "a.csv: `kind`, line 3: -1 is outside of `kind`" in str(error.value)
    assert 'missing = "-1"' in error.value.diagnostics[0].hint
    found = bound(write(text), missing="-1")
    assert found.columns["kind"].known.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("heads", "stem", "count"),
    [
        (("x_0", "x_1", "x_2"), "x", 3),
        (
            ("pixel1", "pixel2", "pixel10", "pixel3", "pixel4", "pixel5", "pixel6", "pixel7", "pixel8", "pixel9"),
            "pixel",
            10,
        ),
        (("v[0]", "v[1]"), "v", 2),
        (("a.1", "a.2"), "a", 2),
        (("x_0", "x_2"), "", 0),
        (("x_0", "x_1", "x"), "", 0),
        (("x_5", "x_6"), "", 0),
    ],
)
def test_numbered_columns_are_one_node_in_the_order_of_their_numbers(
    write: Write, heads: tuple[str, ...], stem: str, count: int
) -> None:
    """Gaps, a start beyond 1, or a column of that very name: then they are only columns."""
    data = table(
        write(
            ",".join(heads)
            + "\n"
            + ",".join(str(i) for i in range(len(heads)))
            + "\n0"
            + ",1" * (len(heads) - 1)
            + "\n"
        )
    )
    groups = numbered(data.fields)
    assert list(groups) == ([stem] if stem else [])
    if stem:
        field = field_of(data.fields, stem)
        assert field is not None
        assert field.values.shape == (2, count)
        assert list(field.columns) == sorted(heads, key=lambda h: int("".join(filter(str.isdigit, h))))


def test_names_of_numbered_label_columns_are_counted_together(write: Write) -> None:
    """y_0 = cat and y_1 = cat must be the same class, though only one column knows dogs."""
    data = table(write("y_0,y_1\ncat,dog\nbird,cat\n"))
    assert data.fields["y_0"].classes == data.fields["y_1"].classes == ("bird", "cat", "dog")
    assert data.fields["y_1"].values.tolist() == [2, 1]


def test_held_out_rows_come_from_a_column_a_file_or_a_share(write: Write, tmp_path: Path) -> None:
    assert table(write("x,split\n1,train\n2,test\n3,train\n")).test.tolist() == [1]
    (tmp_path / "t.csv").write_text("y,x\n5,4\n")
    both = table(write("x,y\n1,2\n3,4\n"), test=str(tmp_path / "t.csv"))
    assert both.fields["x"].values.tolist() == [1, 3, 4]
    assert both.test.tolist() == [2]
    assert both.fields["x"].place(2) == "t.csv: `x`, line 2"
    many = table(write("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(50))))
    assert np.bincount(many.fields["y"].values[many.test]).tolist() == [5, 5]
    (tmp_path / "t.csv").write_text("x\n4\n")
    with pytest.raises(DataError, match=r"t.csv: the column `y` is missing"):
        table(write("x,y\n1,2\n"), test=str(tmp_path / "t.csv"))


BROKEN: list[tuple[str | bytes, str, str]] = [
    ("", "is empty", "first line"),
    ("1,2\n3,4\n", "line 1: numbers only", "x_0,x_1,y"),
    ("a,b,a\n1,2,3\n", "line 1: two columns are called `a`", "rename"),
    ("a,b\n1,2\n3\n", "line 3 has 1 cell, the first line has 2 names", "ends inside"),
    ("a,b\n1,5,2,5\n", "line 2 has 4 cells", "decimal commas"),
    ('a,b\n1,2\n"3,4\n', "line 3: a quote is never closed", "twice"),
    ('a,b\n1,2\n"3"x,4\n', "line 3", "twice"),
    ("a,b\n1,M\xfcller\n".encode("cp1252"), "line 2: byte fc is no UTF-8", "CSV UTF-8"),
    (b"PK\x03\x04....", "is a workbook, not text", "save as CSV"),
    (b"a,b\n1,2\n\0,3\n", "line 3: a zero byte", "save as CSV"),
    ("a,b\n1,2\n3,oops\n5,6\n", "line 3, column `b`: `oops` is no number", 'where `oops` says unknown'),
    ("a,b\n1,2\n-,3\n-,6\n", "line 2, column `a`: `1` is a number, the others are names", 'missing = "-"'),
    ("a,b\nx,2\ny,2\n3,6\n", "line 4, column `a`: `3` is a number, the others are names", "one way"),
    ("a;b\n1,5;2\n2.5;1\n3,5;1\n", "line 3, column `a`: `2.5` has a decimal point, the others a comma", "one way"),
    ("a;b\n1.234,5;2\n2,5;1\n3,5;1\n", "line 2, column `a`: `1.234,5` is no number", "is an empty cell"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says", "hint"), BROKEN)
def test_broken_tables_are_named_by_file_line_and_column(write: Write, text: str | bytes, says: str, hint: str) -> None:
    with pytest.raises(DataError) as error:
        table(write(text))
    assert codes(error) == ["E0639"]
    assert says in str(error.value)
    assert "a.csv" in str(error.value)
    assert hint in error.value.diagnostics[0].hint


def test_no_rows_and_no_file(write: Write, tmp_path: Path) -> None:
    for file, code in ((write("a,b\n"), "E0635"), (str(tmp_path / "no.csv"), "E0620")):
        with pytest.raises(DataError) as error:
            table(file)
        assert codes(error) == [code]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (("2,2,1,elm", "2,,1,elm"), "E0627", "line 4, column `x_1`: a value is missing, but `x` is observed"),
        (("yew", "fir"), "", ""),
        (("1,1,,", "1,1,fir,"), "E0626", "line 6: `yew`, number 3, is outside of `kind`"),
        (("kind", "sort"), "E0624", "no field `kind` for the supervised node `kind`; fields: `sort`, `size`, `x_0 …`"),
        (("x_2", "w"), "E0625", "`x_0 … x_1` has rows of shape [2], `x` is real[3]"),
    ],
)
def test_columns_that_do_not_fit_their_nodes(write: Write, change: tuple[str, str], code: str, says: str) -> None:
    """A missing input, a class too many, a column too few: file, line and column, before anything is trained."""
    text = PLAIN.replace(*change)
    if not code:
        bound(write(text))
        return
    with pytest.raises(DataError) as error:
        bound(write(text))
    assert code in codes(error)
    assert says in str(error.value)


def test_names_are_no_numbers(write: Write) -> None:
    """A column of `3 cm` is one of names; counting them would train on nonsense in silence."""
    text = PLAIN.replace("oak,3", "oak,3 cm").replace("4.5", "5 cm").replace("yew,1", "yew,1 cm")
    with pytest.raises(DataError) as error:
        bound(write(text))
    assert codes(error) == ["E0626"]
    assert "a.csv: `size` holds names, such as `1 cm`, but `size` is real" in str(error.value)


def test_pictures_named_by_a_column(write: Write, tmp_path: Path) -> None:
    """Names are relative to the csv; a missing or damaged one is named with its line."""
    for i in range(2):
        Image.fromarray(np.full((5, 6), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    data = table(write("filename,y\n0.png,a\n1.png,\n"))
    assert data.fields["x"].values[:, 0, 0].tolist() == [0, 40]
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    for text, says in (("filename,y\n0.png,a\n9.png,b\n", "line 3, column `filename`: there is no file"),
                       ("filename,y\n0.png,a\n1.png,b\n", "line 3, column `filename`"),
                       ("filename,y\n0.png,a\n,b\n", "line 3, column `filename`: a file name is missing")):  # fmt: skip
        with pytest.raises(DataError) as error:
            table(write(text))
        assert says in str(error.value)


def test_a_model_learns_from_a_spreadsheet(fitted: Fit, write: Write) -> None:
    """The whole way: options of the `data` line, a bound column with blanks in its name, and the run asked again later."""
    lines = [
        f"{i % 3 + 0.25:.2f};1;{i};{'abc'[i % 3] if i % 2 else '?'};{i / 4 if i < 20 else ''}".replace(".", ",")
        for i in range(40)
    ]
    file = write("x_0;x_1;x_2;kind;size (cm)\n" + "\n".join(lines))
    text = PLANTS + f'data csv(file = "{file}", size = "size (cm)", labels = each(kind = 9, size = 0.5))\n'
    run = fitted(None, text=text)
    assert run.config["rows"]["labels"]["kind"] == 9
    assert Run.load(run.folder).evaluate().as_dict() == run.evaluate().as_dict()
    assert look(file, {"missing": "?, a"}).fields["kind"].classes == ("b", "c")


def test_later_rows_keep_the_numbers_of_their_classes(fitted: Fit, write: Write, tmp_path: Path) -> None:
    """A later table that lacks the first class must not call the second one 0; a new name has no number at all."""
    lines = [f"{i % 3},1,{i % 2},{'abc'[i % 3]},{i}" for i in range(30)]
    head = "x_0,x_1,x_2,kind,size\n"
    run = fitted(write(head + "\n".join(lines)), text=PLANTS)
    (tmp_path / "later.csv").write_text(head + "1,1,0,c,2\n1,1,0,b,\n1,1,0,,2\n")
    _, later = Run.load(run.folder, str(tmp_path / "later.csv")).rows()
    assert later.columns["kind"].values[:2].tolist() == [2, 1]
    (tmp_path / "later.csv").write_text(head + "1,1,0,c,2\n1,1,0,dd,1\n")
    with pytest.raises(DataError) as error:
        Run.load(run.folder, str(tmp_path / "later.csv")).rows()
    assert "line 3: `dd` is no class of `kind` that the model was trained on" in str(error.value)
    assert error.value.diagnostics[0].hint == "its classes: a, b, c"


def test_a_trained_model_speaks_of_classes_by_their_names(fitted: Fit, write: Write, tmp_path: Path) -> None:
    """In the table of predictions, in what is set and in warnings; a name that no class has is refused with a way out."""
    lines = [f"{i % 3},1,{i % 2},{('oak', 'elm', 'ash')[i % 3]},{i}" for i in range(30)]
    run = Run.load(fitted(write("x_0,x_1,x_2,kind,size\n" + "\n".join(lines)), text=PLANTS).folder)
    found = write_csv(predict(run, str(tmp_path / "a.csv"), nodes=("kind",), samples=4), tmp_path / "out.csv")
    head, first, *_ = (line.split(",") for line in found.read_text().splitlines())
    assert head == [
        "row",
        "kind.label",
        *(f"kind.{by}{n}" for by in "qp" for n in ("", ".ash", ".elm", ".oak")),
        "kind.ess",
    ]
    assert first[1] == "oak"
    assert {first[2], first[6]} <= {"ash", "elm", "oak"}
    assert run.values_of(2, {"kind": "elm"})["kind"].tolist() == [1, 1]
    assert run.values_of(2, {"kind": ["oak", "ash"]})["kind"].tolist() == [2, 0]
    for node, value, says, hint in (
        ("kind", "elms", "`kind` has no value `elms`", "did you mean `elm`?"),
        ("kind", "pine", "`kind` has no value `pine`", "its values: ash, elm, oak"),
        ("size", "big", "`size` has no value `big`: its values are numbers", "size = 0"),
    ):
        with pytest.raises(RunError) as error:
            run.values_of(2, {node: value})
        assert says in str(error.value)
        assert error.value.diagnostics[0].hint == hint


def test_names_that_are_written_like_numbers_are_names(fitted: Fit, write: Write) -> None:
    """What the table of predictions says can be set: class 2 of 2, 3, 5 is not the third. Other words are numbers, or nothing."""
    assert as_numbers("y", "3", ("2", "3", "5")) == 1
    assert as_numbers("y", ["5", "2"], ("2", "3", "5")).tolist() == [2, 0]  # type: ignore[attr-defined]
    assert as_numbers("y", 1, ("2", "3", "5")) == 1
    assert as_numbers("y", "1", ("oak", "elm")) == 1
    assert as_numbers("z", "-0.5", ()) == -0.5
    assert as_numbers("y", np.array(["elm"], dtype=object), ("oak", "elm")).tolist() == [1]  # type: ignore[attr-defined]
    for word, names in (("1", ("2", "3", "5")), ("null", ()), ("NaN", ("oak",)), ("true", ("oak",)), ("x", ())):
        with pytest.raises(RunError, match="E0665"):
            as_numbers("y", word, names)
    with pytest.raises(RunError, match="differ in length"):
        as_numbers("y", [["a"], ["b", "c"]], ("a", "b", "c"))


@pytest.mark.parametrize("kind", ["class(3)", "class(4)", "binary"])
def test_filled_cells_of_named_classes_are_names(fitted: Fit, write: Write, tmp_path: Path, kind: str) -> None:
    """The table of `impute` can be read as data again; a class that no row has goes by its number."""
    lines = [f"{i % 3},1,{i % 2},{('oak', 'elm', '')[i % 3]},{i}" for i in range(30)]
    lines += [] if kind == "binary" else ["0,0,0,ash,1"]
    text = FILLED.replace("class(3)", kind).replace("Categorical", "Bernoulli" if kind == "binary" else "Categorical")
    run = Run.load(fitted(write("x_0,x_1,x_2,kind,size\n" + "\n".join(lines)), text=text).folder)
    found = write_imputed(impute(run, str(tmp_path / "a.csv"), samples=4), tmp_path / "full.csv")
    rows = list(csv.DictReader(found.open()))
    assert [row["kind"] for row in rows[:2]] == ["oak", "elm"]
    assert {row["kind"] for row in rows} <= ({"ash", "elm", "oak"} | ({"3"} if kind == "class(4)" else set()))
    assert rows[2]["kind.missing"] == "1"


def test_empty_cells_of_a_partial_node_are_its_missing_cells(write: Write) -> None:
    """Cell by cell, and −1 stays a number."""
    text = PLANTS.replace("real[3]", "real[3] partial")
    found = bound(write(PLAIN.replace("2,2,1,elm", "-1,,1,elm")), text)
    present = found.columns["x"].present
    assert present is not None
    assert present.tolist() == [[True] * 3, [True] * 3, [True, False, True], [True] * 3, [True] * 3]
    assert found.columns["x"].values[2].tolist() == [-1, 0, 1]
