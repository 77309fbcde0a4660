"""Loops written out by middle/unrolled.py, and their densities by the oracle, against models written by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import torch

from sgdsl.middle import ir
from sgdsl.middle.unrolled import unrolled
from sgdsl.oracle.interpret import Reader
from sgdsl.oracle.shared import shared
from tests.loops.by_hand import checked, looped, values, weights

ONE = """model one
observed x : real[2]
latent   y : class(3)
latent   c : class(2)
p(c)        = Categorical(learned)
p(y | c)    = Categorical(table)
p(x | y)    = Normal(mlp(3, act = tanh))
q(c | x)    = Categorical(mlp(2, act = tanh))
q(y | x, c) = Categorical(mlp(2, act = tanh))
"""

THREE = """model three
observed x1 : real[2]
observed x2 : real[2]
observed x3 : real[2]
latent   y1 : class(3)
latent   y2 : class(3)
latent   y3 : class(3)
latent   c : class(2)
p(c)          = Categorical(learned)
p(y1 | c)     = Categorical(table)
p(y2 | c)     = Categorical(table)
p(y3 | c)     = Categorical(table)
p(x1 | y1)    = Normal(mlp(3, act = tanh))
p(x2 | y2)    = Normal(mlp(3, act = tanh))
p(x3 | y3)    = Normal(mlp(3, act = tanh))
q(c | x1, x2, x3) = Categorical(mlp(2, act = tanh))
q(y1 | x1, c) = Categorical(mlp(2, act = tanh))
q(y2 | x2, c) = Categorical(mlp(2, act = tanh))
q(y3 | x3, c) = Categorical(mlp(2, act = tanh))
"""

I = ir.Range("i", "i", 1, 3)


def plate() -> ir.Model:
    """ONE with x and y over i in 1..3; q(c) reads a stack of all x."""
    model = looped(checked(ONE).model, [ir.Axis("i", 1, 3)], {"x": (I,), "y": (I,)})
    kind = ir.Type("real", (), (3, 2))
    of = ir.Ref("x", ir.Type("real", (), (2,)), (2,))
    every = ir.Let("stack(x[*])", ir.Over("stack", of, (3, 2)), kind)
    q = model.factor("q", "c")
    assert q.trunk
    stages = tuple(replace(s, input=(6,)) for s in q.trunk.parts if isinstance(s, ir.Stage))
    trunk = replace(q.trunk, parts=stages, inputs=(ir.Ref(every.name, kind, (3, 2)),))
    made = replace(q, given=(every.name,), trunk=trunk)
    return replace(model, lets=(every,), q=tuple(made if f is q else f for f in model.q))


def named(name: str) -> str:
    """x[1] → x1."""
    return name.replace("[", "").replace("]", "")


def test_a_plate_is_the_model_written_by_hand() -> None:
    """Protects names, parents, shared weights and stacks: every factor of the written-out plate has the density of the
    same factor of a model that lists its copies."""
    flat, hand = unrolled(plate()), checked(THREE).model
    assert [named(n.name) for n in flat.model.nodes] == [n.name for n in hand.nodes]
    at = values(hand, 1)
    state = {n.replace("1.", "."): t for n, t in weights(THREE).items() if not re.match(r"p_.[23]|q_y[23]", n)}
    mine = Reader(flat.model, shared(flat, state))
    theirs = Reader(hand, {re.sub(r"^(._[xy])\.", rf"\g<1>{k}.", n): t for n, t in state.items() for k in (1, 2, 3)})
    found = {n.name: at[named(n.name)] for n in flat.model.nodes}
    for factor in (*flat.model.p, *flat.model.q):
        wanted = hand.factor(factor.side, named(factor.node))
        torch.testing.assert_close(mine.log_prob(factor, found), theirs.log_prob(wanted, at), rtol=0, atol=1e-14)
    assert len(flat.model.p) == len(hand.p)


T = ir.Range("t", "t", 1, 3)
LATER = ir.Range("t_2_3", "t", 2, 3)
CLASS = ir.Type("class", (2,))


def chain() -> ir.Model:
    """p(z[1]), p(z[t] | z[t - 1]) for t in 2..3, p(x[t] | z[t]), and m[t] = tanh(z[t] + m[t - 1]) with m[0] = 0.5."""
    text = """model chain
    observed x : real[1]
    latent   z : class(2)
    latent   before : class(2)
    let m = mlp(1, act = tanh)(z)
    p(before)     = Categorical(learned)
    p(z | before) = Categorical(table)
    p(x | m)      = Normal(loc = m, scale = learned)
    q(before)     = Categorical
    q(z | x)      = Categorical(mlp(2, act = tanh))
    """
    flat = checked(text).model
    one, scalar = ir.Ref("z", CLASS), ir.Type("real", (), (1,))
    past = ir.Let("z[t - 1]", ir.View(one, (ir.Lag(LATER, -1),)), CLASS, axes=(LATER,))
    zero = ir.Let("m[0]", ir.Number(0.5), scalar)
    carried = ir.Let(
        "m[t - 1]",
        ir.View(ir.Ref("m", scalar, (1,)), (ir.Lag(T, -1),), ((0, ir.Ref("m[0]", scalar, (1,))),)),
        scalar,
        axes=(T,),
    )
    m = flat.let("m").value
    assert isinstance(m, ir.Apply)
    step = ir.Let("m", ir.Operation("add", (m, ir.Ref("m[t - 1]", scalar, (1,))), (1,)), scalar, axes=(T,))
    first = replace(flat.factor("p", "before"), node="z", place=(1,), piece="1")
    move = flat.factor("p", "z")
    table = ir.Table((ir.Ref("z[t - 1]", CLASS),))
    move = replace(
        move,
        given=("z[t - 1]",),
        parameters=tuple(replace(p, source=table) for p in move.parameters),
        place=(LATER,),
    )
    nodes = tuple(replace(n, axes=(T,)) for n in flat.nodes if n.name != "before")
    p = (first, move, replace(flat.factor("p", "x"), place=(T,)))
    q = (replace(flat.factor("q", "z"), place=(T,)),)
    statements = (("let", "m"), ("p", "z_1"), ("p", "z"), ("p", "x"), ("q", "z"))
    lets = (past, zero, carried, step)
    return replace(flat, nodes=nodes, lets=lets, p=p, q=q, axes=(ir.Axis("t", 1, 3),), statements=statements)


def test_a_chain_reads_its_earlier_copies() -> None:
    """Protects pieces, views behind and edges: p(x, z) of a chain whose mean is carried is a product by hand."""
    flat = unrolled(chain())
    assert [(f.node, f.given) for f in flat.model.p] == [
        ("z[1]", ()), ("z[2]", ("z[1]",)), ("z[3]", ("z[2]",)), ("x[1]", ("m[1]",)), ("x[2]", ("m[2]",)), ("x[3]", ("m[3]",)),
    ]  # fmt: skip
    assert [f.given for f in flat.model.q] == [("x[1]",), ("x[2]",), ("x[3]",)]
    first, table = torch.tensor([0.3, -0.4]).double(), torch.tensor([[0.5, -1.0], [0.2, 0.9]]).double()
    weight, bias, scale = (
        torch.tensor([[1.3, -0.7]]).double(),
        torch.tensor([0.1]).double(),
        torch.tensor([0.2]).double(),
    )
    state = {
        "p_z_1.logits": first, "p_z.table.logits": table, "m.0.weight": weight, "m.0.bias": bias, "p_x.scale": scale,
    }  # fmt: skip
    reader = Reader(flat.model, shared(flat, state))
    z, x = [1, 0, 1], torch.tensor([0.4, -1.1, 0.9]).double()
    at = {f"z[{t}]": torch.tensor([z[t - 1]]) for t in (1, 2, 3)} | {
        f"x[{t}]": x[t - 1].reshape(1, 1) for t in (1, 2, 3)
    }
    wanted, m = first.log_softmax(0)[z[0]], torch.tensor(0.5).double()
    for t in range(3):
        wanted = wanted + (table.log_softmax(1)[z[t - 1], z[t]] if t else 0)
        m = m + torch.tanh(weight[0, z[t]] + bias[0])
        wanted = wanted + torch.distributions.Normal(m, torch.nn.functional.softplus(scale[0]) + 1e-2).log_prob(x[t])
    found = sum((reader.log_prob(f, at) for f in flat.model.p), torch.zeros(1))
    torch.testing.assert_close(found[0], wanted, rtol=0, atol=1e-13)


def test_copies_may_have_weights_of_their_own() -> None:
    """Protects `mlp(3)[i]` and `table[i]`: a copy reads its place of the stacks, its head's too."""
    model = plate()
    p_x, p_y = model.factor("p", "x"), model.factor("p", "y")
    assert p_x.trunk
    own_x = replace(p_x, trunk=replace(p_x.trunk, copies=(I,)))
    tables = tuple(
        replace(p, source=replace(p.source, copies=(I,))) for p in p_y.parameters if isinstance(p.source, ir.Table)
    )
    own_y = replace(p_y, parameters=tables)
    model = replace(model, p=tuple({"x": own_x, "y": own_y}.get(f.node, f) for f in model.p))
    flat, hand = unrolled(model), checked(THREE).model
    state = weights(THREE)
    stacks = {
        n.replace("1.", "."): torch.stack([state[n.replace("1.", f"{k}.")] for k in (1, 2, 3)])
        for n in state
        if n.startswith(("p_x1", "p_y1"))
    }
    mine, theirs = Reader(flat.model, shared(flat, stacks)), Reader(hand, state)
    at = values(hand, 2)
    found = {n.name: at[named(n.name)] for n in flat.model.nodes}
    for k in (1, 2, 3):
        for node in ("x", "y"):
            wanted = theirs.log_prob(hand.factor("p", f"{node}{k}"), at)
            mine_k = mine.log_prob(flat.model.factor("p", f"{node}[{k}]"), found)
            torch.testing.assert_close(mine_k, wanted, rtol=0, atol=1e-14)


