"""The two graphs and their checks."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source

M2 = """model m
observed   x : real[3]
supervised y : class(4)
latent     z : real[2]
p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Normal(mlp(8))
{lets}
q(y | x)    = Categorical(mlp(8))
q(z | {parents}) = Normal(mlp(8))
"""


def compiled(text: str) -> driver.Checked:
    return driver.check(Source("m.sgm", text))


def codes(text: str) -> list[str]:
    with pytest.raises(DiagnosticError) as raised:
        compiled(text)
    return [d.code for d in raised.value.diagnostics]


def test_lets_are_contracted_into_the_nodes_they_read() -> None:
    """A let is no node: weights, cycles and independences are decided on the nodes behind it."""
    checked = compiled(M2.format(lets="let a = mlp(4)(x)\nlet b = concat(a, mlp(2)(y))", parents="b"))
    assert checked.graphs.parents("q", "z") == ("x", "y")
    assert set(checked.graphs.q.nodes) == {"x", "y", "z"}


def test_graphs_are_frozen_dags() -> None:
    """Nothing after the graph stage may change what the file said."""
    graphs = compiled(M2.format(lets="", parents="x, y")).graphs
    assert graphs.p.acyclic
    assert graphs.q.acyclic
    with pytest.raises(FrozenInstanceError):
        graphs.p.above = graphs.q.above  # type: ignore[misc]


def test_a_cycle_is_named_with_its_path() -> None:
    """The message must show the way round, not only that there is one."""
    text = M2.format(lets="", parents="x, y").replace("q(y | x)", "q(y | x, z)")
    with pytest.raises(DiagnosticError) as raised:
        compiled(text)
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E0401"
    assert "y → z → y" in diagnostic.message or "z → y → z" in diagnostic.message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("p(z)        = Normal\n", "", "E0402"),
        ("p(z)        = Normal\n", "p(z)        = Normal\np(z) = Laplace\n", "E0403"),
        ("p(z)        = Normal\n", "p(z)        = Normal\nq(x | z) = Normal(mlp(8))\n", "E0404"),
        ("p(x | y, z) = Normal(mlp(8))", "p(x) = Normal", "E0405"),
    ],
)
def test_a_wrong_graph_has_one_diagnostic(old: str, new: str, code: str) -> None:
    """One slip, one message, before a tensor exists."""
    text = M2.format(lets="", parents="x, y")
    assert old in text
    assert codes(text.replace(old, new)) == [code]


def test_a_given_node_that_only_ends_a_loop_is_read() -> None:
    """Protects W0401 from crying wolf: n says how long each row is."""
    text = """model ragged
given n : count(1, 4)
for t in 1..n {
    observed x[t] : real[3]
    latent   z[t] : real[2]
    p(z[t])        = Normal
    p(x[t] | z[t]) = Normal(mlp(8))
    q(z[t] | x[t]) = Normal(mlp(8))
}
"""
    assert compiled(text).notes == ()
    assert [d.code for d in compiled(text.replace("1..n", "1..4")).notes] == ["W0401"]
