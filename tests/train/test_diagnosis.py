"""Every warning fires on a model made to deserve it and is silent on a healthy one; what nodes carry, by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import sgdsl
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.activity import Activity, _finite
from sgdsl.train.conclude import conclude
from sgdsl.train.diagnosis import Weights, as_diagnostic, from_dict
from sgdsl.train.errors import RunError
from sgdsl.train.measure import Score
from sgdsl.train.patterns import Patterns
from sgdsl.train.report import table
from sgdsl.train.run import Run
from sgdsl.train.suspicions import behind, one_draw, worse
from tests.train.small import AFTER, TINY, Fit, clusters, codes, images, records
from tests.train.test_conclude import printed

ROOT = Path(__file__).parents[2]
LEARNS = ("train.epochs=60", "train.lr=2e-2", "train.batch=30")
LINE = 'data npz(file = "none", labels = {})\n'

CODE = """model code "One number behind four."

observed   x : real[4]
latent     z : real[2]

p(z)     = Normal
p(x | z) = Normal(loc = linear, scale = learned)
q(z | x) = Normal(mlp(8))

train { epochs = 60, batch = 50, lr = 2e-2 }
"""

CLASSES = """model classes "Clusters without labels."

observed   x : binary[8]
latent     c : class(3)

p(c)     = Categorical(learned)
p(x | c) = Bernoulli(table)
q(c | x) = Categorical(mlp(8))

