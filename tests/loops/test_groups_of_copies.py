"""Groups of weights in loops: one a copy, as in the model written out; over all draws and recombinations."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.oracle.as_it_is import prepare
from sgdsl.oracle.keyed import Keyed
from sgdsl.oracle.loops import check_loops, looped
from sgdsl.oracle.program import OVERRIDES, build
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.bounds import log_labels
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.grouping import NONE
from sgdsl.runtime.groups import Weights
from tests.objective.outcomes import Everything, everything, gradient, model_of

ROOT = Path(__file__).parents[2]
GROUPED = Path(__file__).parent / "grouped"
ALPHA = 0.4
LOOP = """model plate
observed x : class(3)
for i in 1..2 {
    supervised y[i] : class(2)
    latent     z[i] : class(2)
    p(z[i])        = Categorical(learned[i])
    p(y[i] | z[i]) = Categorical(table[i])
    q(z[i] | x)    = Categorical(table[i]) by score
    q(y[i] | z[i]) = Categorical(table[i])
}
p(x | z) = Categorical(mlp(2))
"""
OUT = """model out
observed x : class(3)
supervised y1 : class(2)
supervised y2 : class(2)
latent     z1 : class(2)
latent     z2 : class(2)
p(z1) = Categorical(learned)
p(z2) = Categorical(learned)
p(y1 | z1) = Categorical(table)
p(y2 | z2) = Categorical(table)
p(x | z1, z2) = Categorical(mlp(2))
q(z1 | x) = Categorical(table) by score
q(z2 | x) = Categorical(table) by score
q(y1 | z1) = Categorical(table)
q(y2 | z2) = Categorical(table)
"""
KNOWN = {"all": [True, True], "one": [False, True], "none": [False, False]}


def same(name: str) -> tuple[str, int | None]:
    """The weight of the loop that one of the written-out model is: its name, and its place in the stack."""
    copy = re.match(r"([pq]_[yz])([12])(.*)", name)
    return (copy[1] + copy[3], int(copy[2]) - 1) if copy else (name, None)


def written_out(loop: Any) -> Any:
    """The model without a loop, with the weights of the one with."""
    flat = model_of(OUT, f"objective.samples={loop.samples}", alpha=ALPHA)
    own = dict(loop.named_parameters())
    with torch.no_grad():
        for name, parameter in flat.named_parameters():
            stack, place = same(name)
            parameter.copy_(own[stack] if place is None else own[stack][place])
    return flat


def both(known: str) -> tuple[Any, Everything, Any, Everything]:
    """Both models at every outcome of S = 2 samples and recombinations of two latents."""
    loop = model_of(LOOP, "objective.samples=2", alpha=ALPHA)
    flat = written_out(loop)
    rows = 2 ** (2 * 2) * 2 ** (2 * 2)
    labels = [name for name, told in zip(("y1", "y2"), KNOWN[known], strict=True) if told]
    found = everything(loop, rows, {"y": [1, 0]}, {"y": KNOWN[known]})
    return loop, found, flat, everything(flat, rows, {"y1": 1, "y2": 0}, labels)


@pytest.mark.parametrize("known", KNOWN)
def test_the_bound_is_that_of_the_written_out_model(known: str) -> None:
    """Protects groups of copies: the mean of the bound over all draws and recombinations is that of the model without a loop, and
    the mean of the emitted gradient is exactly its gradient, score terms and the choice of samples included."""
    loop, found, flat, expected = both(known)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient(loop, found.surrogate), gradient(loop, found.mean), rtol=1e-10, atol=1e-12)
    for model, value in ((loop, found.surrogate), (flat, expected.surrogate)):
        model.zero_grad()
        value.backward()
    own = dict(loop.named_parameters())
    for name, parameter in flat.named_parameters():
        stack, place = same(name)
        slope = own[stack].grad if place is None else own[stack].grad[place]
        torch.testing.assert_close(slope, parameter.grad, rtol=1e-10, atol=1e-12)


def test_it_is_a_lower_bound() -> None:
    """The mean over all draws and recombinations is at most log p(x, labels) + α log q(labels | x), by enumeration."""
    loop, found, flat, _ = both("all")
    table = {n.split(".")[0]: t.detach().log_softmax(-1) for n, t in loop.named_parameters()}
    labels = (1, 0)
    log_q = sum((table["q_z"][i, 2] + table["q_y"][i, :, y]).logsumexp(0) for i, y in enumerate(labels))
    joint = []
    for z in itertools.product(range(2), repeat=2):
        here = {f"z{i + 1}": torch.tensor([[v]]) for i, v in enumerate(z)}
        log_x = flat.parameters_p("x", here)[0].detach().log_softmax(-1)[0, 0, 2]
        joint.append(log_x + sum(table["p_z"][i, v] + table["p_y"][i, v, labels[i]] for i, v in enumerate(z)))
    assert float(found.mean.detach()) < float(torch.stack(joint).logsumexp(0) + ALPHA * log_q)


@pytest.mark.parametrize("file", sorted(GROUPED.glob("*.sgm")), ids=lambda f: f.stem)
def test_groups_are_those_of_the_written_out_model(file: Path) -> None:
    """Protects a group a copy in nested and counted loops, beside groups outside and copies that are tied, with enumerated and
    scored members, cut by a drawn label, and what is drawn after recombination: bound and gradient at the same draws and
    recombinations as of the written-out model, patterns of labels mixed in a batch."""
    full = driver.check(driver.read(file), OVERRIDES["snis"])
    assert full.plan.groups is not None
    compiled = build(driver.emit(full), "snis")
    prepare(compiled)
    cases, _ = check_loops(looped(compiled, full.plan))
    assert {case.what for case in cases} == {"value", "gradient"}
    assert not [case for case in cases if not case.right]


def test_verify_finds_copies_that_share_a_choice_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the comparison with the written-out model: where every copy takes the sample of its own number, values and
    gradients are seen to be off, in rows that know two labels and in no others."""
    full = driver.check(driver.read(GROUPED / "counted.sgm"), OVERRIDES["snis"])
    compiled = build(driver.emit(full), "snis")
    monkeypatch.setattr(Weights, "recombine", lambda self, value, *carriers, row=None: value)
    cases, _ = check_loops(looped(compiled, full.plan))
    wrong = {case.known for case in cases if not case.right}
    assert wrong == {("y[1]", "y[2]")}


