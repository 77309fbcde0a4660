"""`sgdsl verify` on models that are right: plans, tables, the model as it is; the page, JSON and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.cli.entry import run
from sgdsl.oracle import exact
from sgdsl.oracle.cases import Report
from sgdsl.oracle.forced import differences, forced
from sgdsl.oracle.groups import Groups
from sgdsl.oracle.program import BOUNDS, OVERRIDES, example
from sgdsl.oracle.report import page
from sgdsl.oracle.small import shrink
from sgdsl.oracle.verify import verify
from sgdsl.runtime.bounds import snis
from tests.oracle.program import MODELS, program
from tests.oracle.random_programs import DRAWN, EXACT, random_program

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "tests" / "loops" / "written" / "ccvae.sgm"  # models with loops: tests/loops
GALLERY = [p if p.stem != "ccvae" else WRITTEN for p in sorted((ROOT / "models").glob("*.sgm"))]
LARGE = ("adgm", "ccvae", "diva", "faces", "svhn")  # seconds each
ALPHA = 0.5


def wrong(report: Report) -> list[object]:
    return [*report.differences, *(case for case in report.cases if not case.right)]


FREE = """model free
observed   x : class(3)
supervised y : class(4)
latent     c : binary
p(y)        = Categorical(learned)
p(c)        = Bernoulli
p(x | y, c) = Categorical(table)
q(y)        = Categorical {y}
q(c)        = Bernoulli {c}
"""


@pytest.mark.parametrize(("y", "c"), [("", ""), ("by score", "by gumbel(0.5)"), ("by sum_and_sample", "by score")])
def test_a_q_that_reads_nothing_and_has_no_weights(y: str, c: str) -> None:
    """Protects the uniform q of a bare family: its log q is one number, and still one for each value of the node."""
    report = verify(Source("free.sgm", FREE.format(y=y, c=c)))
    assert report.right, wrong(report)


SCORED = """model scored
observed   x : real
supervised y : class(2)
latent     z : {kind}
p(y)        = Categorical(learned)
p(z)        = {prior}
p(x | y, z) = Normal(mlp(2, act = tanh))
q(z | x)    = {q} by score
q(y | x, z) = Categorical(mlp(2, act = tanh))
"""


@pytest.mark.parametrize(
    ("kind", "prior", "q"),
    [
        ("real", "Normal", "Normal(linear)"),
        ("positive", "LogNormal", "LogNormal(linear)"),
        ("real", "Laplace", "StudentT(linear)"),
        ("real", "Normal", "mixture(Normal(mlp(2, act = tanh)(x)), Normal(0, 2))"),
    ],
)
def test_a_scored_draw_has_no_path_whatever_its_family(kind: str, prior: str, q: str) -> None:
    """Protects verify from false alarms: a draw that could be reparameterised has no gradient of its own where it is scored."""
    report = verify(Source("scored.sgm", SCORED.format(kind=kind, prior=prior, q=q)))
    assert report.right, wrong(report)


NAMES = """model names
observed   x          : class(3)
supervised parts      : class(2)
supervised recombined : class(2)
latent     weights    : class(2)
latent     late_gain  : class(2)
p(weights)   = Categorical(learned)
p(late_gain) = Categorical(learned)
p(parts | weights) = Categorical(table)
p(recombined)      = Categorical
p(x | weights, late_gain, recombined) = Categorical(table)
q(weights | x)   = Categorical(table) by score
q(late_gain | x) = Categorical(table) by score
q(parts | weights)        = Categorical(table)
q(recombined | late_gain) = Categorical(table)
"""


def test_nodes_called_like_the_variables_of_a_grouped_step() -> None:
    """Protects the step's own names: recombined draws, the level of a node called recombined, weights, parts, gains."""
    report = verify(Source("names.sgm", NAMES))
    assert report.right, wrong(report)


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in LARGE else []) for p in GALLERY]
)
def test_a_shipped_model(path: Path) -> None:
    """Protects what is shipped: every bound, every pattern of labels, in the finite model and as it is."""
    report = verify(driver.read(path))
    assert not wrong(report)
    assert not report.skipped
    model = driver.check(driver.read(path)).model
    labels = sum(n.role == "supervised" for n in model.nodes)
    for check in ("tables", "as it is"):
        for what in ("value", "gradient"):
            found = {(c.bound, c.known) for c in report.cases if (c.check, c.what) == (check, what)}
            assert len(found) == len(BOUNDS) * 2**labels, (check, what)


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_a_random_program(seed: int) -> None:
    """Protects models that nobody thought of: finite and real nodes, relaxed ones in every third, sum and sample in others."""
    ways = ((*EXACT, " by sum_and_sample"), EXACT, DRAWN)[seed % 3]
    for offset in range(20):  # dice may ask for an estimator that is refused
        source = Source(f"random_{seed}", random_program(seed + 1000 * offset, 0.3, ways))
        try:
            driver.check(source)
            break
        except DiagnosticError:
            continue
    report = verify(source)
    assert not wrong(report), source.text
    assert report.cases


