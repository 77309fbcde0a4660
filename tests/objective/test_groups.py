"""Groups of weights (docs/objective.md, section 2), by enumerating all draws and all recombinations of small finite models."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.groups import errors
from sgdsl.runtime.grouping import Grouping, groups_of
from tests.objective.outcomes import Everything, everything, gradient, model_of

ALPHA = 0.4

PLAIN = """model plain
observed   x  : class(3)
supervised y1 : class(2)
supervised y2 : class(2)
latent     z1 : class(2)
latent     z2 : class(2)
p(z1) = Categorical(learned)
p(z2) = Categorical(learned)
p(y1 | z1) = Categorical(table)
p(y2) = Categorical
p(x | z1, z2, y2) = Categorical(table)
q(z1 | x) = Categorical(table) by score
q(z2 | x) = Categorical(table) by score
q(y1 | z1) = Categorical(table)
q(y2 | z2) = Categorical(table)
"""
# Below the groups: u is drawn after recombination, c is enumerated and weighed by the first group alone, v carries it on.
BELOW = PLAIN.replace("observed ", "latent u : class(2)\nlatent c : class(2)\nobserved ")
BELOW = BELOW.replace("p(x | z1, z2, y2)", "p(u) = Categorical\np(c | u) = Categorical(table)\np(x | z1, z2, c)")
BELOW += "q(u | z1, z2) = Categorical(table) by score\nq(c | z1) = Categorical(table)\n"
# A label that cuts: where y1 is known, z1 and z2 are two groups, where it is not, one.
CUT = """model cut
observed   x  : class(3)
supervised y1 : class(2)
supervised y2 : class(2)
latent     z1 : class(2)
latent     z2 : class(2)
p(z1) = Categorical
p(z2) = Categorical(learned)
p(y1) = Categorical(learned)
p(y2 | y1) = Categorical(table)
p(x | z1, z2) = Categorical(table)
q(z1 | x) = Categorical(table) by score
q(y1 | z1) = Categorical(table) by score
q(z2 | x, y1) = Categorical(table) by score
q(y2 | z2) = Categorical(table)
"""
# A third group whose label is unknown in some rows: its draws go with the recombination as they are.
THIRD = PLAIN.replace("observed ", "latent z3 : class(2)\nsupervised y3 : class(2)\nobserved ")
THIRD = THIRD.replace("p(x | z1, z2, y2)", "p(z3) = Categorical\np(y3) = Categorical\np(x | z1, z2, z3)")
THIRD += "q(z3 | x) = Categorical(table) by score\nq(y3 | z3) = Categorical(table)\n"
KNOWN = {"all": ("y1", "y2"), "first": ("y1",), "second": ("y2",), "none": ()}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def compiled(text: str, samples: int) -> Any:
    return model_of(text, f"objective.samples={samples}", alpha=ALPHA)


def outcomes(model: Any, known: Sequence[str]) -> Everything:
    """All outcomes: two values for each draw of a node, S for each choice of a sample, for every weighed node a group."""
    drawn = [n for n, info in model.NODES.items() if info.estimator == "score"]
    samples, groups = model.samples, len(model.GROUPS.weighed)
    rows = 2 ** (samples * len(drawn)) * samples ** (samples * groups)
    return everything(model, rows, {"y1": 1, "y2": 0}, known)


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("text", [PLAIN, BELOW, CUT, THIRD], ids=["plain", "below", "cut", "third"])
def test_the_gradient_is_exactly_unbiased(text: str, known: str) -> None:
    """Protects the score terms of draws before and after recombination, of the choice of samples, and their baselines: the
    mean of the emitted gradient over all outcomes is the gradient of the mean, at S = 2."""
    model = compiled(text, 2)
    found = outcomes(model, KNOWN[known])
    torch.testing.assert_close(gradient(model, found.surrogate), gradient(model, found.mean), rtol=1e-10, atol=1e-12)


def test_the_gradient_is_exactly_unbiased_with_three_samples() -> None:
    """The same at S = 3, where a sample may be in some recombinations and not in others."""
    model = compiled(PLAIN, 3)
    found = outcomes(model, KNOWN["all"])
    torch.testing.assert_close(gradient(model, found.surrogate), gradient(model, found.mean), rtol=1e-10, atol=1e-12)


def tables(model: Any) -> dict[str, Tensor]:
    """The log-probabilities of PLAIN by factor, [parents in written order …, value], given x = 2 on the side of q."""
    state = {k.rsplit(".", 2)[0].split(".")[0]: v.log_softmax(-1) for k, v in model.state_dict().items()}
    return {k: v[2] if k in ("q_z1", "q_z2") else v for k, v in state.items()}


def by_hand(model: Any) -> float:
    """E of the bound of PLAIN with both labels known: a mean over all draws of the formula, groups averaged apart."""
    t, samples, total = tables(model), model.samples, 0.0
    outcomes = list(itertools.product(range(2), repeat=samples))
    for first, second in itertools.product(outcomes, repeat=2):
        probability = math.exp(sum(t["q_z1"][a].item() for a in first) + sum(t["q_z2"][b].item() for b in second))
        w1, w2 = [t["q_y1"][a, 1].exp().item() for a in first], [t["q_y2"][b, 0].exp().item() for b in second]
        f1 = [(t["p_z1"][a] + t["p_y1"][a, 1] - t["q_z1"][a] - t["q_y1"][a, 1]).item() for a in first]
        f2 = [(t["p_z2"][b] + math.log(1 / 2) - t["q_z2"][b] - t["q_y2"][b, 0]).item() for b in second]
        bound = sum(w * f for w, f in zip(w1, f1, strict=True)) / sum(w1)
        bound += sum(w * f for w, f in zip(w2, f2, strict=True)) / sum(w2)
        for (a, u), (b, v) in itertools.product(zip(first, w1, strict=True), zip(second, w2, strict=True)):
            bound += u / sum(w1) * v / sum(w2) * t["p_x"][a, b, 0, 2].item()
        bound += (1 + ALPHA) * (math.log(sum(w1) / samples) + math.log(sum(w2) / samples))
        total += probability * bound
    return total


@pytest.mark.parametrize("samples", [2, 3])
def test_the_bound_is_the_formula_and_a_lower_bound(samples: int) -> None:
    """Protects recombination: the mean over all draws and recombinations is the formula's, and at most
    log p(x, labels) + α log q(labels | x). With aligned draws, decoder terms weighed jointly, it is another number."""
    model = compiled(PLAIN, samples)
    found = outcomes(model, KNOWN["all"])
    mean = found.mean.item()
    assert mean == pytest.approx(by_hand(model), abs=1e-10)
    t = tables(model)
    joint = [
        t["p_z1"][a] + t["p_y1"][a, 1] + t["p_z2"][b] + math.log(1 / 2) + t["p_x"][a, b, 0, 2]
        for a, b in itertools.product(range(2), repeat=2)
    ]
    log_q = (t["q_z1"] + t["q_y1"][:, 1]).logsumexp(0) + (t["q_z2"] + t["q_y2"][:, 0]).logsumexp(0)
    assert mean <= (torch.stack(joint).logsumexp(0) + ALPHA * log_q).item()


def test_rows_of_fewer_than_two_groups_keep_their_samples() -> None:
    """Protects unlabelled rows and rows with one weighed label from recombination: the bound is that of joint weights, draw
    by draw, whatever is resampled."""
    model = compiled(PLAIN, 2)
    for known in ("none", "first", "second"):
        found = outcomes(model, KNOWN[known])
        draws = 2 ** (2 * 2)  # the outcomes of all nodes come first in the radix, the choice of samples after them
        rows = found.step.bound.reshape(-1, draws)
        torch.testing.assert_close(rows, rows[:1].expand_as(rows))


def test_a_draw_without_a_weight_is_in_the_group_it_reads() -> None:
    """Protects what follows A: z2 reads z1, which a label weighs; the label of z2 is unknown, so that z2 bears z1's weight."""
    below = Grouping(("z1", "z2", "z3"), {"z1": (), "z2": ("z1",), "z3": ()}, ())
    parents = {"z1": (), "z2": ("z1",), "z3": (), "y1": ("z1",), "y2": ("z2",), "y3": ("z3",)}
    nodes = {name: Reading(read) for name, read in parents.items()}
    assert groups_of(below, nodes, tuple(nodes), {"y1", "y3"}) == (0, 0, 2)


