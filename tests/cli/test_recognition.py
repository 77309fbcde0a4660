"""Made recognition models from outside: what is said where, and that a model without a line of q trains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import sgdsl
from sgdsl.cli.entry import run

ROOT = Path(__file__).parents[2]
FACES = str(ROOT / "models" / "faces.sgm")
VAE = str(ROOT / "models" / "vae.sgm")
PARTLY = """model partly
observed   x : real[6]
observed   c : count
supervised y : class(3)
supervised t : real
latent     n : count
latent     b : binary
latent     z : positive[2]
latent     u : real[2]
latent     w : real
p(y) = Categorical
p(t) = Normal
p(n | y) = Poisson(table)
p(b) = Bernoulli
p(z | y) = LogNormal(table)
p(u | z, x) = Normal(mlp(4))
p(w | u, y) = StudentT(mlp(4))
p(x | z, b) = Normal(mlp(8))
p(c | n) = Poisson(mlp(4))
q(z | x) = LogNormal(mlp(8))
q auto(after, mlp(8))
"""


def test_check_notes_what_a_written_q_assumes(capsys: pytest.CaptureFixture[str]) -> None:
    """A note is no mistake: the model is ok, with exit code 0; quiet leaves it out; programs see its severity."""
    assert run(["check", FACES]) == 0
    out, err = capsys.readouterr()
    assert out == f"{FACES}: ok\n"
    assert "note[N0501]: in the posterior `s` depends on `r`, `who`" in err
    assert "write `q(s | h, r, who) = Normal(mlp(128))`" in err
    assert run(["check", FACES, "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert run(["check", FACES, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert {(d["code"], d["severity"]) for d in found["diagnostics"]} == {("N0501", "note")}


@pytest.mark.parametrize("command", ["explain", "show", "graph"])
def test_other_commands_leave_notes_out(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, FACES]) == 0
    assert capsys.readouterr().err == ""


def test_the_page_of_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "N0501"]) == 0
    assert "N0501: An independence that the posterior lacks" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["explain"], ["show", "--stage", "graph"]])
def test_what_was_made_is_said(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, VAE]) == 0
    out = capsys.readouterr().out
    made = "recognition made by the compiler\n    q(z | x) = Normal(conv(32, 64) >> mlp(256))\n        x: a child of z in p\n"
    assert made in out
    assert run([*command, FACES]) == 0
    assert "made by the compiler" not in capsys.readouterr().out


def test_the_shipped_vae_has_no_q(capsys: pytest.CaptureFixture[str]) -> None:
    """The plain VAE is its generative model alone."""
    assert "q(" not in Path(VAE).read_text()
    assert run(["check", VAE]) == 0
    assert capsys.readouterr().err == ""


def test_a_partly_written_q_trains(tmp_path: Path) -> None:
    """Every kind of made factor in one model: of each family, without parents, with q as p; one epoch is finite, and
    weights have the names they would have if written."""
    random = np.random.default_rng(0)
    data = {
        "x": random.normal(size=(60, 6)).astype(np.float32), "c": random.poisson(2.0, 60),
        "y": random.integers(-1, 3, 60), "t": random.normal(size=60).astype(np.float32),
    }  # fmt: skip
    model = sgdsl.compile(PARTLY)
    lines = {f.node: f.text for f in model.program.model.q if f.made}
    assert lines == {
        "n": "q(n | c, z) = NegativeBinomial(mlp(8))",
        "y": "q(y | z, n) = Categorical(mlp(8))",
        "b": "q(b | x, z) = Bernoulli(mlp(8))",
        "t": "q(t) = Normal(learned)",
        "u": "q(u | z, x) = Normal(mlp(4))",
        "w": "q(w | u, y) = StudentT(mlp(4))",
    }
    assert {"q_n.trunk.0.weight", "q_b.logits.weight", "q_t.loc", "q_u.scale.bias"} <= set(model.build().state_dict())
    result = sgdsl.fit(model, data, out=tmp_path / "run", quiet=True, epochs=1, batch=20)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    numbers = [v for row in rows for v in row.values() if isinstance(v, float)]
    assert numbers
    assert np.isfinite(numbers).all()
    assert np.isfinite(np.asarray(result.log_prob(data["x"][:4], c=data["c"][:4]))).all()