@pytest.mark.parametrize(
    "name",
    [
        "sampled_groups",
        "sampled_above",
        "groups_below",
        "relaxed",
        "families",
        "bounded_families",
        "angles",
        "levels",
        "vectors",
        "directions",
        "expressions",
        "maps",
        "missing",
        "mixed",
    ],
)
def test_a_program(name: str) -> None:
    """Protects what the gallery has not: sum and sample, learned baselines, draws after recombination, relaxed nodes, every
    family, expressions, convolutions with norms, missing cells, products, mixtures and posteriors."""
    report = verify(driver.read(MODELS / f"{name}.sgm"))
    assert not wrong(report)
    assert report.cases


def test_what_is_left_out_is_said() -> None:
    """Protects the reader: sums that are not made by hand, and relaxed nodes, stand on the page."""
    text = page(verify(driver.read(MODELS / "sampled_groups.sgm")))
    assert "left out: nothing known, as it is: y by sum_and_sample" in text
    assert "left out: gradients as it is: b, k with a learned baseline" in text
    text = page(verify(driver.read(MODELS / "relaxed.sgm")))
    assert "y is relaxed, a biased estimator" in text
    assert "y: Categorical, gumbel → class(3), score" in text


def test_plans_that_differ_are_told_apart() -> None:
    """Protects `plan identical`: another estimator, another order, another parent or another S in the finite model shows."""
    full = driver.check(driver.read(MODELS / "draws_below.sgm"))
    text = shrink(full.model, full.plan).text
    assert not differences(forced(driver.check(Source("small", text)), full).plan, full.plan)
    for old, new, part in (
        ("q(c | x) = Categorical(table) by enumerate", "q(c | x) = Categorical(table) by score", "choices"),
        ("q(a | x, c)", "q(a | x)", "scopes"),
        ("p(c) = Categorical(learned)", "p(c) = Categorical", "terms"),
    ):
        assert old in text
        other = forced(driver.check(Source("small", text.replace(old, new))), full).plan
        assert any(line.startswith(part) for line in differences(other, full.plan)), part
    assert differences(full.plan, replace(full.plan, samples=9))[0].startswith("samples")


@pytest.mark.parametrize("known", [("y1", "y2"), ("y1",), ()])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_the_expectation_by_groups(known: tuple[str, ...], samples: int) -> None:
    """Protects the oracle's own formula: with one group, or one sample, it is that of joint weights; with two it is another
    number, below log p(x, labels) + α log q(labels | x), and nearer to L with every sample."""
    compiled = program("two_groups")
    grid = compiled.grid(example(compiled.ir, 3), known)
    joint = exact.expectation(exact.sample(compiled.ir, grid, compiled.chosen), "snis", ALPHA, samples)
    one = Groups(compiled.ir, compiled.chosen, None)
    torch.testing.assert_close(one.expectation(grid, ALPHA, samples), joint, rtol=1e-12, atol=1e-12)
    by_group = compiled.groups.expectation(grid, ALPHA, samples)
    if len(known) < 2 or samples == 1:
        torch.testing.assert_close(by_group, joint, rtol=1e-12, atol=1e-12)
        return
    fewer = compiled.groups.expectation(grid, ALPHA, samples - 1)
    limit = exact.target(grid, ALPHA)
    assert (by_group - joint).abs() > 1e-5
    assert (by_group - limit).abs() < 0.8 * (fewer - limit).abs()
    assert by_group < exact.log_p_known(grid) + ALPHA * exact.log_q_known(grid)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_finite_model_is_a_program(bound: str) -> None:
    """Protects who wants to look: what is verified compiles by itself, with the same names."""
    full = driver.check(driver.read(GALLERY[0]), OVERRIDES[bound])
    small = driver.check(Source("small", shrink(full.model, full.plan).text), OVERRIDES[bound])
    assert [(n.name, n.role) for n in small.model.nodes] == [(n.name, n.role) for n in full.model.nodes]
    assert all(n.type.cardinality for n in small.model.nodes)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Protects scripts: 0 and a page where all agrees, JSON with every case, 1 for a model that is wrong."""
    path = str(MODELS / "nine_after.sgm")
    assert run(["verify", path]) == 0
    text = capsys.readouterr().out
    assert "plan identical: yes" in text
    assert text.rstrip().splitlines()[-1].endswith("comparisons agree")
    assert run(["verify", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["plan_identical"]
    assert {c["check"] for c in found["cases"]} == {"tables", "as it is", "real draws"}
    assert run(["verify", str(Path(__file__).parents[1] / "frontend" / "wrong" / "twice.sgm")]) == 1


def test_the_command_fails_when_something_is_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Protects who relies on the exit code: a wrong α makes it 1, and the page says where."""

    monkeypatch.setattr("sgdsl.runtime.bounds.snis", lambda f, log_w, alpha: snis(f, log_w, alpha + 1e-6))
    assert run(["verify", str(MODELS / "nine_after.sgm")]) == 1
    text = capsys.readouterr().out
    assert "OFF" in text
    assert text.rstrip().splitlines()[-1].startswith("OFF: ")
    assert run(["verify", str(MODELS / "nine_after.sgm"), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["ok"]
