"""What the IR of right programs holds: sources, shapes, floors, networks, lets, nets, estimators."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgdsl.frontend.read import read_source
from sgdsl.middle import ir
from tests.frontend.reading import M2, read

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.sgm"))
HEAD = """model t
const K = 5
given      c : class(3)
observed   x : unit[2, 9, 8]
observed   n : count[7]
supervised y : class(K)
supervised w : real
latent     z : real[8]
latent     k : count(0, 3)
latent     b : binary[4]
"""


def factor(line: str, head: str = HEAD) -> ir.Factor:
    """The one factor of a program with this line."""
    model = read(head + line + "\n")
    (found,) = (*model.p, *model.q)
    return found


def sources(line: str, head: str = HEAD) -> dict[str, ir.ParameterSource]:
    return {p.name: p.source for p in factor(line, head).parameters}


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_shipped_models_have_every_shape(path: Path) -> None:
    """Protects the models that are shipped, and that after `check` no stage is without a shape."""
    model = read(read_source(path).text)
    assert model.name == path.stem
    for found in (*model.p, *model.q):
        networks = [p.source.network for p in found.parameters if isinstance(p.source, ir.Own)]
        networks += [found.trunk] if found.trunk else []
        for network in networks:
            assert network.output
            assert all(s.input and s.output for s in network.parts if isinstance(s, ir.Stage))


def test_m2_as_written() -> None:
    """Protects names, roles, text, places and order of a whole file."""
    model = read(M2)
    assert (model.name, model.doc) == ("m2", "Digit y, style z.")
    assert [(n.name, n.role, str(n.type)) for n in model.nodes] == [
        ("x", "observed", "unit[1, 28, 28]"),
        ("y", "supervised", "class(10)"),
        ("z", "latent", "real[50]"),
    ]
    assert model.statements == (("p", "y"), ("p", "z"), ("p", "x"), ("q", "y"), ("q", "z"))
    found = model.factor("p", "x")
    assert found.text == "p(x | y, z) = Bernoulli(mlp(500, 500))"
    assert M2[found.span.start : found.span.end] == "p(x | y, z)"
    assert [M2[s.start : s.end] for s in found.given_spans] == ["y", "z"]
    assert found.trunk is not None
    assert [s.input for s in found.trunk.parts if isinstance(s, ir.Stage)] == [(60,)]


def test_one_network_serves_all_that_is_not_named() -> None:
    """Protects the rule of one trunk with a head for each parameter, beside named values."""
    found = factor("q(w | x, y) = StudentT(mlp(64), df = 4)")
    assert [p.name for p in found.parameters] == ["df", "loc", "scale"]
    assert [type(p.source) for p in found.parameters] == [ir.Value, ir.Head, ir.Head]
    assert found.trunk is not None
    assert [(i.name, i.shape) for i in found.trunk.inputs if isinstance(i, ir.Ref)] == [("x", (2, 9, 8)), ("y", ())]


def test_named_networks_are_their_own() -> None:
    """Protects that a network given by name shares nothing."""
    found = factor("q(z | x) = Normal(loc = mlp(3), scale = mlp(4))")
    assert found.trunk is None
    assert [type(p.source) for p in found.parameters] == [ir.Own, ir.Own]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("p(z) = Normal", {"loc": ir.Default, "scale": ir.Default}),
        ("p(z) = Normal(2)", {"loc": ir.Value, "scale": ir.Default}),
        ("p(z | k) = Normal(table)", {"loc": ir.Table, "scale": ir.Table}),
        ("p(z | k) = Normal(table, scale = learned(1))", {"loc": ir.Table, "scale": ir.Learned}),
        ("p(y) = Categorical(learned)", {"logits": ir.Learned}),
        ("p(y) = Categorical([0.2, 0.2, 0.2, 0.2, 0.2])", {"probs": ir.Value}),
        ("p(b) = Bernoulli(0.3)", {"probs": ir.Value}),
        ("p(b) = Bernoulli(logits = 0.3)", {"logits": ir.Value}),
        ("p(b | y) = Bernoulli(probs = mlp(8))", {"logits": ir.Own}),
        ("p(n | z) = NegativeBinomial(mlp(8))", {"total_count": ir.Head, "logits": ir.Head}),
        ("p(n | z) = ZeroInflatedNegativeBinomial(mlp(8), gate = 0.1)",
         {"total_count": ir.Head, "logits": ir.Head, "gate": ir.Value}),
        ("p(n) = Poisson(3)", {"rate": ir.Value}),
        ("q(z | x) = Delta(linear)", {"value": ir.Head}),
    ],
)  # fmt: skip
def test_where_parameters_come_from(line: str, expected: dict[str, type]) -> None:
    """Protects the reading of arguments by position, by name, and of bare families."""
    assert {name: type(source) for name, source in sources(line).items()} == expected


@pytest.mark.parametrize(
    ("line", "shape"),
    [("p(k) = Categorical(learned)", (4,)), ("p(y) = Categorical", (5,)), ("p(b) = Bernoulli(learned)", (4,)),
     ("p(z) = Normal(learned)", (8,)), ("p(w) = Normal", ())],
)  # fmt: skip
def test_parameter_shapes(line: str, shape: ir.Shape) -> None:
    """Protects the shape of parameters: the event's, and one number a value for logits of classes."""
    assert {p.shape for p in factor(line).parameters} == {shape}