@dataclass(frozen=True, slots=True)
class Reading:
    """A node as groups_of sees it."""

    parents_q: tuple[str, ...]
    loops: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("known", "groups"),
    [
        ((), (-1, -1, -1)),
        (("y1",), (0, -1, -1)),
        (("y2",), (0, 0, 0)),
        (("y1", "y2"), (0, -1, 2)),
    ],
)
def test_a_known_node_cuts_groups(known: tuple[str, ...], groups: tuple[int, ...]) -> None:
    """Groups are those of the row: in CUT z1, y1 and z2 are one where y1 is unknown, and two where it is known."""
    model = compiled(CUT, 2)
    assert model.GROUPS.weighed == ("z1", "y1", "z2")
    assert groups_of(model.GROUPS, model.NODES, model.ORDER_Q, set(known)) == groups


def test_independent_labels_do_not_collapse() -> None:
    """16 labels at S = 64: the root-mean-square error of log q(labels | x) against quadrature is less than half that of one
    joint weight (0.27 of it in benchmarks/groups.json); 400 rows leave each error within a tenth. The error of L falls for
    a decoder that reads one group each and for one that reads all, whose mean stays below L within 4 standard errors. The same
    for the labels in a loop."""
    found = errors(16, 64, 400)
    for decoder in ("one group", "all groups"):
        joint, grouped = found[f"{decoder}, joint"], found[f"{decoder}, by group"]
        assert grouped["log q(labels | x)"] < joint["log q(labels | x)"] / 2
        assert grouped["L"] < joint["L"] / 2
        looped = found[f"{decoder}, in a loop, by group"]
        assert looped["log q(labels | x)"] < joint["log q(labels | x)"] / 2
        assert looped["L"] < joint["L"] / 2
    for row in (found["all groups, by group"], found["all groups, in a loop, by group"]):
        assert row["mean of the bound − L"] < 4 * row["standard error of that mean"]
