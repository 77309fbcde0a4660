"""Factors of q that the compiler writes: the same model as with the lines in the file, and what `q auto` may say."""

from __future__ import annotations

from typing import get_args

import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.catalog.families import FAMILIES, MADE
from sgdsl.middle import ir

HEAD = """model m
observed   x : unit[1, 28, 28]
supervised y : class(10)
latent     z : real[5]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp(8))
"""
Q_Y = "q(y | x) = Categorical(conv(32, 64) >> mlp(256))\n"
Q_Z = "q(z | x, y) = Normal(conv(32, 64) >> mlp(256))\n"


def checked(text: str) -> driver.Checked:
    return driver.check(Source("m.sgm", text))


def made(text: str) -> list[str]:
    """The lines that the compiler writes."""
    return [f.text for f in checked(text).model.q if f.made]


def wrong(text: str) -> list[tuple[str, str]]:
    with pytest.raises(DiagnosticError) as raised:
        checked(text)
    source = Source("m.sgm", text)
    spans = [(d.code, d.span) for d in raised.value.diagnostics]
    return [(code, source.text[s.start : s.end] if s else "") for code, s in spans]


@pytest.mark.parametrize("line", ["", "q auto\n", Q_Y, Q_Z, Q_Y + "q auto\n"])
def test_a_made_factor_is_the_line_a_user_would_write(line: str) -> None:
    """The IR is equal to that of the written file, so that everything after it is; the emitted text but for the lines."""
    by_hand, left_out = checked(HEAD + Q_Y + Q_Z), checked(HEAD + line)
    assert {f.node: f for f in left_out.model.q} == {f.node: f for f in by_hand.model.q}
    assert left_out.graphs.order("q") == by_hand.graphs.order("q")
    assert left_out.notes == ()
    if line != Q_Z:  # then the order of initial weights is another
        assert driver.emit(left_out).text == driver.emit(by_hand).text


def test_made_factors_stand_where_q_auto_stands() -> None:
    """The order of initial weights is the order of the file, and a made factor's line is that of `q auto`."""
    last = checked(HEAD)
    assert [s for s in last.model.statements if s[0] == "q"] == [("q", "y"), ("q", "z")]
    assert last.model.statements[-1] == ("q", "z")
    text = HEAD.replace("p(y) ", "q auto\np(y) ")
    first = checked(text)
    assert first.model.statements[:2] == (("q", "y"), ("q", "z"))
    assert {first.source.position(f.span.start)[0] for f in first.model.q} == {5}
    assert [last.source.position(f.span.start)[0] for f in last.model.q] == [3, 4], "without it, their declarations"


def test_line_map_of_made_factors() -> None:
    """An error at run time in a made factor must end at a line of the file."""
    program = driver.compile_source(Source("m.sgm", HEAD + "q auto\n"))
    text = program.text.splitlines()
    at = {program.lines[i] for i, line in enumerate(text) if "self.q_z" in line or "encode_z" in line}
    assert at - {0} == {8}


@pytest.mark.parametrize(
    ("kind", "p", "q"),
    [
        ("real[3]", "Normal", "Normal"),
        ("real", "Laplace", "Normal"),
        ("positive[2]", "LogNormal", "LogNormal"),
        ("unit[2]", "ContinuousBernoulli", "Beta"),
        ("binary[4]", "Bernoulli", "Bernoulli"),
        ("class(3)", "Categorical", "Categorical"),
        ("count(1, 4)", "Categorical", "Categorical"),
        ("count", "Poisson", "NegativeBinomial"),
    ],
)
@pytest.mark.parametrize("role", ["latent", "supervised"])
def test_the_family_follows_the_support(kind: str, p: str, q: str, role: str) -> None:
    text = f"model m\nobserved x : real[3]\n{role} v : {kind}\np(v) = {p}\np(x | v) = Normal(mlp(4))\n"
    assert made(text) == [f"q(v | x) = {q}(mlp(256, 256))"]


def test_every_support_has_a_family_that_holds_it() -> None:
    """No node of any support falls through: its made family draws that support."""
    assert set(MADE) == set(get_args(ir.Support))
    for support, family in MADE.items():
        assert support in FAMILIES[family].supports


@pytest.mark.parametrize(
    ("x", "network"),
    [
        ("unit[1, 28, 28]", "conv(32, 64) >> mlp(256)"),
        ("real[3, 16, 40]", "conv(32, 64) >> mlp(256)"),
        ("real[3, 15, 40]", "mlp(256, 256)"),
        ("real[28, 28]", "mlp(256, 256)"),
        ("real[784]", "mlp(256, 256)"),
    ],
)
def test_the_network_follows_the_parents(x: str, network: str) -> None:
    family = "Bernoulli" if x.startswith("unit") else "Normal"
    text = f"model m\nobserved x : {x}\nlatent v : real\np(v) = Normal\np(x | v) = {family}(mlp(4))\n"
    assert made(text) == [f"q(v | x) = Normal({network})"]


def test_maps_that_no_conv_can_read_together_are_flattened() -> None:
    text = "model m\nobserved x : real[1, 28, 28]\ngiven g : real[1, 20, 20]\nlatent v : real\np(v) = Normal\n"
    assert made(text + "p(x | v, g) = Normal(mlp(4))\n") == ["q(v | x, g) = Normal(mlp(256, 256))"]