@pytest.mark.parametrize(
    ("line", "floor"),
    [
        ("p(w | z) = Normal(mlp(8))", 1e-2),
        ("p(w) = Normal(loc = 0, scale = learned)", 1e-2),
        ("p(w | y) = Normal(table)", 1e-2),
        ("p(w | z) = Normal(mlp(8), floor = 0.1)", 0.1),
        ("p(w | z) = Normal(loc = mlp(8), scale = 0.5)", None),
        ("p(z | k) = Normal(mlp(8))", None),
        ("q(z | x) = Normal(mlp(8), floor = 0.2)", 0.2),
        ("p(x | z) = Normal(mlp(8))", 1e-2),
    ],
)
def test_floor_of_the_scale(line: str, floor: float | None) -> None:
    """Protects the floor of headed, learned and tabled scales of what is observed, without which scale → 0 wins."""
    found = {p.name: p.floor for p in factor(line).parameters}
    assert found == {"loc": None, "scale": floor}


def test_conv_joins_what_is_no_map_behind_it() -> None:
    """Protects conv's shapes: sides halved and rounded down, maps joined over channels, the rest after flattening."""
    found = factor("q(z | x, y, c) = Normal(conv(4, 8) >> mlp(16))")
    assert found.trunk is not None
    conv, mlp = found.trunk.parts
    assert isinstance(conv, ir.Stage)
    assert isinstance(mlp, ir.Stage)
    assert (conv.input, conv.output) == ((2, 9, 8), (8, 2, 2))
    assert (mlp.input, mlp.output) == ((8 * 2 * 2 + 5 + 3,), (16,))


def test_deconv_ends_in_the_parameter() -> None:
    """Protects that a deconv reaches every shape, its last layer being the head."""
    found = factor("p(x | z) = Normal(loc = mlp(16) >> deconv(8, 4), scale = learned(1))")
    (loc, scale) = found.parameters
    assert isinstance(loc.source, ir.Own)
    stage = loc.source.network.parts[-1]
    assert isinstance(stage, ir.Stage)
    assert (stage.sizes, stage.input, stage.output) == ((8, 4), (16,), (2, 9, 8))
    assert scale.source == ir.Learned((1,))
    assert scale.shape == (2, 9, 8)


def test_bare_linear_is_the_head_alone() -> None:
    """Protects `linear` without sizes, alone or at the end."""
    alone = factor("q(z | x) = Normal(linear)")
    behind = factor("q(z | x) = Normal(mlp(3) >> linear)")
    assert alone.trunk is not None
    assert (alone.trunk.parts, alone.trunk.output) == ((), (144,))
    assert behind.trunk is not None
    assert len(behind.trunk.parts) == 1


def test_options_are_all_there() -> None:
    """Protects the emitter from defaults of its own."""
    found = factor("q(z | x) = Normal(mlp(8, act = tanh, dropout = 0.5))")
    assert found.trunk is not None
    (stage,) = found.trunk.parts
    assert isinstance(stage, ir.Stage)
    assert stage.options == (("norm", "none"), ("act", "tanh"), ("dropout", 0.5))


