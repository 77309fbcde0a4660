"""`for`: what text with loops becomes in the IR, index by index."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgdsl.middle import ir
from tests.frontend.reading import read

FOLDER = Path(__file__).parent / "loops"


def model(name: str) -> ir.Model:
    return read((FOLDER / f"{name}.sgm").read_text(encoding="utf-8"))


def test_a_sequence() -> None:
    """Protects the deep Kalman filter: one axis of all loops that meet, pieces, the copy before, a gru over all copies."""
    dkf = model("dkf")
    (axis,) = dkf.axes
    assert (axis.name, axis.first, axis.last, axis.count) == ("t", 1, 20, None)
    whole, rest = ir.Range("t", "t", 1, 20), ir.Range("t_2_20", "t", 2, 20)
    assert [(n.name, n.axes) for n in dkf.nodes] == [("x", (whole,)), ("z", (whole,))]
    assert [(f.id, f.place) for f in dkf.p] == [("x", (whole,)), ("z_1", (1,)), ("z_t_2_20", (rest,))]
    assert [f.given for f in dkf.q] == [("h",), ("z[t - 1]", "h")]
    before = dkf.let("z[t - 1]")
    assert isinstance(before.value, ir.View)
    assert (before.value.source.name, before.value.at, before.value.edges) == ("z", (ir.Lag(rest, -1),), ())
    assert (before.axes, before.type) == ((rest,), ir.Type("real", (), (4,)))
    stacked = dkf.let("stack(x[*])")
    assert (stacked.axes, stacked.type) == ((), ir.Type("real", (), (20, 8)))
    h = dkf.let("h").value
    assert isinstance(h, ir.Apply)
    (gru,) = h.network.parts
    assert isinstance(gru, ir.Stage)
    assert (gru.kind, gru.options, gru.input, gru.output) == ("gru", (("mode", "sequence"),), (8,), (64,))
    assert dkf.statements == (
        ("p", "x"),
        ("p", "z_1"),
        ("p", "z_t_2_20"),
        ("let", "h"),
        ("q", "z_1"),
        ("q", "z_t_2_20"),
    )


def test_a_plate() -> None:
    """Protects weights of its own a copy, and a bare name outside of its loop."""
    lamps = model("lamps")
    (sensors,) = lamps.node("reading").axes
    trunk = lamps.factor("p", "reading").trunk
    assert trunk is not None
    assert trunk.copies == (sensors,)
    stacked = lamps.let("stack(reading[*])")
    assert stacked.type == ir.Type("real", (), (5, 12), partial=True)
    assert lamps.factor("q", "kind").given == ("site", "stack(reading[*])")


def test_a_counted_plate() -> None:
    """Protects a count of copies, and a let that carries its own earlier copy from one that is written alone."""
    multi = model("multi_mnist")
    assert multi.axes == (ir.Axis("i", 1, 3, "k"),)
    before = multi.let("m[i - 1]")
    assert isinstance(before.value, ir.View)
    assert [(place, ref.name) for place, ref in before.value.edges] == [(0, "m[0]")]
    assert before.value.at == (ir.Lag(ir.Range("i", "i", 1, 3), -1),)
    step = multi.let("m").value
    assert isinstance(step, ir.Apply)
    (gru,) = step.network.parts
    assert isinstance(gru, ir.Stage)
    assert (gru.options, gru.input, gru.output) == ((("mode", "step"),), (64 * 36,), (128,))
    assert multi.factor("p", "x").given == ("k", "stack(at[*])", "stack(y[*])", "stack(z[*])")
    assert multi.let("stack(y[*])").type == ir.Type("class", (10,), (3,))
    assert isinstance(multi.let("sum(shown[*])").value, ir.Over)


HEAD = """model t
const T = 4
observed x : real[3]
for i in 1..T {
    latent z[i] : real[2]
    latent c[i] : class(5)
}
"""


def lets(lines: str, head: str = HEAD) -> dict[str, ir.Let]:
    return {h.name: h for h in read(head + lines + "\n").lets}


def test_a_mapped_sum() -> None:
    """Protects f(x[*]): a let in the loop with weights of its own, and what takes the star away."""
    found = lets("let s = mean(mlp(8)(z[*], c[*]))")
    inner = found["mlp(8)(z[*], c[*])"]
    assert isinstance(inner.value, ir.Apply)
    assert [r.name for r in inner.axes] == ["i"]
    over = found["mean(mlp(8)(z[*], c[*]))"].value
    assert isinstance(over, ir.Over)
    assert (over.function, over.source.name, over.shape) == ("mean", "mlp(8)(z[*], c[*])", (8,))
    model = read(HEAD + "let s = mean(mlp(8)(z[*], c[*]))\n")
    assert model.statements == (("let", "mlp(8)(z[*], c[*])"), ("let", "s"))


def test_one_copy_and_a_part_of_them() -> None:
    """Protects a copy by its number, and copies read in a loop over a part of theirs."""
    found = lets("for j in 2..3 {\n let a[j] = z[j] + z[T] + z[j + 1]\n}")
    part = ir.Range("i_2_3", "i", 2, 3)
    views = {n: h.value.at for n, h in found.items() if isinstance(h.value, ir.View)}
    assert views == {"z[2..3]": (ir.Lag(part, 0),), "z[T]": (4,), "z[j + 1]": (ir.Lag(part, 1),)}
    assert found["z[T]"].axes == ()
    assert found["a"].axes == (part,)


def test_one_let_for_one_meaning() -> None:
    """Protects against a let for every reference: the same copies are the same let, other copies another."""
    found = lets(
        "let a = z[1] + z[1]\nfor j in 2..T {\n let b[j] = z[j - 1]\n}\nfor i in 3..T {\n let e[i] = z[i - 1] + z[i - 1]\n}"
    )
    assert sorted(n for n in found if n.startswith("z")) == ["z[1]", "z[i - 1]", "z[j - 1]"]


def test_nested_loops() -> None:
    """Protects nodes of two loops: a lag in the inner one, one reduction of it, and both."""
    text = (
        "model t\nobserved y : real[2]\nfor i in 1..3 {\n for t in 1..4 {\n  latent x[i, t] : real[2]\n }\n"
        " p(x[i, 1]) = Normal\n for t in 2..4 {\n  p(x[i, t] | x[i, t - 1]) = Normal(mlp(4))\n }\n"
        " let s[i] = sum(x[i, *])\n}\nlet all = max(x[*, *])\np(y | x) = Normal(linear)\n"
    )
    found = read(text)
    i, t, rest = ir.Range("i", "i", 1, 3), ir.Range("t", "t", 1, 4), ir.Range("t_2_4", "t", 2, 4)
    assert [f.place for f in found.pieces("p", "x")] == [(i, 1), (i, rest)]
    assert found.let("x[i, t - 1]").axes == (i, rest)
    assert found.let("sum(x[i, *])").axes == (i,)
    assert (found.let("max(x[*, *])").axes, found.let("max(x[*, *])").type.shape) == ((), (2,))
    assert found.factor("p", "y").given == ("stack(x[*, *])",)
    assert found.let("stack(x[*, *])").type == ir.Type("real", (), (3, 4, 2))
    assert found.node("x").axes == (i, t)


def test_the_index_is_a_class() -> None:
    """Protects the index among the parents."""
    found = read(HEAD + "for i in 1..T {\n q(z[i] | x, i) = Normal(mlp(8))\n}\n")
    assert found.factor("q", "z").given == ("x", "i")
    assert found.let("i").type == ir.Type("class", (4,))
    trunk = found.factor("q", "z").trunk
    assert trunk is not None
    (mlp,) = trunk.parts
    assert isinstance(mlp, ir.Stage)
    assert mlp.input == (3 + 4,)


@pytest.mark.parametrize(
    ("line", "where"),
    [("q(z[i] | c[i]) = Normal(table[i])", ir.Table), ("q(z[i] | x) = Normal(learned[i])", ir.Learned),
     ("q(z[i] | x) = Normal(loc = linear[i], scale = learned(1)[i])", ir.Own)],
)  # fmt: skip
def test_weights_for_each_copy(line: str, where: type) -> None:
    """Protects an index behind what has weights."""
    found = read(HEAD + f"for i in 1..T {{\n {line}\n}}\n").factor("q", "z")
    source = found.parameters[0].source
    assert isinstance(source, where)
    copies = source.network.copies if isinstance(source, ir.Own) else source.copies  # type: ignore[attr-defined]
    assert [r.name for r in copies] == ["i"]


def test_loops_that_do_not_meet_have_axes_of_their_own() -> None:
    """Protects against one axis for all loops of an index."""
    found = read(HEAD + "for i in 1..7 {\n latent w[i] : real\n}\n")
    assert [(a.name, a.last) for a in found.axes] == [("i", 4), ("i_2", 7)]