train { epochs = 40, batch = 30, lr = 3e-2 }
"""


def warned(run: Run) -> list[str]:
    return [found.code for found in run.diagnosis.warnings]


def line_of(rows: int = 200, noise: float = 0.3) -> dict[str, Any]:
    """Rows of CODE: four noisy copies of one number, or noise alone where noise is 1."""
    random = np.random.default_rng(0)
    t = random.normal(size=(rows, 1))
    return {"x": math.sqrt(1 - noise**2) * t * np.array([1, -1, 1, 1]) + noise * random.normal(size=(rows, 4))}


def styled(rows: int = 90, seed: int = 0) -> dict[str, Any]:
    """Rows of TINY that need its z: each class has bits of its own, and in half of the rows the last four are inverted."""
    data = clusters(rows, seed)
    flip = np.random.default_rng(seed + 7).random(rows) < 0.5
    data["x"][flip, 4:] = 1 - data["x"][flip, 4:]
    return data


# --- healthy runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "make"), [(TINY, styled), (AFTER, images)])
def test_a_healthy_run_has_no_warning(fitted: Fit, text: str, make: Any) -> None:
    run = fitted(make(300), *LEARNS, text=text + LINE.format(90), test=make(60, 1))
    found = run.diagnosis
    assert found.warnings == ()
    assert set(found.nodes) == {"y", "z"}
    assert (found.nodes["y"].classes, found.nodes["y"].used) == (3, 3)
    assert found.nodes["y"].kl == pytest.approx(math.log(3), abs=0.25), "y is known for sure, against a uniform prior"
    assert set(found.weights) == ({"y"} if text == AFTER else set()), "one draw has no weights to compare"


def test_a_short_training_of_the_digits_has_no_warning(fitted: Fit) -> None:
    """models/digits.sgm for three epochs: codes at work, labels with an effect, all draws counting."""
    text = (ROOT / "models" / "digits.sgm").read_text()
    run = fitted(None, "train.epochs=3", "train.average=0.9", "train.warmup=5", text=text)
    found = run.diagnosis
    assert found.warnings == ()
    assert found.nodes["z"].active >= 5
    assert found.nodes["z"].cells == 10
    assert 1.5 < found.weights["y"].ess <= 2


# --- W0650 --------------------------------------------------------------------------------------------------------


def test_a_code_that_the_data_needs_is_active_and_one_that_they_do_not_is_collapsed(fitted: Fit) -> None:
    """Four copies of one number: one dimension of two is active. Four independent numbers, each with a scale of its own:
    the decoder needs no z, q becomes the prior."""
    healthy = fitted(line_of(), text=CODE, test=line_of(100))
    assert warned(healthy) == []
    assert 1 <= healthy.diagnosis.nodes["z"].active <= 2
    assert healthy.diagnosis.nodes["z"].kl > 1
    dead = fitted(line_of(2000, noise=1), "train.epochs=20", "train.batch=100", text=CODE, test=line_of(100, noise=1))
    found = dead.diagnosis
    assert warned(dead) == ["W0650"]
    assert (found.nodes["z"].active, found.nodes["z"].cells) == (0, 2)
    assert found.nodes["z"].kl < 0.05
    assert "z: 0 of 2 dimensions active" in found.warnings[0].evidence


def test_a_code_that_only_repeats_its_parent_is_collapsed(fitted: Fit) -> None:
    """z follows y, and x reads y: q(z | x) = p(z | y) varies over the rows and yet adds nothing, which the variance of its
    mean alone would call active."""
    text = TINY.replace("p(z)        = Normal", "p(z | y)    = Normal(loc = table, scale = 1.0)").replace(
        "p(x | y, z) = Bernoulli(mlp(8))", "p(x | y)    = Bernoulli(table)"
    )
    run = fitted(
        clusters(600),
        "train.epochs=40",
        "train.lr=2e-2",
        "train.batch=60",
        "train.schedule=cosine",
        "data.labels=1.0",
        text=text,
    )
    assert warned(run) == ["W0650"]
    assert run.diagnosis.warnings[0].node == "z"


def test_classes_in_use_and_a_class_node_that_carries_nothing(fitted: Fit) -> None:
    healthy = fitted({"x": clusters(300)["x"]}, text=CLASSES)
    assert warned(healthy) == []
    assert healthy.diagnosis.nodes["c"].used >= 2
    dead = fitted({"x": np.ones((300, 8))}, text=CLASSES)
    assert warned(dead) == ["W0650"]
    assert "classes in use" in dead.diagnosis.warnings[0].evidence


PLATE = """model plate "Three readings, each of a code of its own."
for i in 1..3 {
    observed x[i] : real[4]
    latent   z[i] : real[2]
    p(z[i])        = Normal
    p(x[i] | z[i]) = Normal(loc = linear, scale = learned)
    q(z[i] | x[i]) = Normal(mlp(8))
}
train { epochs = 20, batch = 50, lr = 2e-2 }
"""

LENGTHS = """model lengths "A kind of each of n readings, of which the first has a factor of its own."
given n : count(0, 3)
for i in 1..n {
    observed x[i] : real[2]
    latent   c[i] : class(3)
    latent   z[i] : real
    p(x[i] | c[i], z[i]) = Normal(mlp(4))
    p(z[i])        = Normal(loc = 0.5, scale = 2.0)
    q(c[i] | x[i]) = Categorical(linear)
    q(z[i] | x[i]) = Normal(loc = linear, scale = 0.5)
}
p(c[1]) = Categorical(learned)
for i in 2..n {
    p(c[i] | c[i - 1]) = Categorical(table)
}
train { epochs = 1, batch = 20 }
"""


def test_nodes_in_loops_carry_something_or_not(fitted: Fit) -> None:
    """Three times four copies of one number: a dimension of each copy's code is active; noise: none, of any copy."""
    data = {"x": line_of(600)["x"].reshape(200, 3, 4)}
    healthy = fitted(data, text=PLATE)
    assert warned(healthy) == []
    found = healthy.diagnosis.nodes["z"]
    assert (found.cells, found.copies, found.collapsed) == (2, 3, False)
    assert found.kl > 3, "nats a row, of three copies"
    assert records(healthy)[-1]["kl"]["z"] == pytest.approx(found.kl, abs=1), "as the metrics of the last epoch say"
    dead = fitted(
        {"x": line_of(3000, noise=1)["x"].reshape(1000, 3, 4)}, "train.batch=100", "train.epochs=100", text=PLATE
    )
    assert warned(dead) == ["W0650"]
    assert "z: 0 of 2 dimensions active in each copy" in dead.diagnosis.warnings[0].evidence