def test_nets_share_and_nest() -> None:
    """Protects nets: one shape from their uses, nets inside of nets, unused ones without."""
    model = read(HEAD + "net f = mlp(6)\nnet g = f >> mlp(7)\nnet h = mlp(3)\n"
                 "q(z | x) = Normal(g)\nq(y | x) = Categorical(f)\n")  # fmt: skip
    f, g, h = model.nets
    assert [s.input for s in f.parts if isinstance(s, ir.Stage)] == [(144,)]
    assert isinstance(g.parts[0], ir.NetUse)
    assert [s.input for s in g.parts if isinstance(s, ir.Stage)] == [(6,)]
    assert (f.used, g.used, h.used) == (True, True, False)


def test_lets_of_parents_may_be_read_without_being_named() -> None:
    """Protects that order has no meaning, and that a let of parents alone needs no place behind the bar."""
    model = read(HEAD + "p(w | z) = Normal(h, 1)\nlet h = sum(g)\nlet g = 2 * z + 1\n")
    assert [h.name for h in model.lets] == ["h", "g"]
    (loc, _) = model.p[0].parameters
    assert isinstance(loc.source, ir.Value)
    assert loc.source.expr.shape == ()
    assert [h.value.shape for h in model.lets] == [(), (8,)]


def test_a_let_may_rename_a_class() -> None:
    """Protects aliases, which keep the node's type and so its one-hot form."""
    model = read(HEAD + "let label = y\nq(z | label) = Normal(mlp(8))\n")
    assert model.let("label").type == ir.Type("class", (5,))
    trunk = model.q[0].trunk
    assert trunk is not None
    assert isinstance(trunk.parts[0], ir.Stage)
    assert trunk.parts[0].input == (5,)


@pytest.mark.parametrize(
    ("expr", "shape"),
    [("concat(z, mlp(3)(x))", (11,)), ("stack(z, z)", (2, 8)), ("sum(x, axis = -1)", (2, 9)), ("max(x)", ()),
     ("dot(z, z)", ()), ("clamp(z, 0, 1)", (8,)), ("[1, 2, 3]", (3,)), ("zeros(2, 3)", (2, 3)), ("last(z)", ()),
     ("mean(x, axis = 0)", (9, 8)), ("conv(4)(x)", (4, 4, 4)), ("learned(3)", (3,)), ("K * 2", ()), ("-z / 2", (8,))],
)  # fmt: skip
def test_shapes_of_expressions(expr: str, shape: ir.Shape) -> None:
    """Protects the shape rule of every kind of expression."""
    assert read(f"{HEAD}let h = {expr}\n").let("h").value.shape == shape


@pytest.mark.parametrize(
    ("by", "name", "options"),
    [("reparam", "reparam", ()), ("enumerate", "enumerate", ()), ("gumbel(0.66)", "gumbel", (("temperature", 0.66),)),
     ("gumbel(temperature = 2)", "gumbel", (("temperature", 2.0),)), ("straight_through", "straight_through", ()),
     ("score", "score", (("baseline", "loo"),)), ("score(baseline = loo)", "score", (("baseline", "loo"),))],
)  # fmt: skip
def test_estimators(by: str, name: str, options: tuple[tuple[str, str | float], ...]) -> None:
    """Protects `by` and the defaults of its options."""
    found = factor(f"q(y | x) = Categorical(mlp(8)) by {by}").estimator
    assert found is not None
    assert (found.name, found.options) == (name, options)


def test_table_keeps_the_written_order() -> None:
    """Protects the layout of table weights: parents in the order of the bar, or of its own arguments."""
    written = sources("p(w | y, b, k) = Normal(table)")["loc"]
    asked = sources("p(w | y, b, k) = Normal(table(k, y))")["loc"]
    assert isinstance(written, ir.Table)
    assert isinstance(asked, ir.Table)
    assert [p.name for p in written.parents] == ["y", "b", "k"]
    assert [p.name for p in asked.parents] == ["k", "y"]
