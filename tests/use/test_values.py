"""A model that uses another is the model written out: values, gradients, and the exact objective of verify."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sgdsl import driver
from sgdsl.backend.standalone import alone
from sgdsl.base.source import Source
from sgdsl.oracle.verify import verify
from sgdsl.runtime.batch import make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load
from tests.sides.programs import double  # noqa: F401 (a fixture)
from tests.use.programs import BY_HAND, DIGIT, OUTER, copied, known, module, program, step, write

NAMES = {
    "digit.p_x.trunk.0": "trunk.0", "digit.p_x.logits": "trunk.2", "digit.f": "f", "digit.q_y": "q_y", "digit.q_z": "q_z",
}  # fmt: skip


@pytest.mark.parametrize("level", ["0", "1", "2"])
@pytest.mark.parametrize("labels", [True, False], ids=["labels", "none"])
def test_it_is_the_model_written_out(tmp_path: Path, level: str, labels: bool) -> None:
    """The same weights, draws and rows give the same objective and gradient, at every level of the optimiser."""
    write(tmp_path, digit=DIGIT, outer=OUTER, by_hand=BY_HAND)
    uses, whole = (program(tmp_path, name, f"objective.optimise={level}") for name in ("outer", "by_hand"))
    model, hand = module(uses, "outer"), module(whole, "by_hand")
    copied(model, hand, NAMES)
    found, wanted = (step(m, c, known() if labels else {}, 6) for m, c in ((model, uses), (hand, whole)))
    assert torch.allclose(found, wanted, rtol=0, atol=1e-10)
    assert found.std() > 0.1
    for objective in (found, wanted):
        objective.sum().backward()
    gradients = {n: p.grad for n, p in hand.named_parameters()}
    for name, parameter in model.named_parameters():
        start = next((old for old in NAMES if name.startswith(old)), "")
        other = gradients[NAMES.get(start, "") + name.removeprefix(start)]
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, other, rtol=0, atol=1e-10), name


def test_the_class_of_a_used_model_has_what_is_called_alone(tmp_path: Path) -> None:
    """Methods of the other model are emitted once; factors that nothing calls leave no method and no weight."""
    write(tmp_path, digit=DIGIT, outer=OUTER.replace("digit.q(z | x = x, y = y)", "Normal(mlp(3))"))
    text = program(tmp_path, "outer").text
    used = text[text.index("class Digit") : text.index("class Networks")]
    assert [line.split("(")[0].split()[1] for line in used.splitlines() if line.startswith("    def ")] == [
        "__init__", "let_h", "encode_y", "decode_x",
    ]  # fmt: skip
    names = {n.split(".")[1] for n in module(program(tmp_path, "outer"), "part").state_dict() if n.startswith("digit.")}
    assert names == {"f", "p_x", "q_y"}


def test_one_file_alone_gives_the_same_numbers(tmp_path: Path) -> None:
    """`sgdsl compile` holds the classes of used models too, and needs torch alone."""
    write(tmp_path, digit=DIGIT, outer=OUTER)
    compiled = program(tmp_path, "outer")
    whole = alone(compiled.text)
    assert "import sgdsl" not in whole
    assert "from sgdsl" not in whole
    model, other = module(compiled, "outer_in_parts"), load(whole, "use_alone").Model().double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(step(model, compiled, known(), 3), step(other, compiled, known(), 3))


STROKE = """model stroke
observed   x : real[3]
latent     z : real[2]
p(z)     = Normal
p(x | z) = Normal(loc = mlp(4, act = tanh), scale = learned(1))
q(z | x) = Normal(mlp(4, act = tanh))
"""
PARTS = """model parts
use stroke = "stroke.sgm"
observed   x : real[3]
supervised k : count(1, 3)
latent     s : real[2]
latent     c : class(2)
p(k)        = Categorical(logits = [0.1, 0.2, 0.3])
p(c | k)    = Categorical(table)
p(s)        = stroke.p(z)
p(x | s, c) = Normal(loc = stroke.mean(x | z = s) + linear(3)(c), scale = 0.7)
q(k | x)    = Categorical(linear)
q(c | x)    = bayes
q(s | x)    = product(Normal(mlp(4)(x)))
"""
WHOLE = """model whole
use part = "parts.sgm"
observed   x : real[3]
supervised k : count(1, 3)
latent     c : class(2)
latent     s : real[2]
latent     n : count(1, 3)
p(k)        = Categorical
p(n)        = Categorical
p(c | k)    = part.p(c | k = k)
p(s | n)    = Normal(loc = 0.2 * part.mean(k) + 0.3 * dot(part.mean(c | k = n), [1, -1]), scale = 1)
p(x | s, c, n) = Normal(loc = part.mean(x | s = s, c = c) + part.mean(s), scale = 0.5 * n)
q(k | x)    = part.q(k | x = x)
q(c | x, k) = Categorical(mlp(3))
q(n | x)    = Categorical(mlp(3))
q(s | x)    = Normal(mlp(3))
"""


def test_models_in_models(tmp_path: Path) -> None:
    """Uses inside uses, tables, means of counts and classes, numbers of the other file: exact values agree."""
    whole = WHOLE.replace(" + part.mean(s)", " + stroke.mean(x | z = part.mean(s))").replace(
        "use part", 'use stroke = "stroke.sgm"\nuse part'
    )
    write(
        tmp_path,
        stroke=STROKE,
        parts=PARTS.replace("q(c | x)    = bayes", "q(c | x)    = Categorical(linear)"),
        whole=whole,
    )
    compiled = program(tmp_path, "whole")
    text = compiled.text
    assert "class PartStroke(SubModel)" in text
    assert text.index("class PartStroke(") < text.index("class Part(")
    assert "part.stroke.p_x.loc.weight" in module(compiled, "nested").state_dict()
    report = verify(driver.read(tmp_path / "whole.sgm"))
    assert report.right, report


SIDES = """model sides
observed   x : real[3]
supervised b : binary
latent     y : class(3)
latent     z : real[2]
let half    = 0.5 * x
p(b)        = Bernoulli(0.4)
p(y | b)    = Categorical(table)
p(z | y)    = Normal(table)
p(x | z, y) = Normal(loc = mlp(4, act = tanh), scale = 0.8)
q(b | x)    = Bernoulli(mlp(3))
q(y | x, z, b) = bayes
q(z | x, b) = product(Normal(mlp(4, act = tanh)(half)), Normal(mlp(2)(b)))
"""
SIDED = """model sided
use o = "sides.sgm"
observed   x : real[3]
supervised b : binary
latent     y : class(3)
latent     z : real[2]
p(b)        = o.p(b)
p(y | b)    = o.p(y | b = b)
p(z | y)    = o.p(z | y = y)
p(x | z, y) = o.p(x | z = z, y = y)
q(b | x)    = o.q(b | x = x)
q(z | x, b) = mixture(Normal(mlp(2)(x)), Normal(mlp(2)(b)))
q(y | x, z, b) = o.q(y | x = x, z = z, b = b)
"""


def test_every_right_hand_side_may_be_used(tmp_path: Path) -> None:
    """bayes of another model evaluates its p; its lets are computed there: exact values agree."""
    product = "product(Normal(mlp(4, act = tanh)(half)), Normal(mlp(2)(b)))"
    write(tmp_path, sides=SIDES.replace(product, "Normal(mlp(4)(half, b))"), sided=SIDED)
    assert verify(driver.read(tmp_path / "sided.sgm")).right


@pytest.mark.parametrize("side", ["product", "mixture"])
def test_products_and_mixtures_may_be_used(tmp_path: Path, side: str) -> None:
    """Their density and draws are those of the model that has them: the step is the same to the bit."""
    kind = SIDES.replace("product(", f"{side}(")
    if side == "product":
        kind = kind.replace("p(z | y)    = Normal(table)", "p(z)        = Normal(loc = learned, scale = 0.5)")
    mixed = SIDED.replace("mixture(Normal(mlp(2)(x)), Normal(mlp(2)(b)))", "o.q(z | x = x, b = b)")
    if side == "product":
        mixed = mixed.replace("p(z | y)    = o.p(z | y = y)", "p(z)        = o.p(z)")
    write(tmp_path, sides=kind, sided=mixed)
    uses, whole = program(tmp_path, "sided"), program(tmp_path, "sides")
    model, other = module(uses, f"sided_{side}"), module(whole, f"sides_{side}")
    copied(model, other, {"o.": ""})
    labels = {"b": torch.tensor([True, False, True, False, True])}
    assert torch.allclose(step(model, uses, labels, 4), step(other, whole, labels, 4), rtol=0, atol=1e-12)


@pytest.mark.parametrize("by", ["gumbel(0.7)", "straight_through", "sum_and_sample", "score"])
def test_estimators_of_the_outer_model(tmp_path: Path, by: str) -> None:
    """Relaxed classes reach another model as weights, one-hot where a label or another call is hard: as written out."""
    outer, hand = (t.replace("supervised y", "latent y") for t in (OUTER, BY_HAND))
    outer = outer.replace("digit.q(y | x = x)", f"digit.q(y | x = x) by {by}")
    hand = hand.replace("Categorical(mlp(4, act = tanh))", f"Categorical(mlp(4, act = tanh)) by {by}")
    write(tmp_path, digit=DIGIT, outer=outer, by_hand=hand)
    uses, whole = program(tmp_path, "outer"), program(tmp_path, "by_hand")
    model, other = module(uses, f"outer_{by[:3]}"), module(whole, f"hand_{by[:3]}")
    copied(model, other, NAMES)
    assert torch.allclose(step(model, uses, {}, 4), step(other, whole, {}, 4), rtol=0, atol=1e-10)


def test_doubly_reparameterised(tmp_path: Path) -> None:
    """gradient = dreg passes other models twice, once with fixed weights: gradients as written out."""
    lines = ("objective.bound=iw", "objective.gradient=dreg")
    drop = {"supervised y": "given y", "p(y)           = digit.p(y)\n": "", "q(y | x)       = digit.q(y | x = x)\n": "",
            "p(y)        = Categorical\n": "", "q(y | h)    = Categorical(mlp(4, act = tanh))\n": "",
            "q(w | x)": "q(w | x, z)"}  # fmt: skip
    texts = [
        OUTER.replace("q(z | x, y)    = digit.q(z | x = x, y = y)", "q(z | x, y)    = digit.q(z | x = x, y = y)"),
        BY_HAND,
    ]
    for old, new in drop.items():
        texts = [t.replace(old, new) for t in texts]
    write(tmp_path, digit=DIGIT, outer=texts[0], by_hand=texts[1])
    uses, whole = (program(tmp_path, name, *lines) for name in ("outer", "by_hand"))
    model, other = module(uses, "outer_dreg"), module(whole, "hand_dreg")
    copied(model, other, NAMES)
    for m, c in ((model, uses), (other, whole)):
        step(m, c, {}, 5).sum().backward()
    gradients = {n: p.grad for n, p in other.named_parameters()}
    for name, parameter in model.named_parameters():
        start = next((old for old in NAMES if name.startswith(old)), "")
        assert torch.allclose(parameter.grad, gradients[NAMES.get(start, "") + name.removeprefix(start)], atol=1e-10), (
            name
        )


def test_partial_nodes_of_another_model(tmp_path: Path) -> None:
    """Its networks read the mask of the partial node that is given; a node without gaps counts as all there."""
    digit = DIGIT.replace("unit[16]", "unit[16] partial")
    same = OUTER.replace("unit[16]", "unit[16] partial")
    write(tmp_path, digit=digit, outer=same, by_hand=BY_HAND.replace("unit[16]", "unit[16] partial"))
    uses, whole = program(tmp_path, "outer"), program(tmp_path, "by_hand")
    model, other = module(uses, "outer_partial"), module(whole, "hand_partial")
    copied(model, other, NAMES)
    assert torch.allclose(step(model, uses, known(), 4), step(other, whole, known(), 4), rtol=0, atol=1e-10)
    write(tmp_path, plain=OUTER)
    assert torch.isfinite(
        step(module(program(tmp_path, "plain"), "plain"), program(tmp_path, "plain"), known(), 2)
    ).all()


CANVAS = """model canvas
use digit  = "digit.sgm" (weights = "runs/digit", frozen)
use reader = "digit.sgm"
observed   x : unit[1, 6, 6]
supervised y : class(3)
latent     z : real
latent     at : real[3]
p(y)         = digit.p(y)
p(z)         = digit.p(z)
p(at)        = Normal
let shown    = paste(digit.mean(x | y = y, z = z), at, size = [6, 6])
p(x | shown) = Bernoulli(probs = clamp(0.02 + 0.96 * shown, 0, 1))
let about    = centre(exp(3 * x))
q(at | about) = Normal(mlp(6))
let seen     = crop(x, at, size = [4, 4])
q(y | seen)  = reader.q(y | x = seen)
q(z | seen, y) = reader.q(z | x = seen, y = y)
"""


def test_a_digit_on_a_canvas(tmp_path: Path) -> None:
    """Cropped and pasted by the oracle as matrix products, the model read from its typed tree: exact values agree, and gradients
    of what is not frozen."""
    digit = DIGIT.replace("unit[16]", "unit[1, 4, 4]").replace("real[2]", "real")
    write(tmp_path, digit=digit, canvas=CANVAS)
    report = verify(driver.read(tmp_path / "canvas.sgm"))
    assert report.right, report


def test_a_slanted_and_widened_digit_on_a_canvas(tmp_path: Path) -> None:
    """The same with places of five cells, which the oracle does not make of two separate sides; `reshape` leaves the numbers."""
    digit = DIGIT.replace("unit[16]", "unit[1, 4, 4]").replace("real[2]", "real")
    canvas = CANVAS.replace("latent     at : real[3]", "latent     at : real[5]")
    canvas = canvas.replace("z = z), at", "z = z) + reshape(0.1 * linear(16)(z), size = [4, 4]), at")
    assert canvas.count("reshape") == 1
    write(tmp_path, digit=digit, canvas=canvas)
    report = verify(driver.read(tmp_path / "canvas.sgm"))
    assert report.right, report


def test_names_that_python_or_torch_have(tmp_path: Path) -> None:
    """A used model may be called as torch calls its attributes; its class as the emitted ones."""
    write(tmp_path, digit=DIGIT)
    for name in ("model", "train", "frozen", "networks", "class_"):
        text = (
            OUTER.replace("digit.", f"{name}.").replace("use digit", f"use {name}").replace(f"{name}.sgm", "digit.sgm")
        )
        compiled = driver.compile_source(Source(str(tmp_path / "named.sgm"), text))
        assert torch.isfinite(step(module(compiled, f"named_{name}"), compiled, known(), 2)).all()


PLATE = """model plate
use digit = "digit.sgm"
for i in 1..3 {
    observed x[i] : unit[16]
    latent   y[i] : class(3)
    p(y[i])        = digit.p(y)
    p(x[i] | y[i]) = digit.p(x | y = y[i], z = zeros(2))
    q(y[i] | x[i]) = digit.q(y | x = x[i])
}
"""
ONE = """model one
use digit = "digit.sgm"
observed x : unit[16]
latent   y : class(3)
p(y)     = digit.p(y)
p(x | y) = digit.p(x | y = y, z = zeros(2))
q(y | x) = digit.q(y | x = x)
"""


def test_in_a_loop_every_copy_calls_the_same_model(tmp_path: Path) -> None:
    """The enumerated bound of a plate is the sum of its copies' bounds, each as of a model with one."""
    write(tmp_path, digit=DIGIT, plate=PLATE, one=ONE)
    plate, one = program(tmp_path, "plate"), program(tmp_path, "one")
    model, other = module(plate, "plate"), module(one, "one")
    copied(model, other, {})
    x = torch.rand(5, 3, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bounds = [m(make_batch(m, {"x": v}, dtype=torch.float64), Draws(torch.Generator())).bound
              for m, v in ((model, x), (other, x.flatten(0, 1)))]  # fmt: skip
    assert torch.allclose(bounds[0], bounds[1].reshape(5, 3).sum(1), rtol=0, atol=1e-10)