def test_what_copies_carry_by_hand(fitted: Fit) -> None:
    """KL of the copies that are there, and of no other, from the weights alone: z exactly but for its draws, c as drawn."""
    random = np.random.default_rng(0)
    data = {"x": random.normal(size=(60, 3, 2)), "n": random.integers(0, 4, 60)}
    run = fitted(data, text=LENGTHS, test=data)
    weights = {name: value.double() for name, value in run.module.state_dict().items()}
    x, there = torch.tensor(data["x"]), torch.arange(1, 4) <= torch.tensor(data["n"])[:, None]
    loc = (x @ weights["q_z.loc.weight"].T + weights["q_z.loc.bias"])[..., 0]
    kl = math.log(2 / 0.5) + (0.5**2 + (loc - 0.5) ** 2) / (2 * 2**2) - 0.5
    found = run.diagnosis.nodes
    assert found["z"].kl == pytest.approx(float(kl[there].sum()) / 60, rel=0.05), "16 draws a copy"
    assert (found["z"].cells, found["z"].copies, found["z"].active) == (1, 3, 1)
    probs = (x @ weights["q_c.logits.weight"].T + weights["q_c.logits.bias"]).softmax(-1)
    first = weights["p_c_1.logits"].log_softmax(-1)
    table = weights["p_c_i_2_3.table.logits"].log_softmax(-1)
    each = [(probs[:, 0] * (probs[:, 0].log() - first)).sum(-1)]
    each += [(probs[:, i] * (probs[:, i].log() - probs[:, i - 1] @ table)).sum(-1) for i in (1, 2)]
    assert found["c"].kl == pytest.approx(float(torch.stack(each, 1)[there].sum()) / 60, abs=0.02)
    assert (found["c"].classes, found["c"].copies) == (3, 3)


def finite(probs: list[list[float]], prior: list[float]) -> Activity:
    info = NodeInfo("latent", "class", (len(prior),), (), (), "categorical", "categorical", "", (), ())
    log_q = torch.tensor(probs)[None, :, None].log()
    return _finite(info, torch.ones(log_q.shape[:3]), log_q, torch.tensor(prior).log().expand_as(log_q))


def test_what_a_class_carries_by_hand() -> None:
    """Certain and different: information log 2, KL log 2 + …; alike: nothing; one class: nothing in use but it."""
    certain = finite([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5])
    assert certain == Activity("latent", pytest.approx(math.log(2)), 1, 1, 2, 2)
    assert not certain.collapsed
    alike = finite([[0.5, 0.5], [0.5, 0.5]], [0.5, 0.5])
    assert (alike.active, alike.used, alike.collapsed) == (0, 2, True)
    one = finite([[0.97, 0.03], [0.99, 0.01]], [0.5, 0.5])
    assert (one.used, one.collapsed) == (1, True)


def test_nearly_all_of_many_dimensions_is_all() -> None:
    assert Activity("latent", 0.1, 50, 1).collapsed
    assert not Activity("latent", 0.1, 49, 1).collapsed
    assert not Activity("supervised", 0.0, 1, 0).collapsed, "labels have a warning of their own"


# --- W0651 --------------------------------------------------------------------------------------------------------


def test_labels_that_belong_to_other_rows_have_no_effect(fitted: Fit) -> None:
    """Labels learned by heart do not hide it: held-out rows say so, and labelled rows where there are no others."""
    data, other = styled(300), styled(300, 1)
    for seed, rows in enumerate((data, other)):
        rows["y"] = np.random.default_rng(seed).permutation(rows["y"])
    for settings, options, kind in (
        (LEARNS, {"test": other}, "held-out"),
        (("train.epochs=2", "train.lr=1e-3"), {}, "labelled"),
    ):
        run = fitted(data, *settings, text=TINY, **options)
        found = [w for w in run.diagnosis.warnings if w.code == "W0651"]
        assert [w.message for w in found] == ["labels of `y` had no visible effect"]
        assert f"{kind} rows, 66.7 % for always guessing the most frequent class" in found[0].evidence


def test_an_alpha_of_nothing_has_no_effect(fitted: Fit) -> None:
    """α = 0 where log q of the label cancels, and no row without a label that q could learn from."""
    run = fitted(styled(300), "objective.alpha=0", "train.epochs=10", text=TINY, test=styled(90, 1))
    found = [w for w in run.diagnosis.warnings if w.code == "W0651"]
    assert "alpha is 0" in found[0].evidence
    assert "raise alpha (`--set objective.alpha=auto`)" in found[0].hint


def test_rare_classes_are_learned_though_no_error_falls(fitted: Fit) -> None:
    """One row in ten is of the other class and looks a little different: the best guess stays the frequent one, but the
    probabilities have learned from the labels."""
    random = np.random.default_rng(0)
    y = (np.arange(400) % 10 == 0).astype(int)
    x = (random.random((400, 8)) < 0.5 + 0.13 * y[:, None]).astype(np.float32)
    text = TINY.replace("class(3)", "class(2)")
    run = fitted({"x": x, "y": y}, "train.epochs=30", "train.lr=1e-2", text=text)
    assert "W0651" not in warned(run)