def counted() -> ir.Model:
    """k : count(0, 2); y[i] for i in 1..k; x reads the sum of y."""
    text = """model counted
    observed x : real[2]
    latent   k : count(0, 2)
    latent   y : class(3)
    let seen = mlp(2, act = tanh)(y)
    p(k)    = Categorical(learned)
    p(y)    = Categorical(learned)
    p(x | seen) = Normal(loc = seen, scale = 0.7)
    q(k | x)    = Categorical(mlp(2, act = tanh))
    q(y | x)    = Categorical(mlp(2, act = tanh))
    """
    i = ir.Range("i", "i", 1, 2)
    flat = checked(text).model
    model = looped(flat, [ir.Axis("i", 1, 2, "k")], {"y": (i,), "seen": (i,)})
    kind = ir.Type("real", (), (2,))
    total = ir.Let("sum(seen[*])", ir.Over("sum", ir.Ref("seen", kind, (2,)), (2,)), kind)
    x = model.factor("p", "x")
    loc = replace(x.parameters[0], source=ir.Value(ir.Ref(total.name, kind, (2,))))
    made = replace(x, given=(total.name,), parameters=(loc, *x.parameters[1:]))
    return replace(model, lets=(*model.lets, total), p=tuple(made if f is x else f for f in model.p))


def test_copies_beyond_a_count_do_not_exist() -> None:
    """Protects `for i in 1..k`: with k = 0, 1, 2 so many copies have factors, and a sum over none is zero."""
    for k in range(3):
        flat = unrolled(counted(), {"k": k})
        assert [n.name for n in flat.model.nodes] == ["x", "k", *(f"y[{i}]" for i in range(1, k + 1))]
        assert len(flat.model.p) == len(flat.model.q) + 1 == 2 + k
        state = {"seen.0.weight": torch.eye(2, 3).double(), "seen.0.bias": torch.ones(2).double()}
        reader = Reader(flat.model, shared(flat, state))
        at = {f"y[{i}]": torch.tensor([i - 1]) for i in range(1, k + 1)}
        loc = reader.parameters(flat.model.factor("p", "x"), at)["loc"]
        each = [torch.tanh(torch.eye(2, 3).double()[:, i] + 1) for i in range(k)]
        torch.testing.assert_close(loc[0], sum(each, torch.zeros(2).double()), rtol=0, atol=1e-14)
