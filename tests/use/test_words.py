"""What a user sees of other models: pictures, explain, warnings, mistakes in the other file."""

from __future__ import annotations

from pathlib import Path

import pytest
from pygraphviz import AGraph

from sgdsl import driver
from sgdsl.backend.dot import View, dot
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.render import render
from tests.use.programs import DIGIT, OUTER, program, write


@pytest.mark.parametrize(
    ("view", "tied"), [("both", {"x", "y", "z"}), ("model", {"x", "y", "z"}), ("recognition", {"y", "z"})]
)
def test_a_box_is_tied_to_what_takes_from_it(tmp_path: Path, view: View, tied: set[str]) -> None:
    """By factors and means of the side that is shown, with dotted lines that are no arrows."""
    write(tmp_path, digit=DIGIT, outer=OUTER)
    graph = AGraph(string=dot(program(tmp_path, "outer").model, view))
    box = graph.get_node("use digit")
    assert (box.attr["shape"], box.attr["label"]) == ("box", "digit\\ndigit.sgm")
    edges = [e for e in graph.edges() if e[0] == "use digit"]
    assert {str(e[1]) for e in edges} == tied
    assert {(e.attr["style"], e.attr["dir"]) for e in edges} == {("dotted", "none")}


def test_a_let_that_takes_a_mean_is_tied_itself(tmp_path: Path) -> None:
    """Where the picture shows the let; else what reads it is."""
    let = "let seen = digit.mean(x | y = y, z = z + w)\n"
    shown = OUTER.replace("p(x | y, z, w) = Bernoulli(probs = clamp(digit.mean(x | y = y, z = z + w), 0.01, 0.99))",
                          let + "p(x | seen) = Bernoulli(probs = clamp(seen, 0.01, 0.99))")  # fmt: skip
    write(tmp_path, digit=DIGIT, shown=shown, hidden=shown.replace("p(x | seen)", "p(x | y, z, w)"))
    for name, tied in (("shown", {"seen", "y", "z"}), ("hidden", {"x", "y", "z"})):
        graph = AGraph(string=dot(program(tmp_path, name).model))
        assert {str(e[1]) for e in graph.edges() if e[0] == "use digit"} == tied


def test_explain_says_where_factors_come_from(tmp_path: Path) -> None:
    """Which factor is another model's, its file and line, and whose weights."""
    text = OUTER.replace('"digit.sgm"', '"digit.sgm" (weights = "runs/d", frozen)')
    write(tmp_path, digit=DIGIT, outer=text)
    page = driver.explained(program(tmp_path, "outer").checked)
    words = page[page.index("other models") :].replace(f"{tmp_path}/", "").splitlines()
    assert words == [
        "other models",
        "    digit: digit, digit.sgm, weights of runs/d, frozen",
        "        p(y): line 7, p(y) = Categorical",
        "        p(z): line 8, p(z) = Normal",
        "        q(y | x): line 10, q(y | h) = Categorical(mlp(4, act = tanh))",
        "        q(z | x, y): line 11, q(z | x, y) = Normal(mlp(6, act = tanh)(h, y))",
        "        mean in p(x | y, z, w): line 9, p(x | y, z) = Bernoulli(mlp(6, act = tanh))",
    ]
    assert "encode_y 1" in page


def test_a_model_that_nothing_takes_from(tmp_path: Path) -> None:
    """W0401, and no class is emitted."""
    write(tmp_path, digit=DIGIT, idle=DIGIT.replace("model digit", 'model idle\nuse other = "digit.sgm"'))
    compiled = program(tmp_path, "idle")
    assert [d.code for d in compiled.notes] == ["W0401"]
    assert "SubModel" not in compiled.text


def test_a_mistake_in_the_other_file_shows_that_file(tmp_path: Path) -> None:
    """Its name, its line with a caret, and who uses it, through two files."""
    write(tmp_path, digit=DIGIT.replace("mlp(5", "mlpp(5"), outer=OUTER)
    write(tmp_path, top=OUTER.replace("digit.sgm", "outer.sgm"))
    with pytest.raises(DiagnosticError) as error:
        program(tmp_path, "top")
    shown = render(error.value.diagnostics[0], source=driver.read(tmp_path / "top.sgm"))
    assert f"{tmp_path}/digit.sgm:5:15" in shown
    assert "net f       = mlpp(5" in shown
    assert f"used by {tmp_path}/outer.sgm, line 2" in shown


def test_check_reads_no_weights(tmp_path: Path) -> None:
    """A run folder that is not there is no mistake of the file."""
    write(tmp_path, digit=DIGIT, outer=OUTER.replace('"digit.sgm"', '"digit.sgm" (weights = "runs/nowhere")'))
    assert program(tmp_path, "outer").notes == ()
