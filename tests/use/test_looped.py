"""Models with loops inside others: a node of theirs is all its copies stacked, and a factor that of all copies at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.oracle.verify import verify
from sgdsl.train.fit import fit
from tests.train.small import weights_of
from tests.use.programs import write

SEQUENCE = """model sequence
latent g : real[2]
p(g) = Normal
for t in 1..3 {
    observed   x[t] : real[2]
    supervised y[t] : class(2)
    latent     z[t] : real
    p(y[t])           = Categorical(learned[t])
    p(z[t])           = Normal
    p(x[t] | z[t], y[t], g) = Normal(mlp(3, act = tanh))
    let e[t]          = mlp(3, act = tanh)(x[t])
    q(y[t] | x[t])    = Categorical(linear)
}
let h[0] = zeros(2)
for t in 1..3 {
    let h[t] = gru(2)(x[t], h[t - 1])
}
q(z[1] | h[1]) = Normal(linear)
for t in 2..3 {
    q(z[t] | h[t], y[t - 1]) = Normal(linear)
}
let m = mean(e[*])
let l = last(h[*])
q(g | m, l, y) = Normal(linear)
"""
ROOMS = """model rooms
for c in 1..2 {
    latent room[c] : real[2]
    p(room[c]) = Normal
    for i in 1..3 {
        observed x[c, i] : unit[4]
        latent   z[c, i] : real
        p(z[c, i] | room[c])          = Normal(mlp(4, act = tanh))
        p(x[c, i] | z[c, i])          = Bernoulli(mlp(4, act = tanh)[i])
        q(z[c, i] | x[c, i], room[c]) = Normal(mlp(4, act = tanh))
    }
    q(room[c] | x[c, *], c) = Normal(mlp(4, act = tanh))
}
train { epochs = 1, batch = 8 }
"""
LENGTHS = """model lengths
given n : count(0, 3)
latent g : real[2]
p(g) = Normal
for t in 1..n {
    observed x[t] : real[2]
    p(x[t] | g, t) = Normal(mlp(4, act = tanh))
    let e[t] = mlp(3, act = tanh)(x[t])
}
let m = mean(e[*])
let b[4] = zeros(2)
for t in 1..n {
    let b[t] = gru(2)(x[t], b[t + 1])
}
let w = last(b[*])
q(g | m, w, x) = Normal(mlp(4, act = tanh))
"""
OF_SEQUENCE = """model of_sequence "Factors with pieces, lets that carry, sums, weights a copy; in a loop of this file."
use s = "sequence.sgm"
for i in 1..2 {
    observed x[i] : real[3, 2]
    latent   g[i] : real[2]
    latent   z[i] : real[3]
    latent   y[i] : class(2)[3]
    p(g[i]) = s.p(g)
    p(z[i]) = s.p(z)
    p(y[i]) = s.p(y)
    let m[i] = s.mean(x | z = z[i], y = y[i], g = g[i])
    p(x[i] | m[i])       = Normal(loc = m[i], scale = 0.7)
    q(y[i] | x[i])       = s.q(y | x = x[i]) by score
    q(g[i] | x[i], y[i]) = s.q(g | x = x[i], y = y[i])
    q(z[i] | x[i], y[i]) = s.q(z | x = x[i], y = y[i])
}
"""
OF_ROOMS = """model of_rooms "Two levels, and copies of this file's own loop as those of the other."
use r = "rooms.sgm"
observed x    : unit[2, 3, 4]
latent   z    : real[2, 3]
for c in 1..2 {
    latent room[c] : real[2]
    p(room[c]) = Normal
}
p(z | room) = r.p(z | room = room)
p(x | z)    = r.p(x | z = z)
let seen    = r.mean(x | z = zeros(2, 3))
for c in 1..2 {
    q(room[c] | x, seen, c) = Normal(mlp(4, act = tanh))
}
q(z | x, room) = r.q(z | x = x, room = room)
"""
OF_LENGTHS = """model of_lengths "Rows of unlike lengths; the number is enumerated here."
use r = "lengths.sgm"
observed   x : real[3, 2]
observed   c : real
supervised n : count(0, 3)
latent     g : real[2]
p(n)        = Categorical
p(g)        = Normal
p(c | n)    = Normal(linear)
p(x | g)    = Normal(mlp(4, act = tanh))
q(n | c)    = Categorical(mlp(3, act = tanh))
q(g | x, n) = r.q(g | x = x, n = n)
"""


@pytest.mark.parametrize("text", [OF_SEQUENCE, OF_ROOMS, OF_LENGTHS], ids=["sequence", "rooms", "lengths"])
def test_it_is_the_other_model_written_out(tmp_path: Path, text: str) -> None:
    """Protects bounds and gradients of every pattern of labels: the oracle reads the other model copy by copy."""
    write(tmp_path, sequence=SEQUENCE, rooms=ROOMS, lengths=LENGTHS, outer=text)
    report = verify(driver.read(tmp_path / "outer.sgm"))
    assert report.right, [case for case in report.cases if not case.right]


def test_weights_of_a_run_with_loops_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects weights a copy: those of the run are in the other model, and stay; what is around them learns."""
    monkeypatch.chdir(tmp_path)
    outer = OF_ROOMS.replace('"rooms.sgm"', '"rooms.sgm" (weights = "runs/rooms", frozen)')
    write(tmp_path, rooms=ROOMS, outer=outer + "train { epochs = 2, batch = 8 }\n")
    data = {"x": np.random.default_rng(0).random((32, 2, 3, 4)).astype(np.float32)}
    inner = fit(driver.compile_source(driver.read("rooms.sgm")), data, out=Path("runs/rooms"), quiet=True)
    run = fit(driver.compile_source(driver.read("outer.sgm")), data, out=Path("runs/outer"), quiet=True)
    trained, found = weights_of(inner), weights_of(run)
    taken = {name.removeprefix("r."): value for name, value in found.items() if name.startswith("r.")}
    assert {name.split(".")[0] for name in taken} == {"p_z", "p_x", "q_z"}
    assert all(np.array_equal(value, trained[name]) for name, value in taken.items())
    assert taken["p_x.trunk.0.weight"].shape == (3, 4, 1)
    assert run.diagnosis.nodes["z"].cells == 6


CHAIN = """model chain
for t in 1..3 {
    observed x[t] : real partial
    latent   z[t] : real
    p(x[t] | z[t]) = Normal(linear)
    q(z[t] | x[t]) = Normal(linear)
}
p(z[1]) = Normal
for t in 2..3 {
    p(z[t] | z[t - 1]) = Normal(linear)
}
"""


@pytest.mark.parametrize(
    ("other", "call", "why"),
    [
        (CHAIN, "q(z | x) = Normal(linear)\np(z) = o.p(z)", "its copies read one another"),
        (CHAIN, "p(z) = Normal\nq(z | x) = o.q(z | x = x)", "it reads `x`, which is partial"),
        (LENGTHS, "p(z) = Normal\nq(z | x) = o.p(x | g = x)", "as many copies"),
    ],
)
def test_what_cannot_be_taken(tmp_path: Path, other: str, call: str, why: str) -> None:
    """Protects from factors that are not those of all copies given what they read: each has its reason."""
    text = f'model outer\nuse o = "other.sgm"\nobserved x : real[3]\nlatent z : real[3]\np(x | z) = Normal(linear)\n{call}\n'
    write(tmp_path, other=other, outer=text)
    with pytest.raises(DiagnosticError) as found:
        driver.check(driver.read(tmp_path / "outer.sgm"))
    assert found.value.diagnostics[0].code == "E0190"
    assert why in found.value.diagnostics[0].message
