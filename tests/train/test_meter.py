"""What an epoch's record says: terms as the bound weighs them, divergences, weights, by pattern of labels; and how seldom."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sgdsl.runtime import bounds
from sgdsl.runtime.batch import Batch, Step, Term, make_batch
from sgdsl.runtime.draws import Draws
from sgdsl.train import meter as meter_module
from sgdsl.train.meter import LOOKS, Meter, divergences, is_look
from sgdsl.train.patterns import Patterns, find_patterns, pattern_rows
from sgdsl.train.prepare import build
from tests.train.small import AFTER, TINY, Fit, clusters, images, program, records

Y = Patterns(("y",), {"none": (), "y": ("y",)}, {"none": 1, "y": 1}, {"none": (0,), "y": (1,)})


def meter(patterns: Patterns = Y, samples: int = 2, weighed: bool = True) -> Meter:
    return Meter(torch.zeros(2), patterns, samples, weighed)


def batch(known: Mapping[str, list[bool]]) -> Batch:
    """Rows with these masks and nothing else in them."""
    masks = {name: torch.tensor(mask) for name, mask in known.items()}
    rows = len(next(iter(masks.values())))
    return Batch({"x": torch.zeros(1, rows)}, masks, {}, rows, torch.float32)


def step_of(log_w: Tensor, terms: dict[str, Term]) -> Step:
    rows = log_w.shape[-1]
    return Step(torch.zeros(rows), torch.zeros(rows), log_w, terms)


# --- effective sample size, χ², weights ---------------------------------------------------------------------------


def test_chi_square_and_effective_sample_size_by_hand() -> None:
    """Weights 3 : 1 : 0 : 0: w̄ = 3/4, 1/4; Σ w̄² = 10/16; ESS 1.6; χ² = 4 · 10/16 − 1 = 1.5. Even weights: S and 0."""
    log_w = torch.tensor([[3.0, 5.0], [1.0, 5.0], [0.0, 5.0], [0.0, 5.0]]).log()
    assert bounds.effective_sample_size(log_w).tolist() == pytest.approx([1.6, 4.0])
    assert bounds.chi_square(log_w).tolist() == pytest.approx([1.5, 0.0], abs=1e-6)
    assert bounds.normalised_weights(log_w)[:, 0].tolist() == pytest.approx([0.75, 0.25, 0.0, 0.0])


def test_weights_in_groups() -> None:
    """[groups, S, rows]: χ² of the worst group; the samples are weighed with the product over the groups."""
    log_w = torch.tensor([[[1.0], [1.0]], [[3.0], [1.0]]]).log()
    assert bounds.chi_square(log_w).tolist() == pytest.approx([2 * 10 / 16 - 1])
    assert bounds.normalised_weights(log_w)[:, 0].tolist() == pytest.approx([0.75, 0.25])
    found = meter()
    found.look(step_of(log_w, {"p(x | z)": Term(torch.tensor([[-1.0], [-5.0]]), None, None)}), batch({"y": [True]}))
    part = found.summary(True, True)["patterns"]["y"]
    assert part["terms"]["p(x | z)"] == pytest.approx(0.75 * -1 + 0.25 * -5)
    assert part["log_q_labels"] == pytest.approx(math.log(1) + math.log(2))


def test_a_constant_weight_lets_all_draws_count() -> None:
    """log w of one sample stands for all S of them: the effective sample size is S, the terms are a plain mean."""
    found = meter(samples=8)
    found.look(step_of(torch.zeros(1, 2), {"p(x | z)": Term(torch.tensor([[-1.0] * 2, [-3.0] * 2]), None, None)}),
               batch({"y": [False, True]}))  # fmt: skip
    record = found.summary(True, True)
    assert record["ess"] == {"none": 8.0, "y": 8.0}
    assert record["patterns"]["y"]["chi2"] == 0.0
    assert record["terms"] == {"p(x | z)": -2.0}


def test_a_draw_without_weight_takes_an_infinite_term_away() -> None:
    log_w = torch.tensor([[0.0], [-math.inf]])
    found = Term(torch.tensor([[-2.0], [-math.inf]]), None, None).rows(bounds.normalised_weights(log_w))
    assert found.tolist() == [-2.0]


# --- terms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", ["snis", "clamped"])
def test_terms_are_weighed_as_the_bound_weighs_them(bound: str) -> None:
    """Against a plain loop over rows and draws of an emitted step whose weights vary: Σ over all terms, weighed, is f, so
    that f + log q(labels | x) is the bound; under `clamped` the plain mean."""
    compiled = program(AFTER.replace("unit[1, 6, 6]", "real[4]").replace("Bernoulli(mlp(8))", "Normal(mlp(8))"),
                       f"objective.bound={bound}", "objective.alpha=0")  # fmt: skip
    torch.manual_seed(0)
    model = build(compiled.text, "after")
    rows = {"x": torch.randn(6, 4), "y": torch.arange(6) % 3}
    data = make_batch(model, rows, {"y": torch.arange(6) < 3})
    with torch.no_grad():
        step = model(data, Draws(torch.Generator().manual_seed(1)))
    assert step.log_w[:, :3].std(0).min() > 1e-3, "the weights of the labelled rows must vary"
    weight = step.log_w.softmax(0) if bound == "snis" else torch.full((4, 6), 0.25)
    expected: dict[str, list[float]] = {}
    for name, term in step.terms.items():
        value = term.log_prob if isinstance(term.log_prob, Tensor) else torch.full((1, 6), term.log_prob)
        for row in range(6):
            total = 0.0
            for s in range(4):
                line, w = value[min(s, len(value) - 1)], float(weight[s, row])
                if term.level is None or term.share is None:
                    total += w * float(line[row])
                    continue
                share = term.share[min(s, len(term.share) - 1)]
                for entry in torch.nonzero(term.level.row == row).flatten().tolist():
                    total += w * float(share[entry]) * float(line[entry])
            expected.setdefault(name, []).append(total)
    found = meter(samples=4, weighed=bound == "snis")
    found.look(step, data)
    parts = found.summary(True, True)["patterns"]
    for name, values in expected.items():
        assert parts["y"]["terms"][name] == pytest.approx(np.mean(values[:3]), rel=1e-4), name
        assert parts["none"]["terms"][name] == pytest.approx(np.mean(values[3:]), rel=1e-4), name
    for pattern, where in (("y", slice(0, 3)), ("none", slice(3, 6))):
        signed = sum(v if name[0] == "p" else -v for name, v in parts[pattern]["terms"].items())
        label = parts[pattern]["log_q_labels"] if bound == "snis" else float(step.log_w.mean(0)[where].mean())
        assert signed + label == pytest.approx(float(step.bound[where].mean()), rel=1e-4)


GROUPS = """model groups "Two labels, each after a code of its own."
observed   x : real[2]
supervised y : class(3)
supervised v : binary
latent     a : real
latent     b : real
p(a)        = Normal
p(b)        = Normal
p(y | a)    = Categorical(mlp(8))
p(v | b)    = Bernoulli(mlp(8))
p(x | a, b) = Normal(linear)
q(a | x)    = Normal(mlp(8))
q(b | x)    = Normal(mlp(8))
q(y | a)    = Categorical(linear)
q(v | b)    = Bernoulli(linear)
objective { samples = 4000 }
"""


def test_terms_where_weights_have_groups() -> None:
    """The joint weight is right on average also where a term was evaluated on recombined draws: with 4,000 draws the terms
    and log q(labels | x) add up to the bound of fully labelled rows, to 0.15 nats (the standard error is about 0.03)."""
    torch.manual_seed(0)
    model = build(program(GROUPS).text, "groups")
    rows = {"x": torch.randn(8, 2), "y": torch.arange(8) % 3, "v": torch.arange(8) % 2.0}
    data = make_batch(model, rows, {"y": torch.ones(8, dtype=torch.bool), "v": torch.ones(8, dtype=torch.bool)})
    with torch.no_grad():
        step = model(data, Draws(torch.Generator().manual_seed(1)))
    assert step.log_w.dim() == 3
    found = meter(Patterns(("y", "v"), {"y, v": ("y", "v")}, {"y, v": 8}, {"y, v": (1, 1)}), samples=4000)
    found.look(step, data)
    part = found.summary(True, False)["patterns"]["y, v"]
    signed = sum(value if name[0] == "p" else -value for name, value in part["terms"].items())
    assert signed + part["log_q_labels"] == pytest.approx(float(step.bound.mean()), abs=0.15)
    assert 1 < part["ess"] < 4000


def test_the_labelled_bound_is_shown_without_the_extra_weight_of_the_labels() -> None:
    """bound + α log q(labels | x) goes into the objective; the record takes α log q off again."""
    log_w = torch.tensor([[0.0, -2.0]])
    step = Step(torch.tensor([-5.0, -7.0 + 3 * -2.0]), torch.zeros(2), log_w, {})
    found = meter()
    found.add(step, torch.eye(2), 3.0)
    assert found.summary(True, True)["bound"] == {"unlabelled": -5.0, "labelled": -7.0}


@pytest.mark.parametrize("bound", ["bound=snis", "marginal=jensen", "bound=iw", "bound=clamped"])
@pytest.mark.parametrize("by", ["", " by score"])
def test_the_labelled_bound_is_that_of_alpha_0_under_every_bound(bound: str, by: str) -> None:
    """Under jensen and clamped α multiplies the mean of log w, not the log of a mean: what is taken off is what was added. The
    weights vary over draws, or over an enumerated node."""
    text = """model shown