@pytest.mark.parametrize(
    ("auto", "network"),
    [
        ("q auto(mlp(500))", "mlp(500)"),
        ("q auto( conv( 8 ) >> mlp(9,\n  act = tanh) )", "conv(8) >> mlp(9, act = tanh)"),
        ("q auto(after, linear)", "linear"),
    ],
)
def test_a_network_of_ones_own(auto: str, network: str) -> None:
    text = HEAD + auto + "\n"
    assert {line.split(" = ", 1)[1][:-1].split("(", 1)[1] for line in made(text)} == {network}


def test_a_net_of_the_file_is_shared_where_made_factors_read_the_same() -> None:
    """`net f` serves each made factor; where these read different shapes, E0309 says in which factor."""
    text = HEAD + "net f = conv(8) >> mlp(4)\nq auto(f >> mlp(3))\n"
    alone = (
        text.replace("supervised y : class(10)\n", "").replace("p(y)        = Categorical\n", "").replace("y, z", "z")
    )
    assert made(alone) == ["q(z | x) = Normal(f >> mlp(3))"]
    assert wrong(text) == [("E0309", "f")]


def test_a_node_that_depends_on_nothing_known_reads_nothing() -> None:
    """A label that no datum depends on: a network without inputs would be refused."""
    text = (
        HEAD + "supervised t : real[2]\nsupervised u : real\np(t) = Normal\np(u | t) = Normal(mlp(4))\nq auto(mlp(7))\n"
    )
    assert made(text)[:2] == ["q(u) = Normal(learned)", "q(t | u) = Normal(mlp(7))"]


def test_a_latent_without_data_takes_its_prior() -> None:
    """Its q is its p, letter for letter, lets and all, after everything that p reads."""
    text = (
        HEAD
        + "latent u : real[2]\nlatent w : real[2]\nlet h = mlp(3)(x, z)\np(u | h, y) = Normal(mlp(4), scale = 0.5)\n"
    )
    text = text.replace("Normal(mlp(4), scale", "Normal(loc = mlp(4), scale") + "p(w | u) = Laplace(mlp(2))\n"
    lines = made(text)
    assert lines[-2:] == ["q(u | h, y) = Normal(loc = mlp(4), scale = 0.5)", "q(w | u) = Laplace(mlp(2))"]
    assert [d.code for d in checked(text).notes] == ["W0401", "W0401"], "that they do nothing is still said"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("q auto\nq auto\n", [("E0506", "q auto")]),
        ("p auto\n", [("E0506", "p auto")]),
        ("q auto(afer)\n", [("E0201", "afer")]),
        ("q auto(mpl(5))\n", [("E0201", "mpl")]),
        ("q auto(before)\n", [("E0506", "before")]),
        ("q auto(x)\n", [("E0506", "x")]),
        ("q auto(3)\n", [("E0506", "3")]),
        ("q auto(after = 1)\n", [("E0506", "after = 1")]),
        ("q auto(after, after)\n", [("E0506", "after")]),
        ("q auto(mlp(4), mlp(5))\n", [("E0506", "mlp(5)")]),
        ("q auto(mlp(4)(x))\n", [("E0506", "mlp(4)(x)")]),
        ("q auto(table)\n", [("E0506", "table")]),
        ("q auto(mlp(4, nrom = batch))\n", [("E0306", "nrom")]),
        ("q auto(mlp(n))\n", [("E0201", "n")]),
        ("q auto(mlp(z))\n", [("E0205", "z")]),
    ],
)
def test_mistakes_in_q_auto(lines: str, found: list[tuple[str, str]]) -> None:
    """One slip, one message, at the word that is wrong."""
    assert wrong(HEAD + lines) == found


def test_a_network_that_cannot_read_the_parents_names_the_factor() -> None:
    """The place is the network in `q auto`; which of the made factors it does not suit must be said."""
    text = HEAD.replace("unit[1, 28, 28]", "unit[9]") + "q auto(conv(4))\n"
    with pytest.raises(DiagnosticError) as raised:
        checked(text)
    (found,) = raised.value.diagnostics
    assert (found.code, found.notes) == ("E0307", ("in the made factor q(y | x) = Categorical(conv(4))",))


def test_q_auto_with_nothing_to_make_is_warned_of() -> None:
    assert [d.code for d in checked(HEAD + Q_Y + Q_Z + "q auto\n").notes] == ["W0503"]


def test_a_cycle_among_written_factors_is_the_only_message() -> None:
    """No factor can be made, and the user is told of the cycle, not of what is missing."""
    text = (
        HEAD + "latent u : real\np(u | z) = Normal(mlp(4))\nq(z | y) = Normal(mlp(4))\nq(y | z) = Categorical(mlp(4))\n"
    )
    assert [code for code, _ in wrong(text)] == ["E0401"]
    p = HEAD.replace("p(z)  ", "p(z | x)").replace("Normal\n", "Normal(mlp(4))\n")
    assert [code for code, _ in wrong(p)] == ["E0401"]
