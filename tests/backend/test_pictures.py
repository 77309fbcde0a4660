"""The picture of a model: its drawing conventions, and that it is drawn with no program on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest
from pygraphviz import AGraph

from sgdsl import driver
from sgdsl.backend.dot import VIEWS, dot, label
from sgdsl.backend.draw import DrawError, draw
from sgdsl.base.source import Source

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.sgm"))
LETS = """model lets "a 'let' on both sides, one in q alone"
given c : class(3)
observed x_1 : real[4]
supervised label : class(5)
latent z12 : real[2]
let e = mlp(8)(c)
let g = mlp(8)(x_1)
p(label | e) = Categorical(mlp(8))
p(z12 | label) = Normal(table)
p(x_1 | z12, e) = Normal(mlp(8))
q(label | g, e) = Categorical(mlp(8))
q(z12 | label, g) = Normal(mlp(8))
"""


@pytest.fixture(scope="module")
def lets() -> driver.Checked:
    return driver.check(Source("lets.sgm", LETS))


def edges(graph: AGraph, color: str | None) -> set[tuple[str, str]]:
    return {(str(e[0]), str(e[1])) for e in graph.edges() if (e.attr["color"] or None) == color}


def test_roles_have_their_fillings(lets: driver.Checked) -> None:
    """Latent white, observed grey, supervised half, given double, lets diamonds."""
    graph = AGraph(string=dot(lets.model))
    looks = {str(n): (n.attr["shape"], n.attr["style"], n.attr["fillcolor"]) for n in graph.nodes()}
    assert looks["z12"] == ("circle", "filled", "white")
    assert looks["x_1"] == ("circle", "filled", "gray80")
    assert looks["label"] == ("circle", "wedged", "gray80:white")
    assert looks["c"] == ("doublecircle", "filled", "gray80")
    assert looks["e"][0] == looks["g"][0] == "diamond"


def test_edges_of_both_sides(lets: driver.Checked) -> None:
    """Generative edges black; recognition red, dashed, without a say in the ranks; an edge of both is drawn twice."""
    graph = AGraph(string=dot(lets.model))
    black = {("c", "e"), ("e", "label"), ("label", "z12"), ("z12", "x_1"), ("e", "x_1")}
    red = {("x_1", "g"), ("g", "label"), ("e", "label"), ("label", "z12"), ("g", "z12")}
    assert edges(graph, None) == black
    assert edges(graph, "red") == red
    assert all(
        e.attr["style"] == "dashed" and e.attr["constraint"] == "false" for e in graph.edges() if e.attr["color"]
    )


def test_views_show_one_side(lets: driver.Checked) -> None:
    """A view leaves out the other side's edges and lets."""
    model, recognition = (AGraph(string=dot(lets.model, view)) for view in ("model", "recognition"))
    assert not edges(model, "red")
    assert "g" not in model.nodes()
    assert not edges(recognition, None)
    assert {"e", "g"} <= set(recognition.nodes())


@pytest.mark.parametrize(
    ("name", "printed"), [("z", "z"), ("z1", "z₁"), ("z_12", "z₁₂"), ("x2y", "x2y"), ("h_t", "h_t"), ("_1", "_1")]
)
def test_subscripts(name: str, printed: str) -> None:
    """Names look as in papers."""
    assert label(name) == printed


@pytest.mark.parametrize("file", MODELS, ids=lambda f: f.stem)
def test_every_model_is_drawn_without_a_program(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh machine has no Graphviz: an empty PATH still gives SVG and PNG, labels included."""
    monkeypatch.setenv("PATH", "")
    found = driver.check(driver.read(file)).model
    for view in VIEWS:
        text = dot(found, view)
        svg = draw(text, "svg").decode()
        assert svg.count("<ellipse") >= len(found.nodes)
        assert all(f">{label(n.name)}</text>" in svg for n in found.nodes)
        assert draw(text, "png").startswith(b"\x89PNG")


def test_nonsense_is_an_error() -> None:
    """What Graphviz cannot read is told, not written as an empty file."""
    with pytest.raises(DrawError):
        draw("digraph {", "svg")


NESTED = """model nested
latent g : class(3)
p(g) = Categorical(learned)
for i in 1..4 {
    observed s[i] : real[2]
    latent   b[i] : real[2]
    p(b[i] | g) = Normal(table)
    p(s[i] | b[i]) = Normal(mlp(4))
    for j in 1..2 {
        observed x[i, j] : real[2]
        p(x[i, j] | b[i]) = Normal(mlp(4))
    }
    let whole[i] = mlp(2)(stack(x[i, *]))
    q(b[i] | whole[i], s[i]) = Normal(mlp(2))
}
let first = mlp(2)(stack(s[*]))
q(g | first) = Categorical(mlp(2))
"""


def test_plates() -> None:
    """Loops are rounded boxes that say what the index runs over, inner ones inside; a reduction is an edge out of its box."""
    graph = AGraph(string=dot(driver.check(Source("nested.sgm", NESTED)).model))
    (outer,) = graph.subgraphs()
    (inner,) = outer.subgraphs()
    assert (outer.graph_attr["label"], inner.graph_attr["label"]) == ("i = 1..4", "j = 1..2")
    assert outer.graph_attr["style"] == inner.graph_attr["style"] == "rounded"
    assert set(inner.nodes()) == {"x"}
    assert set(outer.nodes()) >= {"b", "s", "whole"}
    assert {"g", "first"}.isdisjoint(outer.nodes())
    assert {("x", "whole"), ("s", "first"), ("first", "g")} <= edges(graph, "red")


def test_an_edge_to_a_later_copy() -> None:
    """Copies of one node stand in one box however their ranges differ; z[t - 1] is an edge from z to itself."""
    path = Path(__file__).parents[1] / "frontend/loops/dkf.sgm"
    checked = driver.check(driver.read(path))
    for view, color in (("model", None), ("recognition", "red")):
        graph = AGraph(string=dot(checked.model, view))
        (plate,) = graph.subgraphs()
        assert set(plate.nodes()) == {"x", "z"}
        assert plate.graph_attr["label"] == "t = 1..20"
        loop = graph.get_edge("z", "z")
        assert (loop.attr["label"].strip(), loop.attr["color"] or None) == ("t − 1", color)
    shown = driver.show(checked, "graph")
    assert "p: z[t - 1] -> z[t]" in shown
    assert "p: z[t] -> x[t]" in shown