def test_a_label_whose_q_has_no_weights(fitted: Fit) -> None:
    text = CODE.replace("latent     z", "supervised y : real[4]\nlatent     z").replace(
        "p(x | z)", "p(y | z)     = Normal(linear)\np(x | z)"
    )
    text = text.replace("q(z | x) =", "q(y | x) = Normal(loc = x, scale = 1.0)\nq(z | x) =")
    data = line_of()
    run = fitted({**data, "y": data["x"]}, "train.epochs=2", text=text)
    found = next(w for w in run.diagnosis.warnings if w.code == "W0651")
    assert "train nothing" in found.message
    assert "depends on no weight" in found.evidence


def test_numbers_as_labels(fitted: Fit) -> None:
    """A label that can be read off x is learned; one that was drawn for itself is not."""
    text = TINY.replace("supervised y : class(3)", "supervised y : real").replace(
        "Categorical(mlp(8))", "Normal(mlp(8))"
    )
    text = text.replace("p(y)        = Categorical", "p(y)        = Normal")
    data = clusters(300)
    learned = fitted({"x": data["x"], "y": data["y"] - 1.0}, *LEARNS, text=text)
    assert "W0651" not in warned(learned)
    noise = np.random.default_rng(3).normal(size=300)
    run = fitted({"x": data["x"], "y": noise}, "train.epochs=3", "objective.alpha=1.25", text=text)
    (found,) = [w for w in run.diagnosis.warnings if w.code == "W0651"]
    assert "alpha is 1.25" in found.evidence
    assert "`--set objective.alpha=12`" in found.hint, "ten times as much"


# --- W0652 --------------------------------------------------------------------------------------------------------


def test_one_draw_that_carries_all_the_weight(fitted: Fit) -> None:
    """A label of many cells after a code: the product of their probabilities differs by orders of magnitude."""
    text = AFTER.replace("supervised y : class(3)", "supervised y : real[40]").replace(
        "p(y)     = Categorical", "p(y)     = Normal"
    )
    text = text.replace("p(z | y) = Normal(table)", "p(z | y) = Normal(linear)").replace(
        "Categorical(mlp(8))", "Normal(loc = linear, scale = 0.1)"
    )
    data = images()
    y = np.random.default_rng(0).normal(size=(90, 40))
    run = fitted({"x": data["x"], "y": y}, "objective.samples=8", text=text)
    found = next(w for w in run.diagnosis.warnings if w.code == "W0652")
    assert found.message == "one draw carries all the weight where y is known"
    assert "of 8 draws 1." in found.evidence
    assert "raise samples (now 8), or let z come after y in q" in found.hint
    assert run.diagnosis.weights["y"].chi2 > 4


NODES = {
    name: NodeInfo("latent", "real", (), (), (), "normal", "normal", "", (), parents)
    for name, parents in {"a": ("x",), "z": ("x",), "y": ("z",), "u": ("y",)}.items()
}


@pytest.mark.parametrize(
    ("samples", "ess", "fires"),
    [(2, 1.05, True), (2, 1.3, False), (8, 1.4, True), (8, 2.0, False), (1000, 1.6, False), (1, 1.0, False)],
)
def test_when_one_draw_is_said_to_carry_all(samples: int, ess: float, fires: bool) -> None:
    patterns = Patterns(("y",), {"y": ("y",), "none": ()}, {"y": 3, "none": 3}, {"y": (1,), "none": (0,)})
    weights = {"y": Weights(samples, ess, samples / ess - 1, -1.0), "none": Weights(samples, 1.0, 0.0, 0.0)}
    found = list(one_draw(weights, patterns, NODES, ("a", "z", "y", "u")))
    assert [f.code for f in found] == ["W0652"] * fires
    if fires:
        assert "let z come after y" in found[0].hint


# --- W0653 --------------------------------------------------------------------------------------------------------


