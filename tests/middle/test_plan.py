"""What the plan decides from the graph and the labels."""

from __future__ import annotations

import pytest

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.middle.estimators import weigh


def checked(text: str, *overrides: str) -> driver.Checked:
    return driver.check(Source("m.sgm", text), overrides)


CHAIN = "model chain\nobserved x : real[2]\n" + "".join(f"latent b{i} : binary\n" for i in range(18))
CHAIN += "p(b0) = Bernoulli\n" + "".join(f"p(b{i} | b{i - 1}) = Bernoulli(table)\n" for i in range(1, 18))
CHAIN += "p(x | b17) = Normal(table)\nq(b0 | x) = Bernoulli(mlp(4))\n"
CHAIN += "".join(f"q(b{i} | b{i - 1}, x) = Bernoulli(mlp(4))\n" for i in range(1, 18))

LABELS = """model labels
observed   x  : real[2]
supervised y1 : class(3)
supervised y2 : class(4)
latent     z  : real[2]
p(y1) = Categorical
p(y2 | y1) = Categorical(table)
p(z) = Normal
p(x | y1, y2, z) = Normal(mlp(8))
q(z | x) = Normal(mlp(8))
q(y1 | x) = Categorical(mlp(8))
q(y2 | y1, z) = Categorical(mlp(8))
"""


def test_a_chain_of_18_binaries_costs_pairs_not_two_to_the_18() -> None:
    """Terms are evaluated over their scope only, and marginals are forward sums over pairs."""
    plan = checked(CHAIN).plan
    assert {plan.choices[v].name for v in plan.draws} == {"enumerate"}
    assert max(len(level) for level in plan.levels) == 2
    assert len(plan.messages) <= 2 * 18


def test_independent_labels_are_never_enumerated_jointly() -> None:
    """18 independent binary labels cost 36 small evaluations."""
    text = "model many\nobserved x : real[2]\nlatent z : real[1]\np(z) = Normal\np(x | z) = Normal(mlp(4))\n"
    text += "q(z | x) = Normal(mlp(4))\n"
    text += "".join(
        f"supervised y{i} : binary\np(y{i}) = Bernoulli(learned)\nq(y{i} | x) = Bernoulli(mlp(4))\n" for i in range(18)
    )
    assert {len(level) for level in checked(text).plan.levels} == {1}


def test_the_parents_decide_which_labels_are_weighed() -> None:
    """B and A of docs/objective.md, per pattern: y2 known weighs z and y1, y1 known weighs nothing."""
    c = checked(LABELS)
    alone = weigh(c.graphs, c.plan.draws, c.plan.choices, ("y1",))
    assert (alone.before, alone.above) == ((), ())
    second = weigh(c.graphs, c.plan.draws, c.plan.choices, ("y2",))
    assert (second.before, second.above, second.drawn) == (("y2",), ("y1", "z"), ("z",))


def test_samples_follow_the_weights() -> None:
    """auto is 1 where every pattern has constant weights, 8 where a label weighs a draw; score needs two."""
    assert checked(LABELS).plan.samples == 8
    before = LABELS.replace("q(y2 | y1, z)", "q(y2 | y1, x)")
    assert checked(before).plan.samples == 1
    scored = before.replace("q(y1 | x) = Categorical(mlp(8))", "q(y1 | x) = Categorical(mlp(8)) by score")
    assert checked(scored, "objective.samples=1").plan.samples == 2


def test_a_label_weighed_with_one_sample_is_warned_of() -> None:
    """W0502: with S = 1 the label does not condition what comes before it."""
    assert [d.code for d in checked(LABELS, "objective.samples=1").notes] == ["W0502"]


def test_labels_that_train_nothing_are_warned_of() -> None:
    """W0501: α = 0 with constant weights leaves log q of the label out of the bound."""
    constant = LABELS.replace("q(y2 | y1, z)", "q(y2 | y1, x)")
    found = [d.code for d in checked(constant, "objective.alpha=0").notes]
    assert found.count("W0501") == 1, "y2 alone known weighs y1: its labels train; y1's do not"


@pytest.mark.parametrize(
    ("by", "code"), [("by enumerate", "E0501"), ("by gumbel(0.5)", "E0501"), ("by reparam", None), ("by score", None)]
)
def test_an_estimator_must_suit_its_node(by: str, code: str | None) -> None:
    """A real node has no list of values to enumerate or relax."""
    text = LABELS.replace("q(z | x) = Normal(mlp(8))", f"q(z | x) = Normal(mlp(8)) {by}")
    if code is None:
        assert checked(text).plan.choices["z"].name == by.split()[1]
        return
    with pytest.raises(DiagnosticError) as raised:
        checked(text)
    assert [d.code for d in raised.value.diagnostics] == [code]


def test_enumeration_stops_at_the_cap() -> None:
    """A third class of 10 values in one term passes 64 cases: it is scored, and explain says why."""
    text = "model cap\nobserved x : real[2]\n" + "".join(
        f"latent c{i} : class(10)\np(c{i}) = Categorical\nq(c{i} | x) = Categorical(mlp(4))\n" for i in range(3)
    )
    plan = checked(text + "p(x | c0, c1, c2) = Normal(mlp(8))\n").plan
    assert [plan.choices[f"c{i}"].name for i in range(3)] == ["enumerate", "score", "score"]
    assert "more than 64" in plan.choices["c1"].reason


def test_batch_norm_is_refused_where_its_input_varies() -> None:
    """Trap 8 of objective.md: statistics over enumerated values or samples are no statistics of the data."""
    with pytest.raises(DiagnosticError) as raised:
        checked(LABELS.replace("p(x | y1, y2, z) = Normal(mlp(8))", "p(x | y1, y2, z) = Normal(mlp(8, norm = batch))"))
    assert [d.code for d in raised.value.diagnostics] == ["E0504"]
    checked(LABELS.replace("q(z | x) = Normal(mlp(8))", "q(z | x) = Normal(mlp(8, norm = batch))"))


def test_batch_norm_is_found_inside_a_networks_input() -> None:
    """A network of one parameter, applied to another network: the inner one is checked too."""
    text = LABELS.replace(
        "p(x | y1, y2, z) = Normal(mlp(8))", "p(x | z) = Normal(loc = mlp(4)(mlp(8, norm = batch)(z)))"
    )
    with pytest.raises(DiagnosticError) as raised:
        checked(text)
    assert "E0504" in [d.code for d in raised.value.diagnostics]