observed   x : real[2]
supervised y : class(3)
latent     z : real
latent     c : class(2)
p(y) = Categorical
p(z) = Normal
p(c) = Categorical
p(x | y, z, c) = Normal(mlp(4))
q(z | x) = Normal(mlp(4))
q(c | x) = Categorical(mlp(4)){by}
q(y | z, c) = Categorical(mlp(4))
"""
    torch.manual_seed(0)
    model = build(program(text.replace("{by}", by), f"objective.{bound}", "objective.samples=3").text, "shown")
    rows = {"x": torch.randn(6, 2), "y": torch.arange(6) % 3}
    data = make_batch(model, rows, {"y": torch.ones(6, dtype=torch.bool)})
    found, means = meter(samples=3), torch.stack([torch.zeros(6), torch.full((6,), 1 / 6)])
    steps = []
    for alpha in (0.0, 5.0):
        model.alpha = alpha  # type: ignore[assignment]
        steps.append(model(data, Draws(torch.Generator().manual_seed(1))))
    found.add(steps[1], means, 5.0)
    assert found.summary(True, False)["bound"]["labelled"] == pytest.approx(steps[0].bound.mean().item(), abs=1e-4)


def test_divergences_are_log_q_minus_log_p_where_a_node_is_inferred() -> None:
    """A known label has no divergence: only rows where it is unknown count, in the whole as by pattern."""
    assert divergences({"p(z)": -3.0, "q(z | x)": -1.0, "p(x | z)": -9.0}) == {"z": 2.0}
    values = {
        "p(y)": [-1.0, -1.0, -1.0],
        "q(y | x)": [-0.5, -0.25, -9.0],
        "p(z)": [-1.0] * 3,
        "q(z | x)": [0.0, 1.0, 5.0],
    }
    found = meter(samples=1)
    terms = {name: Term(torch.tensor([value]), None, None) for name, value in values.items()}
    found.look(step_of(torch.zeros(1, 3), terms), batch({"y": [False, False, True]}))
    record = found.summary(True, True)
    assert record["kl"] == {"y": pytest.approx(0.625), "z": pytest.approx(3.0)}
    assert record["patterns"]["y"]["kl"] == {"z": pytest.approx(6.0)}
    assert record["terms"]["q(y | x)"] == pytest.approx(-9.75 / 3)


# --- patterns -----------------------------------------------------------------------------------------------------


def test_patterns_of_known_labels() -> None:
    masks = {"a": np.array([1, 0, 1, 0, 0], bool), "b": np.array([1, 0, 0, 0, 1], bool)}
    found = find_patterns(["a", "b", "c"], masks, np.arange(4))
    assert dict(found.rows) == {"none": 2, "a": 1, "a, b": 1}
    assert found.known["a, b"] == ("a", "b")
    known = {name: torch.from_numpy(mask[:4]) for name, mask in masks.items()}
    indicator = dict(zip(found.names, found.indicator(known, torch.zeros(4)).tolist(), strict=True))
    assert indicator == {"none": [0, 1, 0, 1], "a": [0, 0, 1, 0], "a, b": [1, 0, 0, 0]}
    assert pattern_rows(found, masks, "a", np.arange(4)).tolist() == [2]


def test_many_patterns_share_one_name() -> None:
    """Sixteen patterns of four labels: the eight most frequent have a record of their own, the rest one together, and
    every row is in exactly one."""
    table = np.array([*itertools.product([False, True], repeat=4)] * 2 + [(True,) * 4])
    masks = {name: table[:, i] for i, name in enumerate("abcd")}
    found = find_patterns(list("abcd"), masks, np.arange(len(table)))
    assert (len(found.known), len(found.names), found.names[0], found.names[-1]) == (16, 9, "a, b, c, d", "others")
    indicator = found.indicator({n: torch.from_numpy(m) for n, m in masks.items()}, torch.zeros(len(table)))
    assert (indicator.sum(0) == 1).all()
    assert found.fixed("others") == ("a", "b", "c", "d")


def test_a_model_without_labels_has_one_pattern() -> None:
    found = find_patterns([], {}, np.arange(3))
    assert found.names == ("none",)
    assert found.indicator({}, torch.zeros(3)).tolist() == [[1, 1, 1]]


# --- in a run -----------------------------------------------------------------------------------------------------


def test_a_few_steps_of_an_epoch_are_looked_at_the_last_among_them() -> None:
    for steps in (1, 3, 4, 40, 41):
        looks = [s for s in range(steps) if is_look(s, steps)]
        assert 1 <= len(looks) <= 4
        assert looks[-1] == steps - 1


def test_steps_that_are_not_looked_at_pay_for_nothing(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hot path: the diagnostics of a step are computed at LOOKS steps an epoch and nowhere else."""
    calls = {"rows": 0, "effective_sample_size": 0, "chi_square": 0, "normalised_weights": 0}

    def counted(name: str, wrapped: Any) -> Any:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return wrapped(*arguments)

        return call

    monkeypatch.setattr(Term, "rows", counted("rows", Term.rows))
    for name in ("effective_sample_size", "chi_square", "normalised_weights"):
        monkeypatch.setattr(meter_module, name, counted(name, getattr(meter_module, name)))
    run = fitted(images(), "train.batch=5", "train.epochs=2", text=AFTER)
    assert records(run)[-1]["step"] == 36, "18 steps an epoch"
    assert calls == {
        "rows": 2 * LOOKS * 5, "effective_sample_size": 2 * LOOKS, "chi_square": 2 * LOOKS, "normalised_weights": 2 * LOOKS,
    }  # fmt: skip