def history(*values: float, part: str = "unlabelled", held: tuple[float, ...] = ()) -> list[Mapping[str, Any]]:
    other = {"unlabelled": "labelled", "labelled": "unlabelled"}[part]
    found: list[Mapping[str, Any]] = [{"bound": {part: v, other: None}} for v in values]
    return [{**r, "validation_bound": h} for r, h in zip(found, held, strict=True)] if held else found


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (history(-100, -90, -80), ""),
        (history(-100, -90, -91), ""),
        (history(-80), ""),
        (history(-80, -80.5), ""),
        ([], ""),
        (history(-80, -70, -95), "epoch 1 -80.00, best -70.00 in epoch 2, last -95.00"),
        (history(-100, -60, -85), "last -85.00"),
        (history(-5, -9, part="labelled"), "bound of labelled rows"),
        (history(-100, -90, -80, held=(-100, -90, -110)), "learned by heart"),
        (history(-100, -90, -80, held=(-100, -90, -85)), ""),
    ],
)
def test_a_bound_that_got_worse(records: list[Mapping[str, Any]], says: str) -> None:
    found = list(worse(records, kept_best=False))
    assert [f.code for f in found] == ["W0653"] * bool(says)
    assert says in (found[0].evidence if found else "")
    assert list(worse(history(-100, -90, -80, held=(-100, -90, -110)), kept_best=True)) == []


def test_a_learning_rate_that_does_harm(fitted: Fit) -> None:
    run = fitted(clusters(), "train.optimizer=sgd", "train.lr=40", "train.epochs=6", "train.clip=1")
    assert "W0653" in warned(run)


# --- W0654, W0655, W0656 ------------------------------------------------------------------------------------------


def test_labels_that_were_never_read(fitted: Fit) -> None:
    """Two labels of which each is known in rows of its own, five rows in all, and a run that reads two of them."""
    text = TINY.replace("latent     z : real[2]", "supervised v : binary\nlatent     z : real[2]")
    text = text.replace("p(z)        = Normal", "p(v)        = Bernoulli(logits = 0.0)\np(z)        = Normal")
    text = text.replace(
        "q(y | x)    = Categorical(mlp(8))", "q(y | x)    = Categorical(mlp(8))\nq(v | x)    = Bernoulli(mlp(8))"
    )
    text = text.replace("p(x | y, z)", "p(x | y, v, z)")
    data = clusters()
    y, v = np.full(90, -1.0), np.full(90, np.nan)
    y[:1], v[10:14] = data["y"][:1], 1.0
    data = {"x": data["x"], "y": np.where(y < 0, -1, y).astype(int), "v": v}
    short = fitted(data, "train.epochs=1", "train.batch=86", "train.labelled=1", text=text)
    assert [w.message for w in short.diagnosis.warnings if w.code == "W0654"] == ["rows with y known were never read"]
    long = fitted(data, "train.epochs=5", "train.batch=86", "train.labelled=1", text=text)
    assert "W0654" not in warned(long)


def test_a_class_without_a_label_and_a_node_without_any(fitted: Fit) -> None:
    data = styled(300)
    run = fitted({**data, "y_known": (np.arange(300) < 130) & (data["y"] != 1)}, *LEARNS, text=TINY)
    assert [w.message for w in run.diagnosis.warnings if w.code == "W0655"] == ["class 1 of `y` has no known label"]
    run = fitted({**data, "y": np.full(300, -1)}, *LEARNS, text=TINY)
    assert [w.message for w in run.diagnosis.warnings if w.code == "W0655"] == [
        "no label of `y` is known: it is learned as a latent node"
    ]
    silent = fitted(data, *LEARNS, text=TINY + LINE.format(0))
    assert "W0655" not in warned(silent), "no labels were wanted, and the compiler has said so"


def test_a_scale_on_its_floor(fitted: Fit) -> None:
    """Values that never vary: the scale goes to 0, to its floor. With noise in them it does not."""
    still = {"x": np.ones((200, 4))}
    settings = ("train.lr=5e-2", "train.epochs=200", "train.batch=200")
    run = fitted(
        still,
        *settings,
        text=CODE.replace("loc = linear, scale = learned", "loc = linear, scale = learned, floor = 0.5"),
    )
    found = [w for w in run.diagnosis.warnings if w.code == "W0656"]
    assert [(w.side, w.node) for w in found] == [("p", "x")]
    assert "within a tenth of 0.5" in found[0].evidence