def test_any_number_of_copies_is_the_same_text() -> None:
    """Protects compile time: nothing is unrolled. 10,000 copies are the step of 3 but for the number, and its groups are found
    once a pattern of labels, whatever the number of copies."""
    few, many = (driver.compile_source(Source("plate.sgm", LOOP.replace("1..2", f"1..{n}"))) for n in (3, 10_000))
    assert re.sub(r"\b10000\b", "3", many.text.replace("20000", "6")) == few.text


def test_a_thousand_copies_have_a_group_each() -> None:
    """Each known copy's draw is a group of its own, an unknown copy's none; the bound is a number."""
    model = model_of(LOOP.replace("1..2", "1..1000"), "objective.samples=4")
    known = (torch.arange(2000) % 3 == 0).reshape(2, 1000)
    values = {"x": torch.tensor([0, 2]), "y": torch.ones(2, 1000, dtype=torch.int64)}
    batch = make_batch(model, values, {"y": known})
    expected = torch.where(known.t(), torch.arange(1000)[:, None], NONE)
    assert torch.equal(batch.groups, expected)
    step = model(batch, Draws(torch.Generator().manual_seed(0)))
    assert step.log_w.shape == (1001, 4, 2)
    assert bool(step.bound.isfinite().all())


def tied(text: str) -> Tensor | None:
    """Which draws of a model with 2 copies are groups, in a row that knows both labels."""
    model = model_of(text, "objective.samples=2")
    values = {"x": torch.tensor([0]), "y": torch.ones(1, 2, dtype=torch.int64)}
    return make_batch(model, values, {"y": torch.ones(1, 2, dtype=torch.bool)}).groups