def test_the_record_of_an_epoch(fitted: Fit) -> None:
    """The schema that docs/training.md describes."""
    data = images()
    run = fitted({**data, "y_known": np.arange(90) < 30}, "train.epochs=1", text=AFTER)
    record = records(run)[-1]
    assert {
        "epoch",
        "step",
        "bound",
        "terms",
        "kl",
        "ess",
        "patterns",
        "error",
        "lr",
        "rows_per_second",
        "seconds",
    } == set(record)
    assert set(record["patterns"]) == {"none", "y"}
    part = record["patterns"]["y"]
    assert set(part) == {"rows", "ess", "chi2", "log_q_labels", "terms", "kl"}
    assert 1 <= part["ess"] < 4
    assert 0 < part["chi2"] < 3
    assert part["log_q_labels"] < 0
    assert set(part["kl"]) == {"z"}
    assert set(record["patterns"]["none"]["kl"]) == set(record["kl"]) == {"z", "y"}
    assert record["patterns"]["none"]["log_q_labels"] == 0.0
    assert record["patterns"]["none"]["ess"] == 4.0


def test_a_checkpoint_inside_an_epoch_keeps_what_was_seen() -> None:
    """Half of an epoch, saved as JSON would, restored, and the other half: the record of the whole."""

    def look(found: Meter, value: float) -> None:
        terms = {"p(x | z)": Term(torch.tensor([[value, 2 * value]]), None, None)}
        step = step_of(torch.tensor([[0.0, -1.0]]), terms)
        found.add(step, torch.eye(2), 0.0)
        found.look(step, batch({"y": [False, True]}))

    whole, first, second = meter(), meter(), meter()
    for value in (-1.0, -2.0):
        look(whole, value)
    look(first, -1.0)
    second.restore(first.export())
    look(second, -2.0)
    assert second.summary(True, True) == whole.summary(True, True)
    whole.clear()
    assert whole.summary(True, True)["patterns"] == {}


def test_a_supervised_node_without_data_is_in_no_pattern(fitted: Fit) -> None:
    run = fitted({"x": clusters()["x"]}, text=TINY + 'data npz(file = "none", labels = 0)\n')
    assert set(records(run)[-1]["patterns"]) == {"none"}