# --- W0657 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "score", "alone", "rows", "warns"),
    [
        ("error", 0.4, 0.1, 100, True),
        ("error", 0.4, 0.3, 1000, False),
        ("error", 0.04, 0.01, 100, False),
        ("error", 0.4, 0.0, 29, False),
        ("rmse", 0.28, 0.06, 75, True),
        ("rmse", 0.08, 0.06, 75, False),
    ],
)
def test_labels_that_are_learned_better_alone(
    kind: Literal["error", "rmse"], score: float, alone: float, rows: int, warns: bool
) -> None:
    """Half as good again, on enough rows, and of classes beyond chance."""
    found = list(behind({"y": Score(kind, score, rows)}, {"y": Score(kind, alone, rows)}, 1.27))
    assert [(w.code, w.node) for w in found] == [("W0657", "y")] * warns
    assert all("`--set objective.alpha=13`" in w.hint for w in found)
    assert not list(behind({"y": Score(kind, score, rows)}, {}, 1.27))


@pytest.mark.parametrize(("alpha", "code"), [("0", "W0651"), ("0.01", "W0657")])
def test_a_run_is_told_that_labels_hardly_count(fitted: Fit, alpha: str, code: str) -> None:
    """Once: as no better than a guess, or as worse than labels alone, which is known with the baseline and then in the folder."""
    run = fitted(styled(300), f"objective.alpha={alpha}", "train.epochs=2", text=TINY, test=styled(90, 1))
    assert "W0657" not in warned(run)
    result = conclude(run, quiet=True)
    assert [w.code for w in result.diagnosis.warnings if w.node == "y" and w.code in ("W0651", "W0657")] == [code]
    assert Run.load(run.folder).diagnosis == result.diagnosis


# --- where it is shown --------------------------------------------------------------------------------------------


def test_it_is_in_the_folder_the_result_the_table_and_the_library(
    fitted: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    """One diagnosis everywhere: diagnosis.json, result.json, the run and the loaded run; the warning at its line."""
    data = images()
    data["y"] = np.random.default_rng(1).permutation(data["y"])
    run = fitted(data, "data.labels=1.0", text=AFTER, test=images(30, 1))
    result = conclude(run, quiet=True)
    assert Run.load(run.folder).diagnosis == run.diagnosis == result.diagnosis
    assert from_dict(json.loads(json.dumps(run.diagnosis.as_dict()))) == run.diagnosis
    saved = json.loads((run.folder / "result.json").read_text())["diagnosis"]
    assert saved == json.loads((run.folder / "diagnosis.json").read_text())
    assert [w["code"] for w in saved["warnings"]] == warned(run) == ["W0651"]
    text = printed(table(result))
    for part in (
        "z (KL ",
        "of 2 dimensions active",
        "classes in use",
        "draws that count, y known",
        "of 4, χ²",
        "1 warning: W0651 (y)",
    ):
        assert part in text
    assert run.program is not None
    placed = as_diagnostic(run.diagnosis.warnings[0], run.program)
    assert placed.span is not None
    assert run.program.source.text[placed.span.start :].startswith("q(y | z)")
    assert capsys.readouterr().err == ""


def test_the_library_says_warnings_once_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = clusters()
    data["y"] = np.random.default_rng(1).permutation(data["y"])
    sgdsl.fit(TINY, data, out=tmp_path / "run")
    err = capsys.readouterr().err
    assert err.count("warning[W0651]") == 1
    assert err.index("epoch 2/2") < err.index("warning[W0651]")
    sgdsl.fit(TINY, data, out=tmp_path / "quiet", quiet=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["[]", "{}", '{"nodes": {"z": 1}, "weights": {}, "warnings": []}'])
def test_a_folder_without_a_diagnosis(fitted: Fit, text: str) -> None:
    run = fitted(clusters())
    (run.folder / "diagnosis.json").write_text(text)
    with pytest.raises(RunError) as error:
        _ = Run.load(run.folder).diagnosis
    assert codes(error) == ["E0662"]


def test_a_resumed_run_is_diagnosed_again_as_a_whole_run_would_be(fitted: Fit) -> None:
    half = fitted(images(), "train.epochs=2", text=AFTER)
    resumed = fitted(images(), "train.epochs=4", text=AFTER, resume=half.folder)
    assert resumed.diagnosis == fitted(images(), "train.epochs=4", text=AFTER).diagnosis