def test_copies_that_something_ties_are_one_group() -> None:
    """A latent outside that each copy reads, the copy before, and a label that reads all copies: one group, as written out."""
    shared = LOOP.replace("q(z[i] | x) ", "q(z[i] | x, u) ") + "latent u : class(2)\np(u) = Categorical\n"
    shared += "q(u | x) = Categorical(table) by score\n"
    chain = LOOP.replace("    q(z[i] | x)    = Categorical(table[i]) by score\n", "")
    chain += "q(z[1] | x) = Categorical(table) by score\n"
    chain += "for i in 2..2 {\nq(z[i] | x, z[i - 1]) = Categorical(table) by score\n}\n"
    together = LOOP.replace("q(y[i] | z[i])", "q(y[i] | all, i)").replace("table[i])\n}", "mlp(2))\n}")
    together += "let all = stack(z[*])\n"
    assert tied(LOOP) is not None
    for text in (shared, chain, together):
        assert tied(text) is None


SMALLER = (
    ("64, 64]", "8, 8]"),
    ("256", "5"),
    ("conv(32, 32, 64)", "conv(2, 3)"),
    ("deconv(64, 32, 32)", "deconv(3, 2)"),
)
TRAITS = ("smiling", "glasses", "beard")


def ccvae(path: Path, bound: str) -> Any:
    """The shipped model, or that without its loop, with smaller images and networks."""
    text = path.read_text()
    for large, small in SMALLER:
        text = text.replace(large, small)
    return model_of(text, *OVERRIDES[bound], "objective.samples=3", alpha=ALPHA)


def trait(name: str) -> tuple[str, int | None]:
    """As `same`, of the names of CCVAE."""
    label = re.match(r"([pq]_)(smiling|glasses|beard)(\W.*)", name)
    code = re.match(r"([pq]_z)([123])(.*)", name)
    if label:
        return f"{label[1]}y{label[3]}", TRAITS.index(label[2])
    return (code[1] + code[3], int(code[2]) - 1) if code else (name, None)


@pytest.mark.parametrize("bound", ["snis", "jensen", "iw", "clamped"])
def test_ccvae_is_the_model_written_out(bound: str) -> None:
    """Protects the shipped model, 15 lines with a loop, against the 27 lines without: bounds, gradients of every weight and
    log q(labels | x), at the same draws and recombinations, all eight patterns of labels in one batch."""
    loop = ccvae(ROOT / "models" / "ccvae.sgm", bound)
    flat = ccvae(ROOT / "tests" / "loops" / "written" / "ccvae.sgm", bound)
    own, out = dict(loop.named_parameters()), dict(flat.named_parameters())
    with torch.no_grad():
        for name, parameter in out.items():
            stack, place = trait(name)
            parameter.copy_(own[stack] if place is None else own[stack][place])
    known = torch.tensor(list(itertools.product((False, True), repeat=3)))
    x = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    y = torch.arange(24).reshape(8, 3) % 2
    one = loop(make_batch(loop, {"x": x, "y": y}, {"y": known}), Keyed(0.3))
    labels = dict(zip(TRAITS, y.t(), strict=True))
    batch = make_batch(flat, {"x": x, **labels}, dict(zip(TRAITS, known.t(), strict=True)))
    other = flat(batch, Keyed(0.3))
    torch.testing.assert_close(one.bound, other.bound, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_labels(one.log_w), log_labels(other.log_w), rtol=1e-12, atol=1e-12)
    for step in (one, other):
        (step.objective * torch.arange(1, 9)).sum().backward()
    for name, parameter in out.items():
        stack, place = trait(name)
        slope = own[stack].grad if place is None else own[stack].grad[place]
        torch.testing.assert_close(slope, parameter.grad, rtol=1e-9, atol=1e-9)
